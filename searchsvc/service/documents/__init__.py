"""Job documents in YAML and JSON."""
