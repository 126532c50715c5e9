"""AdaCGD: a ladder of compressors, from saying nothing to saying much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Choice, Message, Nothing
from newtonfl.compressors import Compressor
from newtonfl.core.arguments import a_factor
from newtonfl.mechanisms.constants import a_compressor, contraction, of_contraction
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class AdaCGD(Mechanism):
    """The first of h, h + C₁(x - h), …, h + C_m(x - h) whose error is at most ζ‖x - y‖², else the last.

    AdaCGD (Makarenko et al., arXiv 2211.00188, Ada3PC of EF21 compressors). A = min A_j and B = max{B_j, ζ}. One level
    is CLAG; ζ = 0 is EF21 with C_m, unless a level is exact. A message carries its level: the history counts them.

    Parameters
    ----------
    levels : tuple of Compressor
        From the strongest compression to the weakest.
    zeta : float
        ζ ≥ 0.

    Raises
    ------
    TypeError
        If a level is no Compressor.
    ValueError
        If there is no level, or ζ is not a finite number of at least 0.

    Examples
    --------
    >>> import newtonfl as nf
    >>> ladder = nf.AdaCGD((nf.TopK(3), nf.TopK(4)), zeta=2.0)
    >>> ladder.to_spec(), ladder.constants(4)
    ('adacgd:2,topk:3/topk:4', (0.5, 2.0))
    """

    levels: tuple[Compressor, ...]
    zeta: float = 2.0
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        if not self.levels:
            raise ValueError("levels: given none, must be at least one compressor")
        for level in self.levels:
            a_compressor("levels", level)
        a_factor("zeta", self.zeta)

    name = "adacgd"
    shorthand = ("zeta", "levels")
    main_field = "levels"

    @property
    def main(self) -> Compressor:
        return self.levels[-1]

    def constants(self, size: int) -> tuple[float, float]:
        a, b = zip(*(of_contraction(contraction(level, size)) for level in self.levels), strict=True)
        return min(a), max(*b, self.zeta)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        enough = self.zeta * encoder.squares(points.change)
        chosen: list[Message] = [Choice(0, Nothing()) for _ in encoder.clients]
        undecided = encoder.squares(points.error) > enough
        for j, level in enumerate(self.levels):
            if not undecided.any():
                break
            tried = encoder.compress(level, points.error, f"level {j}" if j + 1 < len(self.levels) else "")
            chosen = [
                Choice(j + 1, new) if open_ else old for new, old, open_ in zip(tried, chosen, undecided, strict=True)
            ]
            undecided = np.logical_and(undecided, encoder.squares(encoder.less(points.error, tried)) > enough)
        return chosen
