"""Properties of the repository as a whole."""
