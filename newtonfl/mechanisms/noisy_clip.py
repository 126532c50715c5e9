"""A clipped difference and Gaussian noise are sent, and the client remembers what it sent without the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Message
from newtonfl.compressors import Clip, Compressor, Identity
from newtonfl.compressors.clip import clipped
from newtonfl.core.arguments import a_factor
from newtonfl.core.backend import Array, to_device
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Keys
from newtonfl.mechanisms.constants import a_probability
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class NoisyClip(Mechanism):
    """h ← h + β̂(clip_τ(x - g) + ξ) and g ← g + β̂clip_τ(x - g), with ξ of independent normal entries N(0, σ²).

    The clients' messages in Clip21-SGD2M (Islamov et al., arXiv 2502.11682; from a third party's page of it). h, which
    both ends hold, has the noise of every round in it; g is the client's own memory, which has none. σ = 0 is EF21 with
    clipping. No three-point mechanism.

    What a message lets a client's data change is at most 2τ long, and T messages are (ε, δ)-private by
    :func:`newtonfl.spent_epsilon`, against whoever cannot draw ξ again. Draws here have keys: whoever knows a solve's
    seed, the server among them, can. So this shows what noise does to a solve, and keeps no secret. It speaks of these
    messages alone, not of what else a method sends: a first Hessian or gradient that travels whole, or exact gradients.

    Parameters
    ----------
    tau : float
        τ, above 0.
    sigma : float
        σ, at least 0.
    beta_hat : float
        β̂ in (0, 1].
    whole : Compressor
        How the vector is sent: the identity, at the wire's precision.

    Raises
    ------
    ValueError
        If a number is outside its interval.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.NoisyClip(1.0, 0.5, 0.25).to_spec()
    'noisy-clip:1,0.5,0.25'
    """

    tau: float
    sigma: float
    beta_hat: float = 1.0
    whole: Compressor = field(default_factory=Identity, kw_only=True)
    name = "noisy-clip"
    main_field = None
    sends: ClassVar[str] = "by clipped changes with Gaussian noise"

    def __post_init__(self) -> None:
        Clip(self.tau)  # says so where τ is none
        a_factor("sigma", self.sigma)
        a_probability("beta_hat", self.beta_hat)

    def memory_rates(self, sizes: Array) -> Array:
        return np.full(len(sizes), float(self.beta_hat))

    def constants(self, size: int) -> tuple[float, float]:
        raise ValueError(f"{self} adds noise, of which no message tells the size: there are no (A, B)")

    def init_own_memory(self, estimate: Blocks) -> Blocks:
        return estimate

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        keys = Keys(encoder.key.to("noise"), encoder.clients)
        noise = [key.generator().standard_normal(int(n)) for key, n in zip(keys, encoder.space.sizes, strict=True)]
        drawn = to_device(np.concatenate([np.zeros(0), *noise]), points.target.values)
        news = self._news(points)
        return encoder.compress(self.whole, news.replaced(news.values + self.sigma * drawn))

    def update_own_memory(
        self, points: ThreePoints, messages: Sequence[Message], encoder: Encoder, coin: bool
    ) -> Blocks:
        assert isinstance(points.own, Blocks)
        return points.own + self._news(points).times(self.memory_rates(encoder.space.sizes))

    def _news(self, points: ThreePoints) -> Blocks:
        """clip_τ(x - g)."""
        assert isinstance(points.own, Blocks)
        return clipped(points.target - points.own, self.tau)
