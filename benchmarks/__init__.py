"""make bench: the speed of searchsvc, each figure next to a reference measured in the same run."""
