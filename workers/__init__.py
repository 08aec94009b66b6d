"""Everything that trains, and everything that touches Ray."""
