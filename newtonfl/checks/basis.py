"""Whether a basis's coordinates stand for the Hessians, at both ends of the wire."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.bases import Basis, Coordinates, TriangleCoordinates
from newtonfl.checks.small_problems import dense_problem, sparse_problem
from newtonfl.checks.trials import carried, close, no_error, promise, reads_back
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import Dense, Message, Sparse
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.symmetric import triangle
from newtonfl.objectives.base import Problem


def check_basis(basis: Basis, problem: Problem | None = None, *, seed: int = 0) -> None:
    """Check a basis, yours or the library's, on the clients of a problem.

    - The coordinates that a client makes of its data and those that the server makes of the set-up messages, which
      went over the wire, are the same: their sizes, the matrices and gradients that they stand for.
    - ``coefficients`` reproduce ∇²f_i, and are as many as ``sizes`` says.
    - ``norms`` are the matrices' Frobenius norms (the coordinates' 2-norms where the basis is isometric),
      ``spectral_norms`` their largest eigenvalues in magnitude, and ``apply(i, v, x)`` is the matrix times x.
    - ``accumulate`` adds up Σ weight_i H_i, of all clients and of some, in whatever form their messages are.
    - ``diagonal_blocks`` are diag(v), where ``with_diagonal`` gives a basis that spans it.
    - ``gradients()`` tells gradients without loss.
    - ``select`` gives some clients' coordinates, in the same bits.

    Parameters
    ----------
    basis : Basis
        What is checked.
    problem : Problem or None
        All its clients in this process. None stands for small ones with dense and with sparse rows, the ridge at the
        server and inside the clients' functions; one that the basis refuses is passed over, but not all may be.
    seed : int
        Seeds points and vectors.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, and by how much it was missed.
    ValueError
        Where the basis does not go with the `problem`.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_basis
    >>> check_basis(nf.Symmetric())
    >>> check_basis(nf.Symmetric(), nf.load("breast_cancer", clients=3))
    """
    promise(isinstance(basis, Basis), f"given {basis!r}, must be a Basis")
    reads_back(basis)
    if problem is None:
        _check_on_all(basis, [dense_problem(), sparse_problem()], seed)
        return
    draw, n = np.random.default_rng(seed), problem.n_clients
    promise(len(problem.clients) == n, "check_basis: all the problem's clients must be in this process")
    name, ours = type(basis).__name__, basis.of(problem)
    server = _at_the_server(basis, ours, problem)
    vectors = Blocks.of([draw.standard_normal(int(size)) for size in ours.sizes])
    _check_matrices(ours, server, vectors, draw, name)
    _check_diagonal(basis, problem, draw, name)
    weights = draw.random(n) + 0.1
    _check_sums(server, vectors, weights, draw, name)
    for _ in range(2):
        _check_problem(ours, server, problem, 0.5 * draw.standard_normal(problem.dim), weights, name)
    chosen = np.arange(n)[:: -2 if n > 2 else -1]
    _check_select(ours, server, problem, vectors, chosen, 0.5 * draw.standard_normal(problem.dim), name)


def _check_on_all(basis: Basis, problems: list[Problem], seed: int) -> None:
    """On each of the problems that the basis goes with."""
    refusals = []
    for problem in [form for whole in problems for form in (whole, whole.with_local_ridge())]:
        try:
            problem.prepare(basis)
        except ValueError as error:
            refusals.append(str(error))
            continue
        check_basis(basis, problem, seed=seed)
    promise(
        len(refusals) < 2 * len(problems), f"{type(basis).__name__}: it refuses every problem: {'; '.join(refusals)}"
    )


def _at_the_server(basis: Basis, ours: TriangleCoordinates, problem: Problem) -> TriangleCoordinates:
    """The server's coordinates, of set-up messages that went over the wire."""
    name, dim = type(basis).__name__, problem.dim
    with no_error(f"{name}: set-up messages must survive the wire, with the sizes that the basis states"):
        setup_messages = [
            carried(
                ours.setup_message(i),
                lambda part, clients, known: basis.sizes(dim, part, known[0]),
                Kind.SETUP,
                int(client),
            )
            for i, client in enumerate(problem.clients)
        ]
        server = basis.from_setup(dim, setup_messages)
    promise(
        np.array_equal(ours.sizes, server.sizes),
        f"{name}: clients have {ours.sizes} coordinates, and the server understood {server.sizes}",
    )
    promise(
        server.total_size == triangle(dim).size,
        f"{name}: the server's sum has {server.total_size} coordinates, must be d(d+1)/2 = {triangle(dim).size}",
    )
    for i, (setup_message, size) in enumerate(zip(setup_messages, ours.sizes, strict=True)):
        stated = basis.sizes(dim, "initial", setup_message)
        promise(stated == size, f"{name}.sizes: {stated} for client {i}'s initial Hessian, which has {size}")
    return server


