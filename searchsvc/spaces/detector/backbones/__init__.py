"""The kinds of backbones: one file for each, listed in `table`. `workers.models.backbones` builds them."""
