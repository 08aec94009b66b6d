"""Lookup of the names in a spec or a request."""
