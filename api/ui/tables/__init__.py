"""Tables: rows, filters and grids."""
