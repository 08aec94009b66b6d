"""Tables of what people bring: a row per input (a file, a name, a machine, a command) with the expected outcome."""
