"""The routes of the REST interface, one file per noun. Each asks the service and turns the answer into a schema."""
