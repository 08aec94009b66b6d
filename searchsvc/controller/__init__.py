"""The controller: claims jobs, starts their drivers and watches them."""
