"""At most K entries, as many as the contract asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Message, Sparse
from newtonfl.compressors.compressor import Contractive, KeepsK
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.kernels import largest


@dataclass(frozen=True)
class TopLEK(KeepsK):
    """TopLEK: of the K largest entries so few that E‖C(x) - x‖² = (1 - δ)‖x‖², δ = K/size (arXiv 2410.08760).

    With r_j the energy that the j largest entries leave over, j is the least number with r_j ≤ (1 - δ)‖x‖²; one entry
    fewer is sent with probability ((1 - δ)‖x‖² - r_j) / (r_{j-1} - r_j). In the isometric coordinates of a symmetric
    matrix the norm is Frobenius's. The authors' program stops earlier, at a slack of 0.1‖x‖²; here is none.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``, or ``"1r"`` of that of the client's own matrix: in the data
        basis its rank r.

    Examples
    --------
    Without its largest entry this vector keeps half of its norm's square, which δ = 3/6 allows to lose:

    >>> import numpy as np, newtonfl as nf
    >>> nf.TopLEK(3).compress(np.array([1.0, 1.0, -2.0, 1.0, 1.0, 0.0]), nf.Key(0)).coordinates()
    (array([2]), array([-2.]))
    """

    name = "toplek"

    def contract(self, size: int) -> Contractive:
        return Contractive(self.kept(size) / size if size else 1.0)

    def compress(self, v: Array, key: Key) -> Message:
        order, fewer = self.choice(v)
        if len(order) and key.generator().random() < fewer:
            order = order[:-1]
        kept = np.sort(order)
        return Sparse(kept, v[kept])

    def choice(self, v: Array) -> tuple[Array, float]:
        """The j largest entries of `v`, the largest first, and the probability that the last of them stays at home."""
        largest_k, _ = largest(v, np.array([0, len(v)]), self.kept(len(v)))
        order = largest_k[np.argsort(-np.abs(v[largest_k]), kind="stable")]
        peak = np.abs(v).max(initial=0.0)
        if not (len(order) and np.isfinite(peak)):
            return order, 0.0
        energy = (v / peak) ** 2  # beside the largest: squares neither overflow nor vanish
        others = np.delete(energy, largest_k).sum()
        left = others + np.append(np.cumsum(energy[order][::-1])[::-1], 0.0)  # left[j] = r_j
        allowed = (1.0 - self.contract(len(v)).delta) * left[0]
        # left[0] > allowed since δ > 0, and r_K ≤ allowed but for rounding: then K it is.
        j = int(np.argmax(left <= allowed)) if left[-1] <= allowed else len(order)
        return order[:j], float(np.clip((allowed - left[j]) / (left[j - 1] - left[j]), 0.0, 1.0))
