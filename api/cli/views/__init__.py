"""Views: from the documents of the REST interface to tables and lines of text."""
