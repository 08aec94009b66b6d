"""Live data of the pages: readers that follow the store, and the topics that share them."""
