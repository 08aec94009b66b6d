"""What people and programs touch: the REST API and the command line."""
