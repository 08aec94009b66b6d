"""The use cases of the application, grouped by noun."""
