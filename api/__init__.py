"""What people and programs touch: REST and the command line. The outermost layer: nothing knows it."""
