"""array-api-strict's second device, made stricter: nothing moves to the host unless it is moved by name."""

from __future__ import annotations

import array_api_strict as xp
import numpy as np

from newtonfl.core.backend import Array
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic

HOST = xp.Device("CPU_DEVICE")
DEVICE = xp.Device("device1")


def install(monkeypatch) -> None:
    """Make every silent way to the host an error: conversions, iteration, the exchange protocol."""
    strict = type(xp.asarray(0.0))

    def guarded(name):
        original = getattr(strict, name)

        def method(self, *args, **kwargs):
            if self.device != HOST:
                raise RuntimeError(f"an array on a device came to the host through {name}")
            return original(self, *args, **kwargs)

        return method

    # bool, int and float of a device array are CuPy's synchronisations: allowed on scalars there, and wanted nowhere
    # in a hot loop; here they are errors but for the one test of a factorisation's success.
    for name in ("__float__", "__int__", "__index__", "__complex__", "__dlpack__"):
        monkeypatch.setattr(strict, name, guarded(name))
    original = strict.__getitem__

    def iterate(self):
        if self.device != HOST:
            raise RuntimeError("an array on a device was iterated over")
        return (original(self, i) for i in range(self.shape[0]))

    monkeypatch.setattr(strict, "__iter__", iterate, raising=False)


def on_device() -> Array:
    """An empty array that names the library and the device."""
    return xp.asarray(np.zeros(0), device=DEVICE)


def problem(like, loss=None, l2=1e-2, **more):
    """Sixty dense rows on four clients, held where `like` is."""
    draw = np.random.Generator(np.random.Philox(11))
    rows = draw.standard_normal((60, 6))
    labels = np.where(rows @ np.arange(6) + draw.standard_normal(60) > 0, 1.0, -1.0)
    if loss is not None and loss.least_label == 0.0:
        labels = np.abs(labels) + 1
    sizes = [13, 20, 7, 20]
    more |= {"like": like, "n_clients": 4, "ridge": l2, "objective": "test"}
    return GLM(rows, labels, sizes, loss or Logistic(), 60, **more)
