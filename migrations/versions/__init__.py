"""The migrations, a module each, named by number."""
