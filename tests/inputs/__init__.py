"""What people bring: tables with a row per input (a file, a name, a machine, a command) and the expected outcome."""
