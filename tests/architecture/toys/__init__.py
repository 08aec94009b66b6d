"""Toy additions of almost every kind: the files that a newcomer would write, and the edits of existing files."""
