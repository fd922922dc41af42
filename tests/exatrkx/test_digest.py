"""Digests of features and of requests, against a definition in Python's own integers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exatrkx.digest import added, features_digest, payload_digest, request_digest, signature, signed

if TYPE_CHECKING:
    import numpy.typing as npt

    Features = npt.NDArray[np.float32]
    Payload = npt.NDArray[np.float32 | np.int64]

MODULUS = 1 << 64
EVENTS = st.integers(0, 60).flatmap(lambda number: arrays(np.float32, (number, 3), elements=st.floats(width=32)))


def signed_64(number: int) -> int:
    return (number + MODULUS // 2) % MODULUS - MODULUS // 2


def defined_digest(features: Features) -> int:
    values = features.reshape(-1)
    total = 0
    for entry, value in enumerate(values):
        (bits,) = struct.unpack("<i", struct.pack("<f", value) if value == value else value.tobytes())  # noqa: PLR0124
        word = signed_64(0x9E3779B97F4A7C15 * bits + 0xA0761D6478BD642F * (len(values) + entry))
        total += word * (word >> 32)
    return signed_64(total)


@given(EVENTS)
def test_it_is_what_it_is_defined_to_be(features: Features) -> None:
    assert features_digest(features) == defined_digest(features)


def test_memory_layout_makes_no_difference() -> None:
    features = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    assert features_digest(np.asfortranarray(features)) == features_digest(features)


def test_order_signs_and_number_of_spacepoints_do() -> None:
    features = np.random.default_rng(2).normal(size=(500, 3)).astype(np.float32)
    mirrored, swapped = features.copy(), features.copy()
    mirrored[:, 2] *= -1
    swapped[[3, 4]] = features[[4, 3]]
    others = [mirrored, swapped, features[::-1], -features, features[:-1], np.roll(features, 1), features * 0]
    others += [np.zeros((number, 3), dtype=np.float32) for number in range(4)]
    others += [np.concatenate([features, np.zeros((1, 3), dtype=np.float32)]), np.nextafter(features, np.float32(9))]
    digests = [features_digest(other) for other in (features, *others)]
    assert len(set(digests)) == len(digests)


def test_many_events_of_equal_size_have_digests_of_their_own() -> None:
    """Two spacepoints exchanged: the nearest that two events of equal size can be to each other."""
    features = np.random.default_rng(3).normal(size=(100, 3)).astype(np.float32)
    digests = {features_digest(features)}
    for one in range(100):
        for other in range(one):
            swapped = features.copy()
            swapped[[one, other]] = features[[other, one]]
            digests.add(features_digest(swapped))
    assert len(digests) == 1 + 100 * 99 // 2


@given(
    arrays(np.int64, st.tuples(st.just(2), st.integers(0, 200)))
    | arrays(np.float32, st.integers(0, 200), elements=st.floats(width=32))
)
def test_a_payloads_is_what_it_is_defined_to_be(payload: Payload) -> None:
    words = payload.ravel().view(np.int32 if payload.dtype == np.float32 else np.int64).tolist()
    assert payload_digest(payload) == signed_64(
        sum(0x9E3779B97F4A7C15 ** (1 + entry % 64) * word for entry, word in enumerate(words))
    )


def test_a_payload_that_is_in_part_anothers_has_another() -> None:
    """From the first entry on, and from the last: what a reader finds who reads while it is written over."""
    rng = np.random.default_rng(5)
    one, other = np.sort(rng.integers(0, 40, (2, 2, 150)))
    digests = (payload_digest(one), payload_digest(other))
    assert digests[0] != digests[1]
    for changed in range(1, 301):
        for new, old in ((one, other), (other, one)):
            mixed = np.concatenate([new.ravel()[:changed], old.ravel()[changed:]])
            if not (np.array_equal(mixed, one.ravel()) or np.array_equal(mixed, other.ravel())):
                assert payload_digest(mixed) not in digests


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_what_was_added_is_taken_off(digest: int, payload: int) -> None:
    assert added(added(digest, payload), -payload) == digest
    assert added(digest, payload) == signed_64(digest + payload)


def test_a_request_without_an_id_has_its_features_digest() -> None:
    assert request_digest(-5, "") == -5


@pytest.mark.parametrize(("text", "fnv1a"), [("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)])
def test_the_id_is_mixed_in_as_fnv_1a(text: str, fnv1a: int) -> None:
    """Published values of the 64-bit hash, which begins with this number."""
    assert request_digest(signed_64(0xCBF29CE484222325), text) == signed_64(fnv1a)


@given(st.integers(-(1 << 63), (1 << 63) - 1) | st.none(), st.text(), st.text())
def test_a_signature_is_found_and_taken_out(digest: int | None, before: str, after: str) -> None:
    assert signed(before + signature(digest) + after) == (before + after, signature(digest))


def test_a_text_without_a_signature_stays() -> None:
    assert signed("frnn: [request] of [request 0x12]") == ("frnn: [request] of [request 0x12]", "")
