# SPDX-License-Identifier: GPL-2.0-only
"""States as tests want them, without the code that would lead to them."""

from __future__ import annotations

from typing import Any

from ubypass.translate.state import State

__all__ = ["put"]

_LISTS = "loc", "intervals"


def put(state: State, **fields: Any) -> State:
    """``state``, changed: ``loc`` and ``intervals`` by user register, other fields by
    name.
    """
    for name, value in fields.items():
        if name in _LISTS:
            known = getattr(state, name)
            for user, part in value.items():
                known[user] = part
        else:
            setattr(state, name, value)
    return state
