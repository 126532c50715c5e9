"""First-order presets that are the same method: the same bits, or as near as sums in another order are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from first_order_setting import GAMMA, made, small
from played import iterates

from newtonfl.comm.messages import Message, Nothing
from newtonfl.compressors import Clip, Compressor, Contractive, Identity, RandK, TopK, Unbiased
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import EF21
from newtonfl.methods import All, Uniform


@dataclass(frozen=True)
class Mute(Compressor):
    """Says nothing; that it is unbiased or contractive is a lie."""

    unbiased: bool = False

    def contract(self, size: int) -> Contractive | Unbiased:
        return Unbiased(0.0) if self.unbiased else Contractive(1e-9)

    def compress(self, v: np.ndarray, key: Key) -> Message:
        return Nothing()

    def compress_all(self, vectors: Blocks, keys: Any) -> list[Message]:
        return [Nothing() for _ in keys]


C = TopK(3)
ADDS = 1e-12  # sums in another order
EXACT = {"compressor": Identity()}

# name: ((preset, settings), (preset, settings), largest difference relative to the largest iterate; 0: the same bits)
IDENTITIES: dict[str, tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]], float]] = {
    "clag with ζ = 0 is ef21": (("clag", {"compressor": C, "zeta": 0.0}), ("ef21", {"compressor": C}), 0.0),
    "adacgd with one level and ζ = 0 is ef21": (
        ("adacgd", {"levels": (C,), "zeta": 0.0}), ("ef21", {"compressor": C}), 0.0
    ),
    "adacgd with one level is clag": (
        ("adacgd", {"levels": (C,), "zeta": 2.0}), ("clag", {"compressor": C, "zeta": 2.0}), 0.0
    ),
    "lag is clag with the identity": (("lag", {"zeta": 0.5}), ("clag", {**EXACT, "zeta": 0.5}), 0.0),
    "lag with ζ = 0 is gd": (("lag", {"zeta": 0.0}), ("gd", {}), ADDS),
    "marina with p = 1 is gd": (("marina", {"compressor": RandK(3), "p": 1.0}), ("gd", {}), ADDS),
    "marina with the identity is gd": (("marina", EXACT), ("gd", {}), ADDS),
    "vr-marina with p = 1 is marina with p = 1": (
        ("vr-marina", {"compressor": RandK(3), "p": 1.0, "batch": 2}),
        ("marina", {"compressor": RandK(3), "p": 1.0}),
        0.0,
    ),
    "vr-marina of all rows is marina": (
        ("vr-marina", {"compressor": RandK(3), "p": 0.3, "batch": 99}),
        ("marina", {"compressor": RandK(3), "p": 0.3}),
        ADDS,
    ),
    "ef21-page with p = 1 is ef21": (
        ("ef21-page", {"compressor": C, "p": 1.0, "batch": 2}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-page of all rows is ef21": (
        ("ef21-page", {"compressor": C, "p": 0.3, "batch": 99}), ("ef21", {"compressor": C}), ADDS
    ),
    "vr-diana of all rows is diana": (
        ("vr-diana", {"compressor": RandK(3), "p": 0.3, "batch": 99}), ("diana", {"compressor": RandK(3)}), ADDS
    ),
    "byz-vr-marina-pp of the mean without clipping is pp-marina": (
        (
            "byz-vr-marina-pp",
            {"compressor": RandK(3), "participation": Uniform(3), "aggregator": "mean", "clip": "none"},
        ),
        ("pp-marina", {"compressor": RandK(3), "participation": Uniform(3)}),
        0.0,
    ),
    "byz-vr-marina-pp of minibatches, the mean, without clipping, of all is vr-marina": (
        (
            "byz-vr-marina-pp",
            {
                "compressor": RandK(3), "participation": All(), "aggregator": "mean", "clip": "none", "batch": 3,
                "stepsize": 0.5,
            },
        ),
        ("vr-marina", {"compressor": RandK(3), "batch": 3, "stepsize": 0.5}),
        0.0,
    ),
    "pp-marina of all is marina": (
        ("pp-marina", {"compressor": RandK(3), "participation": Uniform(5)}), ("marina", {"compressor": RandK(3)}), 0.0
    ),
    "dasha with the identity is gd": (("dasha", EXACT), ("gd", {}), ADDS),
    "dasha of all entries is gd": (("dasha", {"compressor": RandK(14), "momentum": 0.3}), ("gd", {}), ADDS),
    "diana with the identity is gd": (("diana", EXACT), ("gd", {}), ADDS),
    "diana is ef-bv with ν = 1": (
        ("diana", {"compressor": RandK(3), "alpha": 0.2}),
        ("ef-bv", {"compressor": RandK(3), "lam": 0.2, "nu": 1.0}),
        0.0,
    ),
    "artemis of all, exact, is diana": (
        ("artemis", {"compressor": RandK(3), "down": "exact", "participation": All()}),
        ("diana", {"compressor": RandK(3)}),
        0.0,
    ),
    "dore with identities is gd": (
        ("dore", {**EXACT, "down": Identity(), "alpha": 1.0, "beta": 1.0, "eta": 1.0}), ("gd", {}), ADDS
    ),
    "ef21 with the identity is gd": (("ef21", EXACT), ("gd", {}), ADDS),
    "ef21-plus with the identity is gd": (("ef21-plus", EXACT), ("gd", {}), ADDS),
    "error feedback with the identity is gd": (("error-feedback", EXACT), ("gd", {}), ADDS),
    "econtrol with η = 0 is ef21": (("econtrol", {"compressor": C, "eta": 0.0}), ("ef21", {"compressor": C}), 0.0),
    "econtrol with η = 0 from zero is ef21 from zero": (
        ("econtrol", {"compressor": C, "eta": 0.0, "init": "zero"}), ("ef21", {"compressor": C, "init": "zero"}), 0.0
    ),
    **{
        f"econtrol with the identity and η = {eta} is gd": (("econtrol", {**EXACT, "eta": eta}), ("gd", {}), ADDS)
        for eta in (0.0, 0.3, 1.0)
    },
    "clip21 that clips nothing is gd": (("clip21", {"tau": 1e3, "longest": np.inf}), ("gd", {}), ADDS),
    "clip21 is ef21 from zero with clipping": (
        ("clip21", {"tau": 0.1, "longest": np.inf}), ("ef21", {"compressor": Clip(0.1), "init": "zero"}), 0.0
    ),
    "clip21-sgd2m without noise and momenta is clip21": (
        ("clip21-sgd2m", {"tau": 0.1, "sigma": 0.0, "beta": 1.0, "beta_hat": 1.0}),
        ("clip21", {"tau": 0.1, "longest": np.inf}),
        ADDS,
    ),
    "3pc-v1 with the identity is gd": (("3pc-v1", EXACT), ("gd", {}), ADDS),
    "3pc-v4 with the identity is gd": (("3pc-v4", {"compressor": Identity(), "first": C}), ("gd", {}), ADDS),
    "3pc-v5 with p = 1 is gd": (("3pc-v5", {"compressor": C, "p": 1.0}), ("gd", {}), ADDS),
    "ef21-bc with the identity down is ef21": (
        ("ef21-bc", {"compressor": C, "down": Identity()}), ("ef21", {"compressor": C}), ADDS
    ),
    "ef21-bc with exact down is ef21": (
        ("ef21-bc", {"compressor": C, "down": "exact"}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-w is ef21 for topk": (("ef21-w", {"compressor": C}), ("ef21", {"compressor": C}), ADDS),
    "ef21-pp of all is ef21": (
        ("ef21-pp", {"compressor": C, "participation": All()}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-pp of n is ef21": (
        ("ef21-pp", {"compressor": C, "participation": Uniform(5)}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-hb with η = 0 is ef21": (("ef21-hb", {"compressor": C, "eta": 0.0}), ("ef21", {"compressor": C}), 0.0),
    "ef21-sgd with all rows is ef21": (("ef21-sgd", {"compressor": C, "batch": 99}), ("ef21", {"compressor": C}), 0.0),
    "ef21-sgdm with η = 1 is ef21-sgd": (
        ("ef21-sgdm", {"compressor": C, "batch": 2, "eta": 1.0}), ("ef21-sgd", {"compressor": C, "batch": 2}), 0.0
    ),
    "3pc-v4 with a mute first is ef21": (
        ("3pc-v4", {"compressor": C, "first": Mute()}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v4 with a mute second is ef21": (
        ("3pc-v4", {"compressor": Mute(), "first": C}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v2 with a mute first is ef21": (
        ("3pc-v2", {"compressor": C, "first": Mute(True)}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v3 about ef21 is 3pc-v4": (
        ("3pc-v3", {"compressor": C, "inner": EF21(TopK(2))}), ("3pc-v4", {"compressor": C, "first": TopK(2)}), 0.0
    ),
    "ef-bv with λ = ν = 1 is ef21 from zero": (
        ("ef-bv", {"compressor": C, "lam": 1.0, "nu": 1.0}), ("ef21", {"compressor": C, "init": "zero"}), ADDS
    ),
    "adiana of all entries is adiana with the identity": (
        ("adiana", {**EXACT, "p": 1.0}), ("adiana", {"compressor": RandK(14), "p": 1.0}),
        ADDS,
    ),
    "error feedback is ef-bv with λ = 0 as long as nothing is lost": (
        ("error-feedback", EXACT), ("ef-bv", {**EXACT, "lam": 0.0, "nu": 1.0}), ADDS
    ),
    "fedavg of one step is gd": (("fedavg", {"steps": 1}), ("gd", {}), ADDS),
    "fedprox with ν = 0 is fedavg": (("fedprox", {"steps": 3, "prox": 0.0}), ("fedavg", {"steps": 3}), 0.0),
    "scaffold of one step is gd": (("scaffold", {"steps": 1}), ("gd", {}), ADDS),
    "scaffnew with p = 1 is gd": (("scaffnew", {"p": 1.0}), ("gd", {}), ADDS),
    "gradskip-plus with the identity is scaffnew": (
        ("gradskip-plus", {"p": 0.3, "compressor": Identity()}), ("scaffnew", {"p": 0.3}), ADDS
    ),
    "gradskip with q = 1 is scaffnew": (("gradskip", {"p": 0.3, "q": 1.0}), ("scaffnew", {"p": 0.3}), ADDS),
    "i-scaffnew with everybody's γ is scaffnew": (("i-scaffnew", {"p": 0.3}), ("scaffnew", {"p": 0.3}), ADDS),
    "vr-proxskip with all rows is scaffnew": (
        ("vr-proxskip", {"p": 0.3, "batch": 99, "refresh": 0.5}), ("scaffnew", {"p": 0.3}), ADDS
    ),
    "compressed-scaffnew with s = n is scaffnew": (
        ("compressed-scaffnew", {"p": 0.3, "s": 5}), ("scaffnew", {"p": 0.3}), ADDS
    ),
    "tamuna of all is compressed-scaffnew": (
        ("tamuna", {"p": 0.3, "s": 2, "participation": All()}), ("compressed-scaffnew", {"p": 0.3, "s": 2}), 0.0
    ),
    "scallion with α = 1 and the identity is scaffold": (
        ("scallion", {**EXACT, "alpha": 1.0, "steps": 3}), ("scaffold", {"steps": 3}), ADDS
    ),
    "scafcom of one step with β = 1 is ef21 from zero": (
        ("scafcom", {"compressor": C, "steps": 1, "beta": 1.0}),
        ("ef21", {"compressor": C, "init": "zero", "ridge": "clients"}), ADDS,
    ),
    "5gcs-cc with the identity is 5gcs": (("5gcs-cc", EXACT), ("5gcs", {}), 0.0),
    "accelerated gd with γμ = 1 is gd": (("accelerated-gd", {"mu": 1 / GAMMA}), ("gd", {}), 0.0),
    **{
        f"m-fac over {over}, much dampened, is gd": (  # P⁻¹ = I/λ up to ‖∇f‖²/λ of itself
            ("m-fac", {"over": over, "dampening": 1e13, "stepsize": 1e13 * GAMMA}), ("gd", {}), ADDS
        )
        for over in ("aggregate", "clients")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name):
    one, other, within = IDENTITIES[name]
    known = {"client_smoothness": lambda: small().client_smoothness}
    a, b = (iterates(small(), made(n, **given), np.full(14, 0.9), 12, **known) for n, given in (one, other))
    assert np.abs(a - b).max() <= within * np.abs(b).max()
    assert len(np.unique(a, axis=0)) == len(a)  # it moves
