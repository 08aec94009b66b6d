"""The page that compares trials."""
