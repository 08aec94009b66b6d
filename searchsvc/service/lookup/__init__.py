"""Looking up what a spec or a request names."""
