"""What a wire's precision makes of the parts of a method."""

from __future__ import annotations

from typing import Any

from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.components.model.base import Model
from newtonfl.components.model.sent import ExactModel, TrackedModel
from newtonfl.compressors import Compressor, Identity, Rounded
from newtonfl.mechanisms import EF21, Alpha, Mechanism
from newtonfl.methods.spec import check_choice
from newtonfl.registry import Maker


def rounded(compressor: Compressor, wire: Precision) -> Compressor:
    """The compressor at the wire's precision."""
    return compressor if wire == "float64" else Rounded(compressor, wire)


def on_wire(mechanism: Mechanism, wire: Precision) -> Mechanism:
    """The mechanism at the wire's precision."""
    return mechanism if wire == "float64" else mechanism.on_wire(lambda compressor: Rounded(compressor, wire))


def vector_mechanism(key: str, value: object, alpha: Alpha, wire: Precision) -> Mechanism | None:
    """How a vector is sent; None sends it whole.

    Exact values would stop a float32 run at a gradient norm of 5e-10. Differences do not: so below float64 what is
    exact becomes EF21 with a rounding compressor.

    Parameters
    ----------
    key : str
        The setting, for errors.
    value : "exact", Compressor or Mechanism
        A compressor is EF21 with it.
    alpha : float or {"auto", "theory"}
        That EF21's rate.
    wire : {"float64", "float32", "natural"}
        The precision.

    Returns
    -------
    Mechanism or None
        At the wire's precision.

    Raises
    ------
    TypeError, ValueError
        If `value` is none of these.
    """
    check_choice("wire", wire, PRECISIONS)
    if isinstance(value, str):
        check_choice(key, value, ("exact",))
        return None if wire == "float64" else on_wire(EF21(Identity()), wire)
    if isinstance(value, Compressor):
        return on_wire(EF21(value, alpha), wire)
    if isinstance(value, Maker):
        raise TypeError(f"{key}: given {value.part.__name__} without a compressor: add one, as in clag:2/topk:30")
    if not isinstance(value, Mechanism):
        raise TypeError(f"{key}: given {value!r}, must be 'exact', a Compressor or a Mechanism")
    return on_wire(value, wire)


def model_on_wire(value: object, model_rate: Alpha, wire: Precision) -> Model[Any, Any]:
    """How x reaches the clients at the wire's precision: `model_rate` is what :func:`vector_mechanism` calls alpha."""
    mechanism = vector_mechanism("model", value, model_rate, wire)
    return ExactModel() if mechanism is None else TrackedModel(mechanism)
