"""Running one trial: the plain function, its Tune shell, its processes and files."""
