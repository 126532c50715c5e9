"""Random streams: named by (seed, round, client, purpose) and by nothing else."""

from __future__ import annotations

from hashlib import blake2b
from itertools import combinations, product

import numpy as np
import pytest

from newtonfl.core.random import SERVER, Key


def numbers(key: Key, count: int = 4) -> list[float]:
    return key.generator().random(count).tolist()


def test_the_same_key_gives_the_same_numbers():
    """Made in one call or step by step, with Python's numbers or NumPy's, once or again."""
    key = Key(3, 4, 5, "/a/b")
    for other in (
        Key(3).at(4).of(5).to("a").to("b"),
        Key(3).to("a").of(5).to("b").at(4),
        Key(3, 4, np.int64(5), "/a/b"),
    ):
        assert numbers(other) == numbers(key)
    assert Key(3, 4).of(np.int64(5)) == Key(3, 4, 5)
    assert Key(3) == Key(3, -1, SERVER, "")


def test_different_keys_give_different_streams():
    """All pairs of 2·3·3·5 keys, among them the server's, the join's, and names that read alike end to end."""
    keys = [
        Key(seed, round, client, purpose)
        for seed, round, client, purpose in product(
            (0, 1), (-1, 1, 11), (SERVER, 1, 11), ("", "/a", "/a/b", "/ab", "1")
        )
    ]
    streams = [set(numbers(key)) for key in keys]
    assert all(a.isdisjoint(b) for a, b in combinations(streams, 2))


def test_streams_do_not_depend_on_who_draws_before():
    """Two generators, drawn from by turns, one after the other, and the other way round."""
    a, b = Key(0, 1, 2, "/x").generator(), Key(0, 1, 3, "/x").generator()
    turns = [(float(a.random()), float(b.random())) for _ in range(50)]
    for order in ((2, 3), (3, 2)):
        alone = {client: numbers(Key(0, 1, client, "/x"), 50) for client in order}
        assert turns == list(zip(alone[2], alone[3], strict=True))
    np.random.default_rng(0).random(7)
    assert numbers(Key(0, 1, 2, "/x"), 50) == alone[2]


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 in whole numbers (Salmon, Moraes, Dror, Shaw, SC 2011, section 4)."""
    c, k, mask = counter, key, 2**64 - 1
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(b >> 64) ^ c[1] ^ k[0], b & mask, (a >> 64) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


@pytest.mark.parametrize(
    "key, name, first",
    [
        (Key(0), b"0:-1:-1:", 16701969443184339382),
        (Key(1234, 56, 7, "/curvature"), b"1234:56:7:/curvature", 12922067452892262272),
    ],
)
def test_a_stream_is_philox_keyed_by_the_hash_of_its_name(key, name, first):
    """Golden first numbers, each found again by the generator's published definition keyed by BLAKE2b-128."""
    words = np.frombuffer(blake2b(name, digest_size=16).digest(), "<u8").tolist()
    raw = key.generator().bit_generator.random_raw(8).tolist()
    assert raw[0] == first
    assert raw == philox([1, 0, 0, 0], words) + philox([2, 0, 0, 0], words)
