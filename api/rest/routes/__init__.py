"""The routes of the REST interface, a module per noun. Each calls the service and converts the result to a schema."""
