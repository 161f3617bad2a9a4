# SPDX-License-Identifier: GPL-2.0-only
"""Which instructions may be translated: the data is in ``allowlist.toml``."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

from iced_x86 import Code


def allowed(code: int) -> bool:
    """Whether an iced ``Code`` value is on the list."""
    return code in _codes()


def refused() -> dict[str, str]:
    """Names that are refused on purpose, with the reason."""
    return {name: str(why) for name, why in _data()["refused"].items()}


def names() -> tuple[str, ...]:
    """All allowed names, in the order of the list."""
    groups = _data()["allowed"].values()
    return tuple(name for group in groups for name in group)


@lru_cache(maxsize=1)
def _codes() -> frozenset[int]:
    return frozenset(getattr(Code, name) for name in names())


@lru_cache(maxsize=1)
def _data() -> dict[str, dict[str, list[str]]]:
    text = files("ubypass.translate").joinpath("allowlist.toml").read_text("utf-8")
    return tomllib.loads(text)
