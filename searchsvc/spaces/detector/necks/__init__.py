"""The kinds of necks: one file for each, listed in `table`. `workers.models.necks` builds them."""
