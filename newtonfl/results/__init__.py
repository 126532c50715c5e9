"""Results: what a solve leaves behind, counted, written and drawn.

record, history
    What happened in a round, and in all of them: as JSON lines, CSV and data frames.
costs, network
    What an accuracy cost in rounds, bytes and seconds on a stated network.
profile
    Where the time of a solve has gone.
run_folder, folder_lock, progress
    The files of a run, written by one job at a time; the line on the terminal.
figures, curves, plots, labels, label_placement
    Which pictures there are, what they draw of histories, how, what tells the runs apart, and where that is written.
    plots is the only file that may name Matplotlib.
report, page
    The report of runs as one HTML page, and the pieces that it, and what notebooks show, are put together of.

May be imported by: monitors, solver, estimators, experiments, cli.
"""
