# SPDX-License-Identifier: GPL-2.0-only
"""Names in a store."""

from __future__ import annotations

import pytest

from ubypass.store.backend import check_name

_ADDRESS = "0123456789abcdef" * 4


@pytest.mark.parametrize("ending", ["", ".claim", ".takeover"])
def test_names_of_this_package(ending: str) -> None:
    assert check_name(_ADDRESS + ending) == _ADDRESS + ending


@pytest.mark.parametrize(
    "name", ["", "../x", _ADDRESS[:-1], _ADDRESS + "/..", _ADDRESS + ".", "A" * 64]
)
def test_other_names_are_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=r"content address|ending"):
        check_name(name)
