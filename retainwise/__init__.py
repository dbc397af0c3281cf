"""The command line: the table of commands, and `up`, which runs the product on one machine."""
