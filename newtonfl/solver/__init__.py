"""Solver: the loop, the conversation with the clients, and when to stop.

solve
    ``nf.solve``: set up, round, record, stop. The only loop.
session
    One solve's conversation between the server and all clients, over any transport; failures find their way into it.
optimum
    ``nf.optimum``: the minimiser by Newton's method with every Hessian, off the ledger.
constants
    What theory takes as known: sup‖∇²f‖, L_i.

May be imported by: estimators, checks, experiments, cli.
"""
