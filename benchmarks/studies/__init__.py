"""Studies: long searches on real data, whose results and figures are pages of the documentation."""
