"""The page on which a job is written and submitted."""
