"""python -m newtonfl: the command line."""

from newtonfl.cli.main import main

main()
