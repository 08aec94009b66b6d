"""The kinds of backbones: a file for each, listed in `table`. `workers.models.backbones` builds them."""
