"""Building blocks of detectors, one file each: its equation, its source, its options."""
