# SPDX-License-Identifier: GPL-2.0-only
"""What is stored is read back, and nothing else gets through."""

from __future__ import annotations

import contextlib
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.sample import ABI, Machine, random_bases, region_of
from ubypass.store.placement import placement_of
from ubypass.store.portable import Portable, make_portable
from ubypass.store.wire import MOST_BYTES, WireError, decoded, encoded
from ubypass.translate.translate import translate


def _portable() -> Portable:
    machine = Machine(random_bases(1))
    region = region_of(machine, 2)
    place = placement_of(region, machine.maps)
    return make_portable(region, place, lambda region: translate(region, ABI))


_SAMPLE = _portable()
_FIELDS: dict[str, Any] = json.loads(zlib.decompress(encoded(_SAMPLE)))


def _packed(fields: object) -> bytes:
    return zlib.compress(json.dumps(fields).encode())


def test_a_translation_comes_back() -> None:
    again = decoded(encoded(_SAMPLE))
    assert again == _SAMPLE
    assert again.translation.exact == _SAMPLE.translation.exact
    assert again.translation.anchored == _SAMPLE.translation.anchored
    assert type(again.translation.exits[0].reason) is type(
        _SAMPLE.translation.exits[0].reason
    )
    assert len(encoded(_SAMPLE)) < 8192


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        zlib.compress(b"junk"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"[]"),
        zlib.compress(b"{}") + b"more",
        zlib.compress(b"{}")[:-2],
        zlib.compress(bytes(64 << 20)),  # a bomb
        bytes(MOST_BYTES + 1),
    ],
)
def test_what_is_no_translation_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decoded(data)


@pytest.mark.parametrize("name", sorted(_FIELDS))
@pytest.mark.parametrize(
    "value",
    [None, -1, 1 << 80, 1.5, "text", [[]], [[1, "x"]], [-2], [True], {"a": 1}, True],
)
def test_each_field_is_checked(name: str, value: object) -> None:
    if (name, value) in (("vector", True), ("x87", True)):
        return
    with pytest.raises(WireError):
        decoded(_packed({**_FIELDS, name: value}))


@pytest.mark.parametrize("name", sorted(_FIELDS))
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(WireError):
        decoded(_packed({key: v for key, v in _FIELDS.items() if key != name}))


@pytest.mark.parametrize(
    "relocations",
    [
        [[0, 0, False], [7, 0, False]],  # overlapping
        [[8, 0, False], [0, 0, False]],
        [[len(_SAMPLE.translation.code) - 7, 0, True]],
        [[0, 2, True]],
        [[0, -1, True]],
        [[0, None, True]],
        [[0, 0, 1]],
        [[0, 0]],
    ],
)
def test_relocations_lie_in_the_code(relocations: list[list[int]]) -> None:
    with pytest.raises(WireError):
        decoded(_packed({**_FIELDS, "relocations": relocations}))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(_FIELDS)), _JSON, min_size=1))
def test_nothing_but_wire_errors_comes_of_hostile_fields(
    changes: dict[str, object],
) -> None:
    with contextlib.suppress(WireError):
        decoded(_packed({**_FIELDS, **changes}))
