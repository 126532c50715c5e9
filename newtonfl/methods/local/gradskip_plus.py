"""GradSkip+: Scaffnew whose control variates learn through any unbiased compressor in every local step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.protocol import Announcement
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, RandK
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, made_contractive, omega
from newtonfl.methods.local.scaffnew import Scaffnew, ScaffnewClients, exchange_chance
from newtonfl.methods.settings import LOCAL, CompressorForm, TheoryOr
from newtonfl.methods.standalone.exact import decoded, for_each, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class GradSkipPlusRule(StepSizeRule):
    """γ = 1/(max L_i·(1 + (1/p² - 1)ω/(1+ω))): GradSkip's p²/(1 - q(1 - p²)) over L_i with 1/(1+ω) for q.

    From memory of the paper, and 1/max L_i without a compressor. Steps of 1/max L_i with one may diverge.

    Parameters
    ----------
    p : float or "theory"
    compressor : Compressor
    """

    p: TheoryOr
    compressor: Compressor
    formulas: ClassVar[dict[str, str]] = {"theory": "1/(max L_i·(1 + (1/p² - 1)ω/(1+ω)))"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        squared = exchange_chance(at.most, at.convexity) ** 2 if isinstance(self.p, str) else float(self.p) ** 2
        w = omega(self.compressor, at.constants.dim)
        gamma = 1.0 / (at.most * (1.0 + (1.0 / squared - 1.0) * w / (1.0 + w)))
        return gamma, {"L_max": at.most, "p": math.sqrt(squared), "omega": w}


@dataclass(frozen=True)
class GradSkipPlus(Scaffnew):
    """See :func:`gradskip_plus`."""

    compressor: Compressor = RandK("0.5d")

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)

    def rule(self) -> GradSkipPlusRule:  # type: ignore[override]
        return GradSkipPlusRule(self.p, self.compressor)

    def components(self) -> dict[str, str]:
        return {"sends": "the mean and how many steps down; x_i - (γ/p)h_i up", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        compressor = self.compressor.for_dimension(problem.dim)
        Coordinates(np.full(1, problem.dim)).check(compressor)
        omega(compressor, problem.dim)  # says where it is biased
        return replace(super().resolved(problem), compressor=compressor)

    def local(
        self, clients: ScaffnewClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        gamma, weight = numbers[:, :1], numbers[:, 1:2]
        y = for_each(received(announcement.to_all["model"], problem), problem)
        h, n = clients.h + weight * (y - clients.y), len(problem.clients)
        space, shrunk = Coordinates(np.full(n, problem.dim)), made_contractive(self.compressor)
        for step in range(self.steps_in(announcement)):
            gradient = self.gradient(problem, y, key, step)
            away, draws = equal_blocks(gradient - h), key.to(f"step {step}").to("shift")
            kept = decoded(space.compress(shrunk, away, problem.clients, draws), problem.dim, y)
            h = gradient - kept  # ĥ_i
            y = y - gamma * kept
        return ManyParts({"model": messages(y - h / weight)}, n), ScaffnewClients(numbers, h, y)


@method("gradskip-plus", LOCAL)
def gradskip_plus(
    *, compressor: CompressorForm = RandK("0.5d"), stepsize: float | str = "theory", p: TheoryOr = "theory"
) -> GradSkipPlus:
    """GradSkip+ (Maranjyan, Safaryan and Richtárik, arXiv 2210.16402): GradSkip with a compressor for clients' coins.

    ĥ_i = ∇f_i(x_i) - C(∇f_i(x_i) - h_i)/(1+ω), x_i ← x_i - γ(∇f_i(x_i) - ĥ_i), and on the shared coin x̄ = mean(x_i -
    (γ/p)ĥ_i), h_i = ĥ_i + (p/γ)(x̄ - x_i). C compresses nothing that is sent: with RandK a coordinate of h_i stays as
    it is where it is drawn, and becomes that of ∇f_i elsewhere. A coin for all coordinates at once is gradskip, and
    C = I is scaffnew. The paper has a second compressor for the exchange itself, of which the coin is the one form that
    spares messages, and the one here. From memory.

    A test bed rather than a saving: every step costs a gradient, and steps are short where C leaves much out
    (:class:`newtonfl.methods.local.gradskip_plus.GradSkipPlusRule`).

    What is sent: x̄ and the number of steps down, x_i - (γ/p)ĥ_i up; γ and p/γ down, once.

    Parameters
    ----------
    compressor : Compressor or str
        C, unbiased, say RandK("0.5d") or "natural".
    """
    return GradSkipPlus(stepsize, name="gradskip-plus", p=p, compressor=cast(Compressor, compressor))
