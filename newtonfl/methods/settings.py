"""Settings that many methods share: their types, and what they mean; a method's docstring is filled up from here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from newtonfl.bases import Basis
from newtonfl.components.aggregation import Aggregator
from newtonfl.components.graph import Graph
from newtonfl.components.participation import Participation
from newtonfl.compressors import Compressor
from newtonfl.mechanisms import Mechanism
from newtonfl.methods.docstring import entries

Ridge: TypeAlias = Literal["server", "clients"]
StepName: TypeAlias = Literal["shift", "project", "plain", "cubic"]
Freshness: TypeAlias = Literal["fresh", "last"]
HessianInit: TypeAlias = Literal["hessian", "zero", "zero-total"]
GradientInit: TypeAlias = Literal["gradient", "zero"]
Batch: TypeAlias = int | Literal["full"]
TheoryOr: TypeAlias = float | Literal["theory"]

# Parts, or their text forms such as "topk:30", "cbag:0.5" and "uniform:8".
BasisForm: TypeAlias = Basis | Literal["auto"] | str
CompressorForm: TypeAlias = Compressor | str
MechanismForm: TypeAlias = Mechanism | Callable[[Compressor], Mechanism] | str | None
VectorForm: TypeAlias = Compressor | Mechanism | Literal["exact"] | str
GradientForm: TypeAlias = Compressor | Mechanism | Literal["exact", "invariant"] | str
ParticipationForm: TypeAlias = Participation | str
AggregatorForm: TypeAlias = Aggregator | str
GraphForm: TypeAlias = Graph | str

_EVERYWHERE = """
aggregator : Aggregator or str
    What the server makes of the clients' vectors, some of which may be arbitrary: Median(), Trimmed(t),
    GeometricMedian(), Krum(f), CentredClip(τ), Mean(), or one of them by buckets; as text "median", "trimmed:2",
    "geometric-median", "krum:2", "centred-clip:1", "bucketed:2/median".
participation : Participation or str
    Who takes part in a round: All(), Uniform(τ), Independent(p) or Trace.read(path); as text "all", "uniform:8" (or a
    share, "uniform:0.5"), "independent:0.5", "trace:PATH".
ridge : {"server", "clients"}
    Whether the server adds λ/2‖x‖² exactly, or it stands in every client's function, and so in what is learned.
wire : {"float64", "float32", "natural"}
    The precision at which numbers are sent; "natural" is signed powers of two.
"""

SECOND_ORDER = entries(
    """
compressor : Compressor or str
    C, how much of the change of a Hessian is sent, say TopK(30), RankR(1) or "topk:8d".
mechanism : Mechanism, callable, str or None
    What is sent, given what was sent before: a Mechanism such as CLAG(TopK(30), zeta=2.0), or what makes one of
    `compressor`, such as ThreePCv1, ``lambda c: CBAG(c, p=0.5)`` or "cbag:0.5". None is EF21 with `compressor` and
    `alpha`.
alpha : float or {"auto", "theory"}
    α, EF21's rate, in (0, 1]. "theory" is 1 - √(1-δ) for a contractive compressor and 1/(ω+1) for an unbiased one;
    "auto" is 1 for a contractive one and 1/(ω+1) for an unbiased one.
step_uses : {"after", "before"}
    Whether the step uses the estimate of the Hessian after this round's messages (Newton-3PC) or before them (FedNL).
basis : Basis or str
    In what coordinates Hessians are sent: a Basis, or "auto" (the rows' support where rows are sparse and the
    compressor acts on coordinates, else symmetric), "symmetric", "symmetric-plain", "support", "data", "rotation",
    "psd".
init : {"hessian", "zero", "zero-total"}
    H_i⁰: ∇²f_i(x⁰), sent once and counted as set-up; 0; or the data part that makes H_i⁰ with its ridge 0.
step : {"shift", "project", "plain", "cubic"}
    The step's matrix: "shift" H + l·I, "project" [H]_λ, "plain" H as it is; or "cubic", the minimiser of the model with
    (L_*/6)‖h‖³.
