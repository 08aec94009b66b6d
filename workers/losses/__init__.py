"""Losses of detectors, one per file, and the assignment of anchors to objects. All are functions of tensors."""