def _check_matrices(
    ours: TriangleCoordinates, server: TriangleCoordinates, vectors: Blocks, draw: np.random.Generator, name: str
) -> None:
    """What coordinates stand for."""
    norms, spectral = to_host(ours.norms(vectors)), to_host(ours.spectral_norms(vectors))
    for i, vector in enumerate(vectors):
        matrix, where = to_host(ours.matrix(i, vector)), f"{name}, client {i}"
        promise(np.array_equal(matrix, matrix.T), f"{where}: matrix() must be symmetric in every bit")
        promise(
            np.array_equal(matrix, to_host(server.matrix(i, vector))),
            f"{where}: the same coordinates must be the same matrix for client and server",
        )
        close(norms[i], np.linalg.norm(matrix), f"{where}: norms() must be the matrix's Frobenius norm")
        if ours.isometric:
            close(norms[i], np.linalg.norm(vector), f"{where}: isometric, so the 2-norm of the coordinates is its norm")
        largest = np.abs(np.linalg.eigvalsh(matrix)).max()
        close(spectral[i], largest, f"{where}: spectral_norms() must be the largest eigenvalue in magnitude")
        x = draw.standard_normal(len(matrix))
        close(to_host(ours.apply(i, vector, x)), matrix @ x, f"{where}: apply(i, v, x) must be the matrix times x")


def _check_diagonal(basis: Basis, problem: Problem, draw: np.random.Generator, name: str) -> None:
    """The ridge in coordinates: H⁰ with its ridge zero begins with it."""
    try:
        whole = basis.with_diagonal().of(problem)
    except ValueError:
        return
    diagonal = draw.random(problem.dim)
    for i, block in enumerate(whole.diagonal_blocks(diagonal, problem.like)):
        words = f"{name}, client {i}: diagonal_blocks(v, …) must be the coordinates of diag(v)"
        close(to_host(whole.matrix(i, block)), np.diag(diagonal), words)


def _messages(vectors: Blocks, sparse: bool) -> Sequence[Message]:
    if not sparse:
        return [Dense(vector) for vector in vectors]
    return [Sparse(np.arange(len(vector))[::3], vector[::3]) for vector in vectors]


def _check_sums(
    server: TriangleCoordinates, vectors: Blocks, weights: Array, draw: np.random.Generator, name: str
) -> None:
    """The server's sum, from where it stands, of all clients in order, and of some out of order."""
    before, n = draw.standard_normal(server.total_size), len(vectors)
    for clients in (None, np.arange(n)[::-2]):
        for sparse in (False, True):
            who = np.arange(n) if clients is None else clients
            messages = _messages(vectors.select(who), sparse)
            total = server.accumulate(before.copy(), messages, weights[who], clients)
            expected = server.square(before)
            for i, message, weight in zip(who, messages, weights[who], strict=True):
                indices, values = message.coordinates()
                vector = np.zeros(int(server.sizes[i]))
                vector[... if indices is None else indices] = values
                expected = expected + weight * server.matrix(int(i), vector)
            close(
                server.square(total),
                expected,
                f"{name}.accumulate must add Σ weight_i H_i of clients {who} ({'sparse' if sparse else 'dense'} "
                "messages)",
            )


def _check_problem(
    ours: TriangleCoordinates, server: TriangleCoordinates, problem: Problem, x: Array, weights: Array, name: str
) -> None:
    """The coordinates of ∇²f_i and ∇f_i at x."""
    point = problem.at(x)
    found = ours.coefficients(point)
    words = f"{name}: {found.sizes} coefficients, where sizes says {ours.sizes}"
    promise(np.array_equal(found.sizes, ours.sizes), words)
    for i, vector in enumerate(found):
        close(
            to_host(ours.matrix(i, vector)),
            to_host(point.hessian(i)),
            f"{name}, client {i}: the coefficients' matrix must be ∇²f_i",
        )
    sender, receiver = ours.gradients(), server.gradients()
    gradients = sender.of_gradients(point.gradient)
    promise(
        np.array_equal(gradients.sizes, sender.sizes) and np.array_equal(sender.sizes, receiver.sizes),
        f"{name}.gradients: clients send {gradients.sizes} numbers, and the server expects {receiver.sizes}",
    )
    messages: Sequence[Message] = [Dense(to_host(gradient)) for gradient in gradients]
    total = receiver.accumulate(np.zeros(problem.dim), messages, weights)
    close(total, weights @ to_host(point.gradient), f"{name}.gradients must send Σ weight_i ∇f_i without loss")


def _check_select(
    ours: TriangleCoordinates,
    server: TriangleCoordinates,
    problem: Problem,
    vectors: Blocks,
    chosen: Array,
    x: Array,
    name: str,
) -> None:
    """Some of the clients, in another order."""
    some, others, part = ours.select(chosen), server.select(chosen), vectors.select(chosen)
    words = f"{name}.select({chosen.tolist()}) must give these clients'"
    promise(np.array_equal(some.sizes, ours.sizes[chosen]), f"{words} sizes: {some.sizes}")
    whole, own = ours.coefficients(problem.at(x)), some.coefficients(problem.select(chosen).at(x))
    promise(np.array_equal(own.values, whole.select(chosen).values), f"{words} coefficients in the same bits")
    promise(np.array_equal(some.norms(part), ours.norms(vectors)[chosen]), f"{words} norms in the same bits")
    for j, i in enumerate(chosen):
        for taken, full in ((some, ours), (others, server)):
            promise(
                np.array_equal(taken.matrix(j, part[j]), full.matrix(int(i), part[j])),
                f"{words} matrices in the same bits: client {i}",
            )
    _check_taken_gradients(some.gradients(), ours.gradients(), problem, chosen, x, words)


def _check_taken_gradients(
    some: Coordinates, ours: Coordinates, problem: Problem, chosen: Array, x: Array, words: str
) -> None:
    whole = ours.of_gradients(problem.at(x).gradient).select(chosen)
    own = some.of_gradients(problem.select(chosen).at(x).gradient)
    promise(np.array_equal(own.values, whole.values), f"{words} gradients in the same bits")
