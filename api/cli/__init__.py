"""searchctl: the command line."""
