"""The page of a job, one file per panel."""
