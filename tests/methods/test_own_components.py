"""Methods and components of one's own: what they say of themselves is kept, and what would be misread is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import dense_glm

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.messages import Dense
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.model.sent import ExactModel
from newtonfl.methods.round import Descent
from newtonfl.methods.typed import method
from newtonfl.registry import lookup

# --- methods of one's own


@pytest.fixture
def patient(monkeypatch):
    """A method of one's own whose setting no component has."""

    monkeypatch.setitem(lookup._ENTRIES, "method", dict(lookup._ENTRIES["method"]))  # and forgotten after the test

    @method("patient-newton")
    def patient_newton(*, patience: int = 3, share: float = 0.5) -> Descent:
        made = nf.newton_3pc(compressor=nf.TopK(patience))
        return replace(made, name="patient-newton")

    return patient_newton


def test_a_setting_that_no_component_has_is_kept(patient):
    made = patient(patience=5, share=0.25)
    assert registry.method_spec(made) == "patient-newton,patience=5,share=0.25"
    assert registry.coerce_method(registry.method_spec(made)) == made
    assert registry.method_parameters(made.resolved(dense_glm())) == {"patience": 5, "share": 0.25}


def test_a_function_that_makes_no_method_is_refused(monkeypatch):
    monkeypatch.setitem(lookup._ENTRIES, "method", dict(lookup._ENTRIES["method"]))
    forgetful = method("forgetful-newton")(lambda: None)
    with pytest.raises(TypeError, match="forgetful-newton: its function returned None, must return a Method"):
        forgetful()


def test_what_is_replaced_is_what_is_said():
    made = replace(nf.ef21(compressor="topk:3"), participation=nf.Uniform(2), ridge="clients")
    said = made.parameters()
    assert (said["participation"], said["ridge"], said["compressor"]) == ("uniform:2", "clients", "topk:3")


# --- components of one's own


@dataclass(frozen=True)
class Tossing(AnchoredGradient):
    """Gradients that ask for coins by any name."""

    names: tuple[str, ...] = ()

    @property
    def bernoulli_probabilities(self):
        return dict.fromkeys(self.names, 0.5)


@pytest.mark.parametrize(
    ("names", "words"),
    [(("curvature",), "both ask for a coin named curvature"), (tuple(f"c{i}" for i in range(14)), "has room for 13")],
)
def test_coins_that_would_be_mixed_up_are_refused(names, words):
    lazy = nf.newton_3pc(mechanism="cbag:0.5", compressor="topk:3")
    with pytest.raises(ValueError, match=words):
        replace(lazy, gradient=Tossing(names=names)).resolved(dense_glm())
    replace(lazy, gradient=Tossing(names=tuple(f"c{i}" for i in range(13)))).resolved(dense_glm())


class Clashing(AnchoredGradient):
    """Gradients that send a part under the curvature's name."""

    def encode(self, state, point, context):
        parts, state = super().encode(state, point, context)
        return [{**p, "error": Dense(np.zeros(1))} for p in parts], state


def test_a_part_of_two_components_is_refused():
    with pytest.raises(ValueError, match=r"given \['error'\] by two components"):
        nf.solve(dense_glm(), replace(nf.newton_3pc(compressor="topk:3"), gradient=Clashing()), rounds=3)


class Noting(AnchoredGradient):
    """Gradients with a part of three numbers beside them, up and down."""

    def announce(self, state, constants, round):
        return {0: {"hint": Dense(np.array([1.0, 2.0]))}}

    def announcement_size(self, part, dim):
        return 2 if part == "hint" else super().announcement_size(part, dim)

    def encode(self, state, point, context):
        parts, state = super().encode(state, point, context)
        return [{**p, "note": Dense(np.arange(3.0))} for p in parts], state

    def reply_sizes(self, state, part, clients):
        return 3 if part == "note" else None


def test_a_gradient_sends_parts_of_its_own_length():
    known = dense_glm()
    plain, noted = (
        nf.solve(known, replace(nf.newton_3pc(compressor="topk:3"), gradient=g), rounds=4)
        for g in (AnchoredGradient(), Noting())
    )
    assert np.array_equal(plain.x, noted.x)
    assert noted.ledger.up.bytes.sum() > plain.ledger.up.bytes.sum()


class Announcing(ExactModel):
    """A model that announces a part by the name of the line search's."""

    def announce(self, state, x, recipients, key):
        state, to_all, to_one = super().announce(state, x, recipients, key)
        return state, {**to_all, "direction": Dense(np.zeros(len(x)))}, to_one


def test_a_models_part_is_not_taken_for_a_trial():
    known = dense_glm()
    plain, announced = (nf.solve(known, replace(nf.gd(), model=m), rounds=4) for m in (ExactModel(), Announcing()))
    assert np.array_equal(plain.x, announced.x)


# --- settings


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nf.RankR(True).for_dimension(3), "rank must be a whole number"),
        (lambda: nf.PowerSGD(True).for_dimension(3), "rank must be a whole number"),
        (lambda: nf.Threshold(True).for_dimension(3), "given λ = True"),
        (lambda: nf.Dithering(True).for_dimension(3), "given True levels"),
        (lambda: nf.dingo(theta=True), "theta: given True"),
        (lambda: nf.giant(trials=True), "trials: given True"),
        (lambda: nf.ef21(down="clag:2"), "down: given CLAG without a compressor"),
        (lambda: nf.newton_3pc(gradient="clag:2"), "gradient: given CLAG without a compressor"),
        (lambda: nf.newton_3pc(basis=3), "basis: given 3, must be a Basis"),
        (lambda: nf.solve("breast_cancer", "gd"), "problem: given 'breast_cancer', must be a Problem"),
        (lambda: nf.solve(dense_glm(), 3), "method: given 3, must be a Method"),
        (lambda: nf.solve(dense_glm(), nf.ef21(batch=3, stepsize="theory-mean")), "compute ∇f_i itself"),
        (lambda: nf.solve(dense_glm(), nf.ef21_plus(batch=3, stepsize="theory-convex")), "compute ∇f_i itself"),
        (lambda: nf.solve(dense_glm(), nf.ef21_w(stepsize="theory-convex")), "weighs all clients alike"),
    ],
)
def test_what_would_mean_something_else_is_refused(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()
