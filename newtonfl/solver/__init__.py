"""Solver: the loop, the conversation with the clients, and when to stop.

solve, result
    ``nf.solve``, and the Result with its Reason.
arguments
    What is refused where a problem must be.
loop, stopping, limits
    Set up, round, record, stop: the only loop; and when it ends, by itself or by a user's limit.
observers
    Who looks at every round: the callback, and the monitors.
attendance
    Which clients are there when a round wants them, and what is done about those who are not.
checkpoint, checkpointed_solve
    Files of a solve's state, two generations; and a solve that is resumed from them, and saved in them.
state_tree, saved_clients
    A state as a description and arrays, and back; the clients' part of a checkpoint.
environment
    What the bits depend on beside the arguments: versions, code, the BLAS kernel.
recession, rounding
    What an end may hide: no minimiser, or a gradient that is rounding alone.
session, questions
    One solve's conversation between the server and all clients, over any transport, failures included; and what may be
    asked off the ledger.
true_hessian, optimum
    ∇²f itself; and ``nf.optimum``: the minimiser by Newton's method with every Hessian, off the ledger.
constants
    What theory takes as known: sup‖∇²f‖, L_i.

May be imported by: statistics, estimators, checks, experiments, cli.
"""
