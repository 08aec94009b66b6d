"""Spaces in the form of FBNetV3 (arXiv:2006.02049)."""
