"""Tables of what people bring, with a row per input (a file, a name, a machine, a command) and the expected outcome."""
