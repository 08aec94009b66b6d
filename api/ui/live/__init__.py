"""Live data of the pages: readers that follow the store, and topics that share the readers between pages."""
