"""searchctl, against the real application and store."""
