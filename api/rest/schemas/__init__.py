"""JSON schemas of requests and responses, a module per noun."""
