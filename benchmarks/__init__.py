"""make bench: what searchsvc does per second, each figure beside its reference measured in the same run."""
