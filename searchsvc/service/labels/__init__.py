"""Labels that people or networks judge anew."""
