"""The page of the spaces."""
