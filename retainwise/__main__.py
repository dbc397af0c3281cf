"""`python -m retainwise`: the command line, where the script is not on the PATH."""

from retainwise.cli import main

main()
