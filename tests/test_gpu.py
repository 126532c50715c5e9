"""The device path without a GPU: array-api-strict's second device, the kernel's compilation, the kernel on the host."""

from __future__ import annotations

import ctypes
import glob
import shutil
import site
import subprocess

import numpy as np
import pytest
import strict_device

import newtonfl as nf
from newtonfl import names
from newtonfl.backend import cupy, on_host
from newtonfl.glm import GLM
from newtonfl.kernels.select import KTH_MAGNITUDE, largest
from newtonfl.losses import Huber, Logistic, Poisson, Squared, SquaredHinge
from newtonfl.multinomial import Multinomial


def problem(like, loss=None, l2=1e-2):
    draw = np.random.Generator(np.random.Philox(11))
    rows = draw.standard_normal((60, 6))
    labels = np.where(rows @ np.arange(6) + draw.standard_normal(60) > 0, 1.0, -1.0)
    if isinstance(loss, Poisson):
        labels = np.abs(labels) + 1
    sizes = [13, 20, 7, 20]
    return GLM(rows, labels, sizes, loss or Logistic(), 60, like=like, n_clients=4, ridge=l2, objective="test")


METHODS = {name: make for name, make in names.METHODS.items() if name != "newton-star"} | {
    "newton-star": lambda: nf.newton_star(optimum=nf.optimum(problem(np.zeros(0)))[0]),
    "project": lambda: nf.newton_3pc(step="project", init="zero"),
    "spectral": lambda: nf.fednl(shift_norm="spectral"),
    "plain basis": lambda: nf.fednl(compressor=nf.TopK(4), basis="symmetric-plain", init="zero-total"),
    "rand-k, clients": lambda: nf.newton_3pc(compressor=nf.RandK(5), ridge="clients"),
    "float32": lambda: nf.newton_3pc(wire="float32"),
    "ladder": lambda: nf.newton_3pc(mechanism=nf.AdaCGD((nf.TopK(1), nf.RankR(1), nf.TopK(9)))),
    "adaptive, psd": lambda: nf.newton_3pc(mechanism=nf.AdaptiveTopK, basis="psd"),
    "two messages": lambda: nf.newton_3pc(mechanism=nf.V2(nf.TopK(3), nf.RandK(3)), gradient=nf.TopK(3)),
    "lazy": lambda: nf.newton_3pc(mechanism=nf.bag(0.5), l="last", gradient_p=0.5, model=nf.V1(nf.TopK(2))),
    "partial": lambda: nf.newton_3pc(participation=nf.Uniform(2), basis="data", model=nf.TopK(3), gradient_p=0.6),
    "searching": lambda: nf.newton_3pc_ls(compressor=nf.PowerSGD(1), ridge="clients"),
    "quantised": lambda: nf.newton_3pc(compressor=nf.Dithering(), basis="rotation", wire="float32"),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_on_a_device_and_agrees(name, monkeypatch):
    """Nothing crosses to the host but by name, and the answer is NumPy's up to rounding."""
    host = nf.solve(problem(np.zeros(0)), METHODS[name](), rounds=12, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(problem(strict_device.on_device()), METHODS[name](), rounds=12, tol=0.0)
    assert isinstance(device.x, np.ndarray)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)
    assert [r.bytes_up for r in device.history] == [r.bytes_up for r in host.history]


@pytest.mark.parametrize(
    "loss", [Logistic(), Squared(), Huber(), SquaredHinge(), Poisson()], ids=lambda x: type(x).__name__
)
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


@pytest.mark.parametrize("make", [nf.newton, lambda: nf.newton_3pc(line_search=3), lambda: nf.ef21(batch=5)])
def test_multinomial_problems_run_on_a_device(make, monkeypatch):
    host = nf.solve(multinomial(np.zeros(0)), make(), rounds=5, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(multinomial(strict_device.on_device()), make(), rounds=5, tol=0.0)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


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


def compile_cuda(source, library):
    """(status, log) of compiling `source` for a Hopper GPU; needs no GPU."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    option = (ctypes.c_char_p * 1)(b"--gpu-architecture=sm_90")
    status = library.nvrtcCompileProgram(program, 1, option)
    length = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(length))
    log = ctypes.create_string_buffer(length.value)
    library.nvrtcGetProgramLog(program, log)
    return status, log.value.decode()


def test_the_kernel_compiles():
    library = nvrtc()
    status, log = compile_cuda(KTH_MAGNITUDE, library)
    assert status == 0, log
    status, log = compile_cuda(KTH_MAGNITUDE.replace("found = candidate", "found = candidat"), library)
    assert status != 0 and "candidat" in log


SHIM = """
#define __global__
#define __shared__ static
static struct { unsigned x; } threadIdx, blockIdx, blockDim = {1};
static void __syncthreads() {}
static void atomicAdd(unsigned long long* sum, unsigned long long term) { *sum += term; }
%s
extern "C" void all_blocks(int n, const unsigned long long* bits, const long long* offsets,
                           const unsigned long long* k, unsigned long long* threshold)
{ for (blockIdx.x = 0; blockIdx.x < n; ++blockIdx.x) kth_magnitude(bits, offsets, k, threshold); }
"""


def test_the_kernels_logic_on_the_host(tmp_path):
    """The kernel's own source, blocks of one thread one after the other: the threshold that sorting gives."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to run the kernel's source on the host")
    (tmp_path / "kernel.cpp").write_text(SHIM % KTH_MAGNITUDE)
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", tmp_path / "kernel.so", tmp_path / "kernel.cpp"], check=True
    )
    library = ctypes.CDLL(str(tmp_path / "kernel.so"))
    draw = np.random.Generator(np.random.Philox(3))
    vectors = [
        draw.standard_normal(50),
        np.round(draw.standard_normal(200), 1),
        np.zeros(10),
        np.array([1e-300, -2e300]),
    ]
    offsets = np.cumsum([0] + [len(v) for v in vectors])
    bits = np.abs(np.concatenate(vectors)).view(np.uint64)
    for k in ([1] * 4, [2] * 4, [7] * 4, [50, 150, 3, 1], [150, 7, 50, 2]):
        counts = np.array(k, np.uint64)
        found = np.zeros(len(vectors), np.uint64)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (bits, offsets, found)]
        library.all_blocks(len(vectors), pointers[0], pointers[1], counts.ctypes.data_as(ctypes.c_void_p), pointers[2])
        wanted = [np.sort(np.abs(v))[-c] if c <= len(v) else 0.0 for v, c in zip(vectors, k, strict=True)]
        assert np.array_equal(found.view(np.float64), wanted)


def gpu():
    try:
        return cupy()
    except RuntimeError as missing:
        pytest.skip(f"needs a GPU: {missing}")


def test_the_gpu_selects_as_the_host_does():
    cp = gpu()
    draw = np.random.Generator(np.random.Philox(4))
    values = np.round(draw.standard_normal(5000), 1)
    offsets = np.array([0, 10, 10, 1200, 5000])
    for k in (0, 1, 9, 100, 4000):
        for ours, theirs in zip(largest(cp.asarray(values), offsets, k), largest(values, offsets, k), strict=True):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", METHODS)
def test_the_gpu_agrees_with_the_host(name):
    like = gpu().zeros(0)
    host = nf.solve(problem(np.zeros(0)), METHODS[name](), rounds=12, tol=0.0)
    device = nf.solve(problem(like), METHODS[name](), rounds=12, tol=0.0)
    assert on_host(device.x)
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)
