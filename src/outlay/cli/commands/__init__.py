"""One file per group of commands; each parses, calls and prints, and is imported when it is called."""
