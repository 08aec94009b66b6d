"""The interfaces for people and programs: REST, the command line and the pages. No other package imports this layer."""
