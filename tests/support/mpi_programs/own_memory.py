"""Mechanisms with a memory of their own, at every place that a method has for one, on however many ranks there are.

Run as a program it solves with each of :data:`METHODS` and prints a line of JSON a solve.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

import newtonfl as nf
from newtonfl.comm.launcher import launched
from newtonfl.comm.messages import Nothing
from newtonfl.components.gradient.invariant import InvariantGradient
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms import Mechanism
from newtonfl.mechanisms.constants import contraction, of_contraction


@dataclass(frozen=True)
class Momentum(Mechanism):
    """h + C(v⁺ - h) with v⁺ = (1 - β)v + βx: a moving average of the targets is sent in their place."""

    compressor: nf.Compressor
    beta: float = 0.5

    def constants(self, size):
        raise ValueError("momentum: v may be far from h, y and x alike")

    def init_own_memory(self, estimate):
        return estimate

    def average(self, points):
        return points.own.replaced((1.0 - self.beta) * points.own.values + self.beta * points.target.values)

    def messages(self, points, encoder, coin):
        return encoder.compress(self.compressor, self.average(points) - points.estimate)

    def update_own_memory(self, points, messages, encoder, coin):
        return self.average(points)


@dataclass
class Log:
    """For how many rounds each client has been silent, and what its last message left out."""

    age: Any
    left: Blocks


@dataclass(frozen=True)
class Impatient(Mechanism):
    """CLAG (3PC, arXiv 2202.00998) that lets nobody keep still for more than `most` rounds: (A, B) stay CLAG's."""

    compressor: nf.Compressor
    zeta: float = 1e4
    most: int = 1
    needs_previous: ClassVar[bool] = True

    def constants(self, size):
        a, b = of_contraction(contraction(self.compressor, size))
        return a, max(b, self.zeta)

    def init_own_memory(self, estimate):
        return Log(np.zeros(len(estimate)), estimate.replaced(0.0 * estimate.values))

    def messages(self, points, encoder, coin):
        due = encoder.squares(points.error) > self.zeta * encoder.squares(points.change)
        due |= points.own.age >= self.most
        told = encoder.compress(self.compressor, points.error)
        return [message if sends else Nothing() for message, sends in zip(told, due, strict=True)]

    def update_own_memory(self, points, messages, encoder, coin):
        silent = np.array([isinstance(message, Nothing) for message in messages], dtype=bool)
        age = np.where(silent, points.own.age + 1.0, 0.0)
        return Log(age, encoder.less(points.error, messages))


VECTORS = nf.TopK("0.2d")


def vectors(method, mechanism, **more):
    """A first-order method whose clients' gradients go by another mechanism."""
    return replace(method, gradient=replace(method.gradient, mechanism=mechanism), **more)


def directions(method, mechanism):
    """A method whose clients step themselves, along directions that go by another mechanism."""
    return replace(method, model=replace(method.model, mechanism=mechanism))


def rows(method, mechanism):
    """A method whose clients tell a number a row, by another mechanism."""
    return replace(method, curvature=replace(method.curvature, mechanism=mechanism))


def invariant(method, mechanism):
    """A method under partial participation whose invariants go by another mechanism."""
    return replace(method, gradient=InvariantGradient(mechanism, p=0.5))


METHODS = {
    "hessians": lambda: nf.newton_3pc(mechanism=Momentum(nf.TopK("1d"))),
    "hessians of some": lambda: nf.newton_3pc_bc_pp(
        mechanism=Impatient(nf.TopK("1d")), participation=nf.Uniform(3), model="exact"
    ),
    "rows": lambda: rows(nf.nl1(), Momentum(nf.TopK(9))),
    "gradients": lambda: vectors(nf.ef21(stepsize=1.0), Momentum(VECTORS)),
    "gradients of some": lambda: vectors(nf.ef21_pp(stepsize=0.3, participation=nf.Uniform(3)), Momentum(VECTORS)),
    "gradients from zero": lambda: vectors(nf.ef21(stepsize=0.5, init="zero"), Impatient(VECTORS)),
    "directions": lambda: directions(nf.ef21_bc(stepsize=0.3), Momentum(VECTORS)),
    "models": lambda: nf.newton_3pc_bc(model=Momentum(VECTORS, 0.9)),
    "models to some": lambda: nf.newton_3pc_bc_pp(model=Momentum(VECTORS, 0.9), participation=nf.Uniform(3)),
    "models, lazily": lambda: nf.newton_3pc_bc(model=Impatient(VECTORS)),
    "invariants": lambda: invariant(nf.fednl_pp(participation=nf.Uniform(4)), Momentum(nf.Identity(), 0.9)),
    "within another": lambda: nf.newton_3pc(mechanism=nf.ThreePCv3(nf.TopK("1d"), Impatient(nf.TopK("1d")))),
}
"""By where the mechanism stands."""


def solved(method, rounds=25, comm=None):
    """What a solve found, as JSON has it."""
    result = nf.solve(nf.load("breast_cancer", clients=7, comm=comm), method, rounds=rounds, tol=1e-11, seed=3)
    history = [{k: v for k, v in json.loads(record.to_json()).items() if k != "seconds"} for record in result.history]
    return {"x": result.x_sha256, "history": history, "ledger": result.ledger.totals(), "reason": result.reason.value}


if __name__ == "__main__":
    if launched() is None:
        world, rank = None, 0
    else:
        from mpi4py import MPI

        world, rank = MPI.COMM_WORLD, MPI.COMM_WORLD.Get_rank()
    for name, make in METHODS.items():
        line = json.dumps({"name": name, **solved(make(), comm=world)})
        if rank == 0:
            print(line, flush=True)
