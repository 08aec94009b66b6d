"""Running a single trial: the plain function, its Tune shell, its processes and files."""
