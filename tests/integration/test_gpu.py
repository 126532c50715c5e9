"""The device path without a GPU: array-api-strict's second device, the kernel's compilation, the kernel on the host."""

from __future__ import annotations

import ctypes
import glob
import importlib
import shutil
import site
import subprocess

import numpy as np
import pytest
import scipy
import strict_device
from strict_device import problem

import newtonfl as nf
from newtonfl import registry
from newtonfl.core.backend import cupy, on_host, resident, sparse_to_device
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.kernels import add_in_order, add_rows, cholesky, csr, eigh, norms, scatter, select, weighted_grams
from newtonfl.kernels.csr import csr_product
from newtonfl.kernels.scatter import ADD
from newtonfl.kernels.select import SELECT, largest
from newtonfl.kernels.sums import SUM
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import (
    ComplementaryLogLog,
    Gamma,
    Huber,
    Logistic,
    Poisson,
    Probit,
    Squared,
    SquaredHinge,
    Tweedie,
)
from newtonfl.objectives.multinomial import Multinomial

ANYWHERE = [
    Logistic(), Squared(), Huber(), SquaredHinge(), Poisson(), Gamma(), Tweedie(), ComplementaryLogLog(),
]  # fmt: skip
"""Losses of functions that every array library has."""

SOURCES = {"select": SELECT, "csr": csr.source(4), "long csr": csr.source(8), "sums": SUM, "additions": ADD}
METHODS = {name: make for name, make in registry.METHODS.items() if name != "newton-star"} | {
    "newton-star": lambda: nf.newton_star(optimum=nf.optimum(problem(np.zeros(0)))[0]),
    "project": lambda: nf.newton_3pc(step="project", init="zero"),
    "spectral": lambda: nf.fednl(shift_norm="spectral"),
    "plain basis": lambda: nf.fednl(compressor=nf.TopK(4), basis="symmetric-plain", init="zero-total"),
    "rand-k, clients": lambda: nf.newton_3pc(compressor=nf.RandK(5), ridge="clients"),
    "float32": lambda: nf.newton_3pc(wire="float32"),
    "ladder": lambda: nf.newton_3pc(mechanism=nf.AdaCGD((nf.TopK(1), nf.RankR(1), nf.TopK(9)))),
    "adaptive, psd": lambda: nf.newton_3pc(mechanism=nf.AdaptiveTopK, basis="psd"),
    "two messages": lambda: nf.newton_3pc(mechanism=nf.ThreePCv2(nf.TopK(3), nf.RandK(3)), gradient=nf.TopK(3)),
    "lazy": lambda: nf.newton_3pc(mechanism=nf.BAG(0.5), l="last", gradient_p=0.5, model=nf.ThreePCv1(nf.TopK(2))),
    "partial": lambda: nf.newton_3pc(participation=nf.Uniform(2), basis="data", model=nf.TopK(3), gradient_p=0.6),
    "searching": lambda: nf.newton_3pc_ls(compressor=nf.PowerSGD(1), ridge="clients"),
    "probed": lambda: nf.adahessian(diagonal="probed"),
    "quantised": lambda: nf.newton_3pc(compressor=nf.Dithering(), basis="rotation", wire="float32"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_on_a_device_and_agrees(name, monkeypatch):
    """Nothing crosses to the host but by name, and the answer is NumPy's up to rounding."""
    host = nf.solve(problem(np.zeros(0)), METHODS[name](), rounds=12, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(problem(strict_device.on_device()), METHODS[name](), rounds=12, tol=0.0)
    assert isinstance(device.x, np.ndarray)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)
    assert [r.bytes_up for r in device.history] == [r.bytes_up for r in host.history]


@pytest.mark.parametrize("loss", ANYWHERE, ids=str)
def test_every_loss_runs_on_a_device(loss, monkeypatch):
    host = nf.solve(problem(np.zeros(0), loss), nf.newton_3pc(), rounds=5, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(problem(strict_device.on_device(), loss), nf.newton_3pc(), rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


def multinomial(like):
    draw = np.random.Generator(np.random.Philox(12))
    rows, labels = draw.standard_normal((60, 3)), draw.integers(0, 4, 60).astype(float)
    more = {"like": like, "n_clients": 4, "ridge": 1e-2, "objective": "test"}
    return Multinomial(rows, labels, [13, 20, 7, 20], 4, 60, **more)


@pytest.mark.parametrize(
    "make",
    [
        nf.newton, lambda: nf.newton_3pc(line_search=3), lambda: nf.ef21(batch=5),
        lambda: nf.newton_cg(preconditioner="jacobi"),
    ],
)  # fmt: skip
def test_multinomial_problems_run_on_a_device(make, monkeypatch):
    host = nf.solve(multinomial(np.zeros(0)), make(), rounds=5, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(multinomial(strict_device.on_device()), make(), rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["newton", "bl1", "newton-cg,preconditioner=jacobi", "ef21,batch=5", "lattice-newton"])
@pytest.mark.parametrize("of", [problem, multinomial])
def test_personal_columns_run_on_a_device(of, name, monkeypatch):
    """The rows stay there; each client's own small systems are solved on the host."""
    if of is multinomial and name == "bl1":
        name = "newton-3pc"  # several margins a row span no Hessian
    here = of(np.zeros(0)).personal([0, 2])
    host = nf.solve(here, name, rounds=5, tol=0.0)
    strict_device.install(monkeypatch)
    there = of(strict_device.on_device()).personal([0, 2])
    device = nf.solve(there, name, rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)
    for words in ("private", "whole"):
        np.testing.assert_allclose(getattr(there, words)(device.x), getattr(here, words)(host.x), rtol=1e-9, atol=1e-12)


def test_a_singular_step_is_searched_on_a_device(monkeypatch):
    """Without a penalty, and a column of zeros: only the hair on the diagonal makes a step."""

    def flat(like):
        rows = np.hstack([problem(np.zeros(0)).host[0], np.zeros((60, 1))])
        more = {"like": like, "n_clients": 4, "ridge": 0.0, "objective": "test"}
        return GLM(rows, problem(np.zeros(0)).labels, [13, 20, 7, 20], Huber(), 60, **more)

    host = nf.solve(flat(np.zeros(0)), nf.newton_3pc(line_search=5), rounds=60)
    assert host.converged
    strict_device.install(monkeypatch)
    device = nf.solve(flat(strict_device.on_device()), nf.newton_3pc(line_search=5), rounds=60)
    assert device.converged and np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)
    assert nf.solve(flat(strict_device.on_device()), nf.newton_3pc()).reason is nf.Reason.SINGULAR


def test_the_guard_catches_a_silent_move(monkeypatch):
    """The guard itself can fail a test."""
    strict_device.install(monkeypatch)
    array = strict_device.xp.asarray([3.0, 1.0], device=strict_device.DEVICE)
    for move in (lambda: float(array[0]), lambda: list(array), lambda: np.from_dlpack(array)):
        with pytest.raises(RuntimeError, match="on a device"):
            move()


def nvrtc():
    """NVIDIA's run-time compiler, or a skip that names what is missing."""
    for folder in site.getsitepackages():
        for path in sorted(glob.glob(f"{folder}/nvidia/**/libnvrtc.so.*", recursive=True)):
            if "builtins" not in path and "alt" not in path:
                return ctypes.CDLL(path)
    pytest.skip("needs NVIDIA's run-time compiler: pip install nvidia-cuda-nvrtc")


def compile_cuda(source, library, architecture):
    """(status, log) of compiling `source` for GPUs of one architecture; needs no GPU."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    option = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
    status = library.nvrtcCompileProgram(program, 1, option)
    length = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(length))
    log = ctypes.create_string_buffer(length.value)
    library.nvrtcGetProgramLog(program, log)
    return status, log.value.decode()


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("source", SOURCES)
def test_the_kernels_compile(source, architecture):
    """For Ampere, Hopper and Blackwell."""
    library, source = nvrtc(), SOURCES[source]
    status, log = compile_cuda(source, library, architecture)
    assert status == 0, log
    status, log = compile_cuda(source + "misspelt;", library, architecture)
    assert status != 0 and "misspelt" in log


SHIM = """
#define __global__
#define __shared__ static
#define __syncthreads()
static struct { unsigned x; } threadIdx, blockIdx, blockDim = {1}, gridDim;
template <class T> static void atomicAdd(T* sum, T term) { *sum += term; }
%s
template <class F, class... A> static void each(F kernel, int blocks, A... with)
{ for (gridDim.x = blocks, blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) kernel(with...); }
typedef void* p;
extern "C" {
%s
}
"""
OF_SELECT = """
void all_count_digits(int n, word* a, place* b, place* c, int* d, word* e, int f, unsigned* g)
{ each(count_digits, n, a, b, c, d, e, f, g); }
void all_choose_digit(int n, unsigned* a, word* b, word* c) { each(choose_digit, n, a, b, c); }
void all_count_chosen(int n, word* a, place* b, place* c, int* d, word* e, unsigned* f, unsigned* g)
{ each(count_chosen, n, a, b, c, d, e, f, g); }
void all_write_chosen(int n, word* a, place* b, place* c, int* d, word* e, place* f, place* g, place* h, place* i)
{ each(write_chosen, n, a, b, c, d, e, f, g, h, i); }
"""
OF_SUM = "void all_sum_pieces(int n, double* a, place* b, place* c, double* d) { each(sum_pieces, n, a, b, c, d); }"
OF_ADD = """
void all_add_runs(int n, place a, place* b, double* c, double* d) { each(add_runs, n, a, b, c, d); }
void all_add_rows(int n, place a, place b, double* c, double* d) { each(add_rows, n, a, b, c, d); }
"""


class Compiled:
    """The kernels' own source as a host's library: blocks of one thread, one after the other."""

    def __init__(self, folder, source, functions):
        compiler = shutil.which("g++")
        if compiler is None:
            pytest.skip("needs g++ to run the kernels' source on the host")
        (folder / "kernel.cpp").write_text(SHIM % (source, functions))
        build = [compiler, "-O1", "-shared", "-fPIC", "-o", folder / "kernel.so", folder / "kernel.cpp"]
        subprocess.run(build, check=True)
        self.library = ctypes.CDLL(str(folder / "kernel.so"))

    def get_function(self, name):
        def call(grid, block, arguments):
            given = [ctypes.c_void_p(a.ctypes.data) if a.ndim else number(a) for a in arguments]
            getattr(self.library, f"all_{name}")(ctypes.c_int(grid[0]), *given)

        return call


def number(scalar):
    return (ctypes.c_longlong if scalar.dtype == np.int64 else ctypes.c_int)(int(scalar))


def vectors_with_ties():
    draw = np.random.Generator(np.random.Philox(3))
    rounded = np.round(draw.standard_normal(20_000), 1)
    return [draw.standard_normal(50), rounded, np.zeros(10), np.zeros(0), np.array([1e-300, -2e300]), -rounded[:9000]]


@pytest.mark.parametrize("k", [0, 1, 2, 7, 150, 9_500, 30_000, [50, 150, 3, 1, 2, 8_999], [7, 0, 50, 0, 2, 8_000]])
def test_the_selection_kernels_on_the_host(k, tmp_path, monkeypatch):
    """The device's way to select, its kernels run by the host: what sorting gives, over several pieces a client."""
    kernels = Compiled(tmp_path, SELECT, OF_SELECT)
    monkeypatch.setattr(select, "_compiled", lambda: kernels)
    monkeypatch.setattr(select, "cupy", lambda: np)
    vectors = vectors_with_ties()
    offsets = np.cumsum([0] + [len(v) for v in vectors])
    each = np.broadcast_to(k, len(vectors))
    found, counts = select._largest_on_gpu(np.concatenate(vectors), offsets, each)
    assert counts.dtype == np.int64 and counts.sum() == len(found)
    for v, many, positions in zip(vectors, each, np.split(found, np.cumsum(counts)[:-1]), strict=True):
        best = np.lexsort((np.arange(len(v)), -np.abs(v)))[:many]
        assert np.array_equal(positions, np.sort(best[v[best] != 0]))


def test_the_sums_kernel_on_the_host(tmp_path, monkeypatch):
    """Over several levels of pieces, clients without a number among them; a client's bits are its own."""
    sums = importlib.import_module("newtonfl.kernels.sums")
    kernel = Compiled(tmp_path, SUM, OF_SUM).get_function("sum_pieces")
    monkeypatch.setattr(sums, "_compiled", lambda: kernel)
    monkeypatch.setattr(sums, "cupy", lambda: np)
    monkeypatch.setattr(sums, "_PIECE", 16)
    draw = np.random.Generator(np.random.Philox(8))
    vectors = [draw.standard_normal(size) for size in (0, 1, 16, 17, 5000, 0, 33)]
    found = sums._sums_on_gpu(np.concatenate(vectors), offsets_of([len(v) for v in vectors]))
    assert np.allclose(found, [v.sum() for v in vectors], rtol=1e-13, atol=1e-13)
    alone = [float(sums._sums_on_gpu(v, np.array([0, len(v)]))[0]) for v in vectors]
    assert found.tolist() == alone


def test_the_additions_kernels_on_the_host(tmp_path, monkeypatch):
    """In the host's bits: a place's terms are added in the clients' order."""
    kernels = Compiled(tmp_path, ADD, OF_ADD)
    monkeypatch.setattr(scatter, "_compiled", lambda: kernels)
    monkeypatch.setattr(scatter, "cupy", lambda: StableSorts)
    draw = np.random.Generator(np.random.Philox(9))
    counts = np.array([40, 0, 60, 25])
    indices = np.concatenate([draw.permutation(70)[:count] for count in counts])
    places, first = np.sort(draw.permutation(300)[:100]), np.array([0, 3, 30, 10])
    terms, weights = draw.standard_normal(125), draw.random(4)
    start = draw.standard_normal(300)
    given = (indices, terms, counts, weights, places, first)
    host = add_in_order(start.copy(), *given)
    rows = draw.standard_normal((7, 300))
    host_rows = add_rows(start, rows)
    monkeypatch.setattr(scatter, "is_cupy", lambda array: True)
    monkeypatch.setattr(scatter, "on_host", lambda array: False)
    assert add_in_order(start.copy(), *given).tobytes() == host.tobytes()
    assert add_rows(start, rows).tobytes() == host_rows.tobytes()


class StableSorts:
    """CuPy's argsort is stable, as a kind of NumPy's."""

    @staticmethod
    def argsort(array):
        return np.argsort(array, kind="stable")


def gpu():
    try:
        return cupy()
    except RuntimeError as missing:
        pytest.skip(f"needs a GPU: {missing}")


@pytest.mark.gpu
@pytest.mark.parametrize("k", [0, 1, 9, 100, 4000, 30_000])
def test_the_gpu_selects_as_the_host_does(k):
    cp, vectors = gpu(), vectors_with_ties()
    values, offsets = np.concatenate(vectors), np.cumsum([0] + [len(v) for v in vectors])
    for ours, theirs in zip(largest(cp.asarray(values), offsets, k), largest(values, offsets, k), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.gpu
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_the_gpu_multiplies_sparse_rows_as_the_host_does(index):
    """In the same bits: rows of no entry, of a few, and longer than a warp."""
    cp, draw = gpu(), np.random.Generator(np.random.Philox(5))
    dense = draw.standard_normal((300, 400)) * (draw.random((300, 400)) < np.linspace(0, 1, 300)[:, None] ** 3)
    rows, x = scipy.sparse.csr_array(dense), draw.standard_normal(400)
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    there = sparse_to_device(rows, cp.zeros(0))
    assert there.indices.dtype == there.indptr.dtype == index
    assert np.array_equal(csr_product(there, cp.asarray(x)).get(), rows @ x)


@pytest.mark.gpu
@pytest.mark.parametrize(("m", "order"), [(50, 30), (30, 50), (1, 7), (7, 1)])
def test_the_gpu_makes_the_hosts_hessians(m, order):
    cp, draw = gpu(), np.random.Generator(np.random.Philox(6))
    stack, weights = draw.standard_normal((1, m, order)), draw.random(m)
    device = weighted_grams(cp.asarray(stack), cp.asarray(weights)).get()
    assert np.allclose(device, weighted_grams(stack, weights), rtol=1e-13, atol=1e-13)


@pytest.mark.gpu
def test_the_gpu_says_where_there_is_no_factor():
    cp, draw = gpu(), np.random.Generator(np.random.Philox(7))
    square = draw.standard_normal((400, 400))
    positive = square @ square.T + np.eye(400)
    factor = cholesky(cp.asarray(positive)).get()
    assert np.allclose(factor @ factor.T, positive, rtol=1e-12, atol=1e-10)
    for place in (0, 200, 399):
        indefinite = positive.copy()
        indefinite[place, place] = -1.0
        assert cholesky(cp.asarray(indefinite)) is None
    values, vectors = (part.get() for part in eigh(cp.asarray(positive)))
    assert np.allclose(vectors * values @ vectors.T, positive, rtol=1e-12, atol=1e-9)


@pytest.mark.gpu
def test_the_gpu_sums_each_client_in_bits_of_its_own():
    cp, draw = gpu(), np.random.Generator(np.random.Philox(8))
    vectors = [draw.standard_normal(size) for size in (0, 1, 8192, 8193, 3_000_000, 0, 500)]
    device = norms(Blocks(cp.asarray(np.concatenate(vectors)), offsets_of([len(v) for v in vectors]))).get()
    assert np.allclose(device, [np.linalg.norm(v) for v in vectors], rtol=1e-14)
    alone = [float(norms(Blocks(cp.asarray(v), np.array([0, len(v)])))[0]) for v in vectors]
    assert device.tolist() == alone


@pytest.mark.gpu
def test_the_gpu_adds_in_the_hosts_order():
    """In the host's bits, where many clients have terms for one place."""
    cp, draw = gpu(), np.random.Generator(np.random.Philox(9))
    counts = np.array([40_000, 0, 60_000, 25_000, 1])
    indices = np.concatenate([draw.permutation(70_000)[:count] for count in counts])
    places, first = np.sort(draw.permutation(300_000)[:100_000]), np.array([0, 3, 30_000, 10_000, 7])
    start = draw.standard_normal(300_000)
    given = (indices, draw.standard_normal(len(indices)), counts, draw.random(5), places, first)
    assert add_in_order(cp.asarray(start), *given).get().tobytes() == add_in_order(start.copy(), *given).tobytes()
    rows = draw.standard_normal((70, 300_000))
    assert add_rows(cp.asarray(start), rows).get().tobytes() == add_rows(start, rows).tobytes()


@pytest.mark.gpu
def test_the_gpu_keeps_constants():
    cp, constant = gpu(), np.arange(5.0)
    first = resident(constant, cp.zeros(0))
    assert resident(constant, cp.zeros(0)) is first and np.array_equal(first.get(), constant)


@pytest.mark.gpu
@pytest.mark.parametrize("name", METHODS)
def test_the_gpu_agrees_with_the_host(name):
    like = gpu().zeros(0)
    host = nf.solve(problem(np.zeros(0)), METHODS[name](), rounds=12, tol=0.0)
    device = nf.solve(problem(like), METHODS[name](), rounds=12, tol=0.0)
    assert on_host(device.x)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


def sparse_problem(like):
    """Ninety sparse rows on five clients, one of whom has none."""
    draw = np.random.Generator(np.random.Philox(13))
    dense = draw.standard_normal((90, 12)) * (draw.random((90, 12)) < 0.3)
    rows, labels = scipy.sparse.csr_array(dense), np.where(draw.random(90) < 0.5, 1.0, -1.0)
    more = {"like": like, "n_clients": 5, "ridge": 1e-2, "objective": "test"}
    return GLM(rows, labels, [25, 30, 0, 20, 15], Logistic(), 90, **more)


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in METHODS if name != "newton-star"])
def test_the_gpu_agrees_with_the_host_on_sparse_rows(name):
    like = gpu().zeros(0)
    host = nf.solve(sparse_problem(np.zeros(0)), METHODS[name](), rounds=12, tol=0.0)
    device = nf.solve(sparse_problem(like), METHODS[name](), rounds=12, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


@pytest.mark.gpu
@pytest.mark.parametrize("make", [nf.newton, lambda: nf.newton_3pc(line_search=3), lambda: nf.ef21(batch=5)])
def test_the_gpu_agrees_with_the_host_on_several_classes(make):
    like = gpu().zeros(0)
    host = nf.solve(multinomial(np.zeros(0)), make(), rounds=5, tol=0.0)
    device = nf.solve(multinomial(like), make(), rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


@pytest.mark.gpu
@pytest.mark.parametrize("loss", [*ANYWHERE, Probit()], ids=str)
def test_the_gpu_agrees_with_the_host_on_every_loss(loss):
    like = gpu().zeros(0)
    host = nf.solve(problem(np.zeros(0), loss), nf.newton_3pc(), rounds=5, tol=0.0)
    device = nf.solve(problem(like, loss), nf.newton_3pc(), rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bl1", "fednl-pp", "ef21", "m-fac"])
def test_a_solve_on_the_gpu_is_resumed_in_the_same_bits(name, tmp_path):
    like = gpu().zeros(0)
    whole = nf.solve(problem(like), METHODS[name](), rounds=9, tol=0.0)
    nf.solve(problem(like), METHODS[name](), rounds=4, tol=0.0, checkpoint=tmp_path)
    resumed = nf.solve(problem(like), METHODS[name](), rounds=9, tol=0.0, checkpoint=tmp_path)
    assert resumed.x.tobytes() == whole.x.tobytes()
    assert [r.bytes_up for r in resumed.history] == [r.bytes_up for r in whole.history]


@pytest.mark.gpu
@pytest.mark.data
def test_the_gpu_agrees_with_the_host_on_real_rows():
    gpu()
    host = nf.solve(nf.load("phishing"), nf.bl1(), rounds=15, tol=0.0)
    device = nf.solve(nf.load("phishing", device="cuda"), nf.bl1(), rounds=15, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-10 * np.linalg.norm(host.x)
