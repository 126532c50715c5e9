"""``method="auto"``: the method that a fit is likely to take the least time with, by a rule of cost."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"

METHODS = {
    "newton": "newton,line_search=1,armijo=0.1",
    "newton-cg": "newton-cg,preconditioner=jacobi,line_search=1",
    "l-bfgs": "l-bfgs",
    "newton-3pc": "newton-3pc,compressor=topk:4d,line_search=1,armijo=0.1",
}
"""What is chosen from, in words: each from anywhere, for every loss here, without a penalty on the intercept. One trial
step an exchange: the first will do as a rule, and each is a pass over the rows."""

MOST_BYTES = 2.5e8
"""So much may the clients' Hessians take, with the copies that are made of them on their way."""

COPIES = 9
"""Of every client's Hessian, where most of them are there: sums, differences, messages, both ends' estimates."""

# Seconds as measured on one core.
_DENSE, _SPARSE = 4e-10, 1.5e-9  # an entry of the rows in a product with them
_GRAM, _SPARSE_GRAM = 1e-10, 3e-9  # a pair of entries in a Hessian
_MESSAGE, _NUMBER = 5e-5, 1.2e-8  # a message, and a number in it
_LATENCY, _NUMBER_SENT = 0.1, 6.4e-6  # an exchange, and a number of a client, over 10 Mbit/s and 50 ms each way

# Rounds to ‖∇f‖ ≤ 1e-9, and products a round, as they mostly are.
_NEWTON, _LEARNED, _LBFGS, _PRODUCTS = 8, 40, 150, 15

_CAUTION = 3.0
"""What newton-cg's and l-bfgs's rounds are multiplied by: they grow with the columns' scales and correlations."""


@dataclass(frozen=True)
class Size:
    """What the rule looks at: the same on every rank.

    Attributes
    ----------
    clients, rows : int
        n and N, over all ranks.
    columns : int
        Of the rows, the intercept's included.
    entries : int
        Of all rows that are stored: N times the columns where rows are dense.
    classes : int
        K of a multinomial loss, and 2 of any other.
    ranks : int
        Processes that the clients are on.
    apart : bool
        Whether the clients hold rows of their own, far from each other: then messages take a network's time.
    """

    clients: int
    rows: int
    columns: int
    entries: int
    classes: int = 2
    ranks: int = 1
    apart: bool = False

    @property
    def dim(self) -> int:
        """d = (K - 1) times the columns."""
        return (self.classes - 1) * self.columns

    @property
    def hessian(self) -> float:
        """How many entries of a client's Hessian can differ from zero: at most d(d + 1)/2."""
        whole = self.dim * (self.dim + 1) / 2.0
        return whole if self.classes > 2 else min(whole, self.pairs / self.clients)

    @property
    def pairs(self) -> float:
        """How many pairs of entries meet in a row, over all rows."""
        per_row = self.entries / max(self.rows, 1)
        return self.rows * per_row * (per_row + 1.0) / 2.0


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes
    ----------
    method : str
        As ``nf.solve`` takes it.
    why : str
        The estimates that were compared.
    """

    method: str
    why: str


def choose(size: Size) -> Choice:
    """The method of the least estimated time among those whose Hessians fit.

    A round of newton and newton-3pc sums every client's Hessian from pairs of entries and sends it whole, or 4d numbers
    of it, and factors a (d, d) matrix; newton-cg takes a product with the rows and d numbers an exchange, some fifteen
    a round; l-bfgs the same twice a round, in many rounds. Rounds are taken as they mostly are, 8, 40, 8 and 150, and
    those of the last two three times as many: the rule does not know how the columns are scaled, and a Hessian that
    fits does not mind.

    Parameters
    ----------
    size : Size

    Returns
    -------
    Choice
    """
    dense = size.entries >= 0.5 * size.rows * size.columns
    product = (size.classes - 1) * size.entries * (_DENSE if dense else _SPARSE)
    pairs = size.rows * size.dim**2 / 2.0 if size.classes > 2 else size.pairs
    hessian = pairs * (_GRAM if dense or size.classes > 2 else _SPARSE_GRAM) / size.ranks
    factor = size.dim**3 / 6.0 * _GRAM

    def taken(exchanges: float, numbers: float, products: float) -> float:
        work = exchanges * _MESSAGE + numbers * _NUMBER
        sent = exchanges * _LATENCY + numbers * _NUMBER_SENT if size.apart else 0.0
        return size.clients * work / size.ranks + sent + products * product / size.ranks

    d, cg = size.dim, _NEWTON * (_PRODUCTS + 2)
    seconds = {
        "newton": _NEWTON * (hessian + factor) + taken(2 * _NEWTON, _NEWTON * size.hessian, 3 * _NEWTON),
        "newton-cg": _CAUTION * taken(cg, cg * d, 2 * cg),
        "l-bfgs": _CAUTION * taken(2 * _LBFGS, _LBFGS * d, 3 * _LBFGS),
        "newton-3pc": _LEARNED * (2.0 * hessian + factor)
        + taken(2 * _LEARNED, size.hessian + 1.5 * _LEARNED * min(4 * d, size.hessian), 3 * _LEARNED),
    }
    bytes_taken = 8.0 * (COPIES * size.hessian * size.clients / size.ranks + 4.0 * d**2)
    if bytes_taken > MOST_BYTES:
        del seconds["newton"], seconds["newton-3pc"]
    least = min(seconds, key=lambda name: seconds[name])
    compared = ", ".join(f"{name} {seconds[name]:.2g} s" for name in sorted(seconds, key=lambda name: seconds[name]))
    too_large = f"; Hessians would take {bytes_taken / 2**30:.2g} GiB" if bytes_taken > MOST_BYTES else ""
    return Choice(METHODS[least], f"the least of the estimated times for d = {d:,}: {compared}{too_large}")
