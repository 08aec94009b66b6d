"""Losses of detectors, a file each, and the assignment of anchors to objects. All are functions of tensors."""
