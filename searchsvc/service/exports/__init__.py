"""The formats of `export`, each in its own module."""
