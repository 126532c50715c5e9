"""The command line: ``newtonfl solve``, ``compare``, ``plot``, ``predict``, ``report``, ``problems``, ``methods``.

main runs a command, and says errors as sentences with an exit status; grammar and words have the options, and what is
said of words that are none; solve and compare are the two long commands; run_spec says what a run is, so that its
folder can run it again, and has its model; predict and report read such folders; starting_point reads ``--x0``; signals
and streams bear what a terminal, a pipe and a batch system do to a command.

May be imported by: no other district.
"""
