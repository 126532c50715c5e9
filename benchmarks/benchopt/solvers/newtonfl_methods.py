"""newtonfl, the clients in one process; every packet is made and counted as over MPI."""

import numpy as np
from benchopt import BaseSolver

import newtonfl as nf


class Solver(BaseSolver):
    name = "newtonfl"
    parameters = {"method": ["newton-3pc", "newton", "bl1", "ef21"], "clients": [8]}
    requirements = ["pip::newtonfl"]
    sampling_strategy = "iteration"

    def set_objective(self, X, y, l2):
        self.problem = nf.from_arrays(X, y, "logistic", l2=l2, clients=self.clients)

    def warm_up(self):
        self.run(1)  # compiles what is compiled

    def run(self, n_iter):
        self.result = nf.solve(self.problem, self.method, rounds=n_iter, tol=0.0)

    def get_result(self):
        sent = self.result.ledger.totals()["bytes"]
        both = sum(sent[way]["mean"] for way in ("up", "down", "setup_up", "setup_down"))
        return {"x": np.asarray(self.result.x), "kilobytes": both / 1e3}
