"""FBNetV3: joint search of architecture and recipe by a neural predictor (arXiv:2006.02049)."""
