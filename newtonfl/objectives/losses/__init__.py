"""Losses: pointwise losses φ(t, y) of a margin t = aᵀx and a label y, each with its bounds.

loss
    ``Loss``: what one says of itself.
of_classes, of_numbers, log_link
    Those of labels -1 and +1, of numbers, and of counts and amounts at a mean exp(t).
"""

from newtonfl.objectives.losses.log_link import Gamma, Poisson, Tweedie
from newtonfl.objectives.losses.loss import Loss
from newtonfl.objectives.losses.of_classes import ComplementaryLogLog, Logistic, Probit, SquaredHinge
from newtonfl.objectives.losses.of_numbers import Huber, Squared
from newtonfl.registry import coerce, known
from newtonfl.registry.lookup import arrange

__all__ = [
    "ComplementaryLogLog", "Gamma", "Huber", "Logistic", "Loss", "Poisson", "Probit", "Squared", "SquaredHinge",
    "Tweedie", "loss_of",
]  # fmt: skip


arrange("loss", ["logistic", "squared", "huber", "squared-hinge", "poisson", "gamma", "tweedie", "probit", "cloglog"])


def loss_of(loss: str | Loss, huber_delta: float = 1.35) -> Loss:
    """The loss of a name.

    Parameters
    ----------
    loss : str or Loss
        A registered one, such as "logistic" or "huber:2"; a Loss is returned as it is.
    huber_delta : float
        Huber's δ, in units of y, where the name alone is said.

    Returns
    -------
    Loss
        Of that name.

    Raises
    ------
    ValueError
        If there is none of that name (the nearest is named), or `huber_delta` is not positive.
    """
    found = Huber(huber_delta) if isinstance(loss, str) and loss == Huber.name else coerce("loss", loss)
    if not isinstance(found, Loss):
        raise ValueError(f"loss: given {loss!r}, allowed are {', '.join(known('loss'))}, or a Loss")
    return found
