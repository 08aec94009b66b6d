"""FBNetV3: joint search of architecture and recipe with a neural predictor (arXiv 2006.02049)."""
