"""The formats of `export`, one file each."""
