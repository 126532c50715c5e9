"""The round's settings: which components it is made of, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from newtonfl.comm.coding import PRECISIONS, Precision
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.components.curvature.base import Curvature, ErrorRequest, NoCurvature
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import Gradient
from newtonfl.components.model.base import Model
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All, AmongAvailable, Participation
from newtonfl.components.protocol import Method, silent_rounds
from newtonfl.components.step.base import Step
from newtonfl.core.backend import Array
from newtonfl.methods.combinations import COINS, check_components, check_model, check_problem, delayed_model
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class RoundSettings(Method):
    """The five components of a round. What each of them remembers is its own: the round does not look into it.

    Parameters
    ----------
    step : Step
        From the server's estimates to x⁺.
    curvature : Curvature
        How ∇²f_i reaches the server.
    gradient : Gradient
        How ∇f_i reaches the server.
    model : Model
        What clients see of x.
    participation : Participation
        Who takes part.
    ridge : {"server", "clients"}
        Where λ/2‖x‖² is added: exactly by the server, or in every client's function and so in what is learned.
    wire : {"float64", "float32", "natural"}
        The precision that the components were made for.
    name : str
        The preset's name.
    own_parameters : tuple of (str, str or float)
        Settings of the function that made the round, where no component has a setting of that name and value.
    """

    step: Step[Any]
    curvature: Curvature[Any, Any] = field(default_factory=NoCurvature)
    gradient: Gradient[Any, Any] = field(default_factory=AnchoredGradient)
    model: Model[Any, Any] = field(default_factory=ExactModel)
    participation: Participation = field(default_factory=All)
    ridge: Literal["server", "clients"] = "server"
    wire: Precision = "float64"
    name: str = "descent"
    own_parameters: tuple[tuple[str, str | float], ...] = ()

    def __post_init__(self) -> None:
        components = {
            "step": Step, "curvature": Curvature, "gradient": Gradient, "model": Model, "participation": Participation,
        }  # fmt: skip
        for name, kind in components.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name}: given {getattr(self, name)!r}, must be a {kind.__name__}")
        if self.ridge not in ("server", "clients") or self.wire not in PRECISIONS:
            raise ValueError(f"ridge, wire: given {self.ridge!r}, {self.wire!r}, no such words")

    def resolved(self, problem: Problem) -> Self:
        problem = self._view(problem)
        check_problem(self.name, self.step, self.curvature, problem)
        self.step.check(problem)
        self.participation.check(problem.n_clients)
        check_components(self.name, self.step, self.curvature, self.gradient, self.participation, problem.n_clients)
        model = self.model.for_dimension(problem.dim)
        if self.participation.delays:
            model = delayed_model(self.name, model, self.participation)
        check_model(self.name, self.step, self.curvature, self.gradient, self.participation, model)
        curvature, gradient = self.curvature.resolved(problem), self.gradient.resolved(problem)
        gradient.check(curvature.gradients(problem))
        return replace(self, curvature=curvature, gradient=gradient, model=model)

    def among_available(self, availability: Participation) -> Self:
        return replace(self, participation=AmongAvailable(self.participation, availability))

    def parameters(self) -> dict[str, str | float]:
        return self._component_parameters() | dict(self.own_parameters)

    def made_with(self, parameters: Mapping[str, str | float]) -> Self:
        said = self._component_parameters()
        own = {key: value for key, value in self.own_parameters if said.get(key) != value}
        own |= {key: value for key, value in parameters.items() if key not in said}
        return replace(self, own_parameters=tuple(own.items()))

    def _component_parameters(self) -> dict[str, str | float]:
        named: dict[str, str | float] = {}
        for component in (self.gradient, self.curvature, self.model, self.step):
            named |= component.parameters()
        return named | {"participation": str(self.participation), "ridge": self.ridge, "wire": self.wire}

    def components(self) -> dict[str, str]:
        parts: dict[str, Any] = {
            "model": self.model, "gradient": self.gradient, "curvature": self.curvature, "step": self.step,
        }  # fmt: skip
        made_of = {"participation": str(self.participation)}
        for name, part in parts.items():
            line = ", ".join(f"{key}={value}" for key, value in part.parameters().items())
            made_of[name] = f"{type(part).__name__}: {line}" if line else "nothing"
        error = "l_i = ‖H_i - ∇²f_i‖" if self._error_request.norm is not None else ""
        once = "L_*i, once" if self.step.needs_lipschitz else ""
        sent = (self.gradient.sends, self.curvature.sends, error, self.step.sends, once)
        return made_of | {"sends": "; ".join(filter(None, sent))}

    def elapsed(self, n_clients: int, seed: int, round: int) -> float | None:
        return self.participation.elapsed(n_clients, seed, round)

    def notes(self) -> list[str]:
        lazy = self.curvature.bernoulli_probabilities.get("curvature", 1.0) < 1.0
        if lazy and self._error_request.norm is not None and self._error_request.fresh:
            return [
                "a fresh l needs every Hessian, also in the rounds in which none is sent: "
                "l=last or step=project computes none there"
            ]
        if self.participation.delays and not self.curvature.sends_hessians:
            return ["answers are about earlier iterates: where clients' speeds differ much, give a smaller stepsize"]
        return []

    def expected_silent_rounds(self, n_clients: int) -> float:
        # The coins are drawn apart, and x may wait for all of them.
        probabilities = {"anchor": self.gradient.p, **self._probabilities}.values()
        return silent_rounds(self.participation.rarest(n_clients), self.model.chance, *probabilities)

    @property
    def _probabilities(self) -> dict[str, float]:
        return {**self.curvature.bernoulli_probabilities, **self.gradient.bernoulli_probabilities}

    @property
    def _coins(self) -> tuple[str, ...]:
        """The coins by name, in the order of their bits: those of components of one's own come behind."""
        return (*COINS, *(name for name in self._probabilities if name not in COINS))

    @property
    def _error_request(self) -> ErrorRequest:
        return ErrorRequest(self.step.error_norm, self.step.fresh_error)

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: (
            1 if part == "constant" else self.curvature.setup_sizes(dim, part, decoded)
        )

    def announcement_sizes(self, dim: int) -> Sizes:
        def size(part: str, clients: Array, decoded: Sequence[Parts]) -> int:
            for component in (self.model, self.gradient):
                own = component.announcement_size(part, dim)
                if own is not None:
                    return own
            return 1 if part == "trials" else dim

        return size

    @property
    def shares_draws(self) -> bool:
        return self.gradient.shares_draws or self.curvature.shares_draws

    def numbers_per_client(self, problem: Problem) -> float:
        return max(self.curvature.numbers_per_client(problem), problem.dim)

    def _view(self, problem: Problem) -> Problem:
        """The problem with the ridge where the method has it."""
        return problem.with_local_ridge() if self.ridge == "clients" else problem