shift_norm : {"frobenius", "spectral"}
    The norm of l_i = ‖H_i - ∇²f_i‖.
l : {"fresh", "last"}
    Whether l_i is computed anew in a round in which no Hessian is sent, or the last one stays.
lipschitz : float or "theory"
    L_*, the constant of the cubic step, at least 0; "theory" is the mean of the clients' own bounds, sent as set-up.
line_search : int
    How many trial steps one exchange asks for; 0 is no line search.
armijo : float
    c of the line search: the share of the predicted decrease that a step must reach.
backtrack : float
    γ of the line search: a trial step is γ times the one before.
gradient : Compressor, Mechanism or str
    How ∇f_i is sent: "exact", by a Compressor (EF21 with it) or a Mechanism, as text "topk:30" or "cbag:0.5/topk:30";
    or "invariant", which partial participation needs and has without being asked for.
gradient_p : float
    p, how likely gradients are sent in a round, in (0, 1].
model : Compressor, Mechanism or str
    How the iterate is sent: "exact", by a Compressor (EF21 with it) or a Mechanism.
model_rate : float or {"auto", "theory"}
    η, the rate of that compressor: as `alpha`.
"""
    + _EVERYWHERE
)
"""What explains the settings of second-order methods."""

FIRST_ORDER = entries(
    """
stepsize : float or str
    γ: a number; "theory", the largest that the method's theorem allows for smooth f; "theory-pl", that for a linear
    rate under strong convexity or the Polyak-Łojasiewicz condition; "theory-convex", that for f(x^T) - f* = O(1/T)
    where the f_i are convex (the 3PC family); "theory-mean", EF21's larger one; or a multiple such as "theory*16".
compressor : Compressor or str
    C, how much of the change of a gradient is sent, say TopK(30) or "topk:0.1d".
init : {"gradient", "zero"}
    g_i⁰: ∇f_i(x⁰), sent whole in round 0; or 0, from which the mechanism begins.
batch : int or "full"
    How many of its rows a client draws for a gradient in each round, or all of them.
down : Compressor, Mechanism or str
    How the step reaches the clients: "exact" sends x; a Compressor (EF21 with it) or a Mechanism sends the direction,
    and the clients step themselves. As text "topk:30" or "adacgd:2,topk:1/topk:30".
"""
    + _EVERYWHERE
)
"""What explains the settings of first-order methods."""

LOCAL = entries(
    """
stepsize : float or str
    γ of a local step: a number; "theory", what the method's docstring says; or a multiple such as "theory*16".
steps : int
    How many local steps a client takes between two exchanges.
server_stepsize : float
    η_g, above 0: how far the server goes from x towards the mean of what came back.
p : float or "theory"
    p in (0, 1], the probability of an exchange after a local step: 1/p of them are taken on average. "theory" is √(μ/L)
    with L the largest L_i and μ that of the ridge.
batch : int or "full"
    How many of its rows a client draws for each local gradient, or all of them.
"""
    + _EVERYWHERE
)
"""What explains the settings of methods with local steps."""

GOSSIP = entries(
    """
graph : Graph or str
    Who is whose neighbour, with Metropolis weights: Ring(), Line(), Star(), Complete(), Torus(rows), ErdosRenyi(p) or
    Edges.read(path); as text "ring", "line", "star", "complete", "torus:4", "erdos-renyi:0.3", "edges:PATH".
stepsize : float or str
    η: a number; "theory", what the method's docstring says; or a multiple such as "theory*4".
compressor : Compressor or str
    C, contractive, say TopK("0.1d"); an unbiased one is scaled by 1/(1+ω).
gamma : float or "theory"
    γ in (0, 1], how far neighbours' shadows pull; "theory" is δρ.
batch : int or "full"
    How many of its rows a client draws for a gradient, or all of them.
wire : {"float64", "float32", "natural"}
    The precision at which numbers are sent; "natural" is signed powers of two.
"""
)
"""What explains the settings of methods without a server."""
