"""Objectives: what is minimised, and what clients know of it at a point.

base, memory, point
    ``Problem``, a finite sum over clients; what it remembers of a solve; and ``Point``, its values, gradients and
    Hessians at x, each computed once.
functions, functions_check, differences
    Problems of Python functions; whether those belong together; derivatives by differences.
operators
    Problems of monotone operators, in which nothing is minimised.
row_problem, glm, multinomial, ordinal, cox, risk_sets
    Problems of data rows: generalised linear models, multinomial, ordinal and Cox regression; who is at risk at events.
flix
    Each client keeps some of its own minimiser.
column_problem, split, personal, personal_point, personal_schema, private_minimum
    Problems whose columns can be taken apart; some of them with coefficients of each client's own, found by a damped
    Newton method of all clients at once.
rows, sparse_rows, block_diagonal
    The rows of all clients held here, dense or sparse, and the products that a problem needs of them.
schema, scaling
    What coordinates and labels are called where rows came from, and what was done to them.
losses/, regularisers
    φ with its first two derivatives; the penalties.
smoothness
    Constants L_i of rows.

May be imported by: datasets, bases, components, methods, monitors, solver, statistics, prediction,
estimators, checks, experiments, cli.
"""
