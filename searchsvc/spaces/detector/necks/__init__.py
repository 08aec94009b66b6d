"""The kinds of necks: a file for each, listed in `table`. `workers.models.necks` builds them."""
