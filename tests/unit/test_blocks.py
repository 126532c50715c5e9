"""Blocks: every client's reduction is NumPy's over its own block, empty blocks included, in any array library."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from newtonfl.core.backend import to_host
from newtonfl.core.ragged import Blocks, offsets_of, ranges
from newtonfl.kernels import norms, sums

SIZES = [3, 0, 1, 1000, 0]


@pytest.fixture(params=[np, array_api_strict], ids=["numpy", "strict"])
def blocks(request):
    """Blocks of :data:`SIZES` in each library."""
    draw = np.random.default_rng(0)
    return Blocks.of([request.param.asarray(draw.standard_normal(size)) for size in SIZES])


def vectors() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.standard_normal(size) for size in SIZES]


def test_blocks_hold_what_was_laid_end_to_end(blocks):
    """Length, sizes, each block by its number and in turn."""
    assert len(blocks) == 5 and blocks.sizes.tolist() == SIZES
    assert blocks.offsets.tolist() == [0, 3, 3, 4, 1004, 1004] and blocks.offsets.dtype == np.int64
    for i, (block, vector) in enumerate(zip(blocks, vectors(), strict=True)):
        np.testing.assert_array_equal(to_host(block), vector)
        np.testing.assert_array_equal(to_host(blocks[i]), vector)
    assert offsets_of([]).tolist() == [0]


def test_sums_and_norms_are_numpys_of_each_block(blocks):
    """In the same bits: a client's sum must not depend on its neighbours, so it is the sum of its own array."""
    np.testing.assert_array_equal(to_host(sums(blocks)), [vector.sum() for vector in vectors()])
    np.testing.assert_array_equal(to_host(norms(blocks)), [np.sqrt((vector * vector).sum()) for vector in vectors()])
    np.testing.assert_allclose(to_host(norms(blocks)), [np.linalg.norm(vector) for vector in vectors()], rtol=1e-14)


def test_a_blocks_bits_do_not_depend_on_its_neighbours():
    """Any regrouping gives the same sums and norms."""
    draw = np.random.default_rng(1)
    alone = [draw.standard_normal(size) for size in (1, 7, 8, 129, 1023, 4097, 3)]
    for order in (range(7), range(6, -1, -1), [3, 5, 0], [4]):
        together = Blocks.of([alone[i] for i in order])
        assert sums(together).tolist() == [float(sums(Blocks.of([alone[i]]))[0]) for i in order]
        assert norms(together).tolist() == [float(norms(Blocks.of([alone[i]]))[0]) for i in order]


@pytest.mark.parametrize("chosen", [[3], [4, 0, 2], [1], [], [0, 1, 2, 3, 4]], ids=str)
def test_some_blocks_are_taken_and_put_back(blocks, chosen):
    """As copies, in the given order; the others stay, and so does what they were taken from."""
    chosen = np.array(chosen, dtype=np.int64)
    some = blocks.select(chosen)
    assert some.sizes.tolist() == [SIZES[i] for i in chosen]
    for block, i in zip(some, chosen, strict=True):
        np.testing.assert_array_equal(to_host(block), vectors()[i])
    changed = blocks.put(chosen, some.replaced(some.values * 2 + 1))
    assert changed.offsets is blocks.offsets and type(changed.values) is type(blocks.values)
    for i, vector in enumerate(vectors()):
        np.testing.assert_array_equal(to_host(blocks[i]), vector)
        np.testing.assert_array_equal(to_host(changed[i]), vector * 2 + 1 if i in chosen else vector)
    if len(chosen):
        some.values[:] = 0.0
        np.testing.assert_array_equal(to_host(blocks.values), np.concatenate(vectors()))


def test_blocks_of_another_size_are_not_put(blocks):
    with pytest.raises(ValueError, match="given vectors of sizes"):
        blocks.put(np.array([0, 1]), blocks.select(np.array([0, 2])))


def test_ranges():
    """Runs of integers end to end, empty ones included."""
    assert ranges(np.array([5, 9, 0]), np.array([2, 0, 3])).tolist() == [5, 6, 0, 1, 2]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_no_blocks_have_no_sums():
    empty = Blocks.of([])
    assert len(empty) == 0 and sums(empty).shape == norms(empty).shape == (0,)


def test_differences_and_replacements_keep_the_offsets(blocks):
    """a - b blockwise; other values on the same layout."""
    other = blocks.replaced(2 * blocks.values)
    difference = other - blocks
    np.testing.assert_array_equal(to_host(difference.values), np.concatenate(vectors()))
    assert difference.offsets is blocks.offsets and other.offsets is blocks.offsets
