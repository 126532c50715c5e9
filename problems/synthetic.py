"""Synthetic logistic regression Synt(α, β), 30 clients with 200 rows each

α says how much the clients' labels differ, β how much their rows do (Li et al., 2018; parameters as in FedNL, arXiv
2106.02969, appendix A.14): B_i ~ N(0, β), v_i ~ N(B_i, 1), a_ij ~ N(v_i, diag(j^-1.2)); u_i ~ N(0, α), c_i ~ N(u_i, 1),
w_i ~ N(u_i, 1), P(y = -1) = sigmoid(w_iᵀ a_ij + c_i). α and β are standard deviations, as in the papers' own program.
"""

import numpy as np

import newtonfl as nf
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic
from newtonfl.objectives.regularisers import formula

DIM = 100


def problem(comm=None, clients=30, l2=1e-3, alpha=0.5, beta=0.5, seed=0, each=200, nonconvex=0.0):
    """`each` client's rows come from its own stream, so each rank draws its own clients' alone."""
    held = np.arange(clients) if comm is None else comm.share(clients)
    drawn = [_client(nf.Key(seed, client=int(i), purpose="synthetic").generator(), each, alpha, beta) for i in held]
    penalty = f"({l2:g}/2)‖x‖²" + (f" + {formula(nonconvex)}" if nonconvex else "")
    return GLM(
        np.concatenate([rows for rows, _ in drawn]),
        np.concatenate([labels for _, labels in drawn]),
        [each] * len(held),
        Logistic(),
        clients * each,
        n_clients=clients,
        ridge=l2,
        objective=f"(1/{clients * each}) Σ_j {Logistic().formula} + {penalty}, Synt({alpha:g}, {beta:g})",
        clients=held,
        transport=comm,
        nonconvex=nonconvex,
    )


def _client(draw, each, alpha, beta):
    scales = np.arange(1, DIM + 1) ** -0.6  # the square root of j^-1.2
    centre = draw.normal(draw.normal(0.0, beta), 1.0, DIM)
    rows = centre + scales * draw.standard_normal((each, DIM))
    lean = draw.normal(0.0, alpha)
    offset, weights = draw.normal(lean, 1.0), draw.normal(lean, 1.0, DIM)
    probability = 1.0 / (1.0 + np.exp(-(rows @ weights + offset)))
    return rows, np.where(draw.random(each) < probability, -1.0, 1.0)
