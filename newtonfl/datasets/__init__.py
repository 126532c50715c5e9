"""Datasets: from files and arrays to a Problem with its rows on the ranks that hold its clients.

catalogue, problem_file, problem_reader, python_problem
    The problems that come with the library; a problem file's sections, its text and its mistakes; problems in Python.
sources, fetch, file_bytes, libsvm_reader, libsvm_lines, csv_columns, csv_reader, npz_reader, sklearn_reader, table
    What a source is, where files are, checked downloads, what a text file holds, one reader a format, what was read.
values, frames, columns, agreement
    Labels and client ids as numbers or strings; tables of pandas, polars and pyarrow as arrays; columns joined over all
    sources; the rows of several files or ranks, described and compared.
summaries, moments, levels, scaled
    What clients send of their rows before any solve, counted: sums that come to the columns' means and variances, and
    the names of levels; columns scaled over all clients.
splits, partition, arrays, per_row
    Which client has which rows: of a problem file, and of arrays in memory; the rows' weights, offsets and events.
distribute, guard
    The one way of rows to ranks; what a site must have before it answers.
load, from_arrays, build
    ``nf.load`` and ``nf.from_arrays``, and the Problem that both make.

May be imported by: prediction, estimators, checks, experiments, cli.
"""
