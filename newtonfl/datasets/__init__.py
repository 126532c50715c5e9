"""Datasets: from files and arrays to a Problem with its rows on the ranks that hold its clients.

catalogue, problem_file
    The problems that come with the library; TOML and Python problem files.
fetch, readers, sources, table
    Where files are, checked downloads, one reader a format, and what was read.
splits, partition
    Which client has which rows.
distribute
    The one way of rows to ranks; it alone compares what several sources say of columns, labels and client ids.
load, from_arrays, build
    ``nf.load`` and ``nf.from_arrays``, and the Problem that both make.

May be imported by: estimators, checks, experiments, cli.
"""
