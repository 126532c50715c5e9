"""Settings that first-order methods share, and the round that they make with a method's own parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from newtonfl.comm.coding import Precision
from newtonfl.components.curvature.base import Curvature, NoCurvature
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.gradient.oracle import Full, Memoryless, Minibatch, Oracle
from newtonfl.components.model.base import Model
from newtonfl.components.model.replayed import ReplayedModel
from newtonfl.components.participation import All, Participation
from newtonfl.components.step.base import Step
from newtonfl.components.step.fixed import Fixed
from newtonfl.components.step.stepsizes import StepSizeRule, ThreePoint
from newtonfl.compressors import Compressor, Identity
from newtonfl.mechanisms import Mechanism
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import Batch, GradientInit, Ridge
from newtonfl.methods.spec import check_choice, to_text
from newtonfl.methods.wire import model_on_wire, rounded, vector_mechanism


@dataclass(frozen=True)
class FirstOrder:
    """The shared settings of the first-order method `name`; what it does not offer has the default here.

    ``common = FirstOrder.of("clag", locals())`` is how such a method begins: ``locals()`` are the settings that it
    offers, with every text form already read. :data:`newtonfl.methods.settings.FIRST_ORDER` explains them. `words` are
    all of them as the command line writes them, the method's own included, which the round's settings show.
    """

    name: str
    words: tuple[tuple[str, str | float], ...]
    stepsize: float | str = "theory"
    ridge: Ridge = "server"
    wire: Precision = "float64"
    compressor: Compressor = Identity()
    init: GradientInit = "zero"
    batch: Batch = "full"
    participation: Participation = All()
    down: Compressor | Mechanism | str = "exact"

    @classmethod
    def of(cls, name: str, keywords: Mapping[str, Any]) -> FirstOrder:
        """The shared settings among a method's `keywords`: its ``locals()`` before it has bound anything else."""
        shared = {field.name for field in fields(cls)} & set(keywords)
        words = tuple((key, to_text(value)) for key, value in keywords.items())
        return cls(name, words, **{key: keywords[key] for key in shared})

    def descent(
        self,
        gradient: Gradient[Any, Any] | None = None,
        *,
        model: Model[Any, Any] | None = None,
        step: Step[Any] | None = None,
        curvature: Curvature[Any, Any] | None = None,
        rule: StepSizeRule | None = None,
    ) -> Descent:
        """The round with these settings and a method's own components.

        Parameters
        ----------
        gradient, model, step, curvature : components or None
            None takes the gradient that is sent whole, the model of `down`, a fixed step, and no curvature.
        rule : StepSizeRule or None
            What theory allows the fixed step; None is 3PC's.

        Returns
        -------
        Descent
            Under the method's name.

        Raises
        ------
        TypeError, ValueError
            If a setting is not allowed.
        """
        if not isinstance(self.participation, Participation):
            raise TypeError(f"participation: given {self.participation!r}, must be a Participation such as Uniform(8)")
        return Descent(
            Fixed(self.stepsize, rule or ThreePoint()) if step is None else step,
            NoCurvature() if curvature is None else curvature,
            self.tracked(None) if gradient is None else gradient,
            self.to_model() if model is None else model,
            self.participation,
            ridge=self.ridge, wire=self.wire, name=self.name, own_parameters=self.words,
        )  # fmt: skip

    def tracked(
        self,
        mechanism: Mechanism | None,
        *,
        oracle: Oracle[Any] | None = None,
        weigh: Literal["equal", "smoothness"] = "equal",
        copies: bool = False,
        errors: bool = False,
    ) -> AnchoredGradient:
        """Gradients that a `mechanism` sends (None: whole); what else as of :class:`AnchoredGradient`."""
        return AnchoredGradient(
            vector_mechanism("gradient", "exact" if mechanism is None else mechanism, "auto", self.wire),
            oracle=oracle or self.oracle, init=self.init, whole=self.whole, weigh=weigh, copies=copies, errors=errors,
        )  # fmt: skip

    @property
    def oracle(self) -> Memoryless:
        """All rows, or a minibatch of them."""
        return Full() if self.batch == "full" else Minibatch(self.batch)

    @property
    def whole(self) -> Compressor:
        """What sends a vector whole, at the wire's precision."""
        return rounded(Identity(), self.wire)

    def to_model(self) -> Model[Any, Any]:
        """How the iterate reaches the clients."""
        if isinstance(self.down, str):
            check_choice("down", self.down, ("exact",))
            return model_on_wire("exact", "auto", self.wire)
        mechanism = vector_mechanism("down", self.down, "auto", self.wire)
        assert mechanism is not None  # which only "exact" is
        return ReplayedModel(mechanism, self.init, self.whole)
