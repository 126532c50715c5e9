"""python -m newtonfl: the command line."""

from newtonfl.cli import main

main()
