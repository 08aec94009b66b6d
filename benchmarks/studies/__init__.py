"""Studies: searches on real data at some length, whose results and figures are pages of the documentation."""
