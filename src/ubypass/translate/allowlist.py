# SPDX-License-Identifier: GPL-2.0-only
"""The instructions that may be translated, listed in ``allowlist.toml``."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from iced_x86 import Code, CpuidFeature, Instruction

__all__ = ["group", "names", "reason", "refused"]


def group(code: int) -> str | None:
    """The group of an iced ``Code`` value in the list; None: refused."""
    return _codes().get(code)


def refused() -> dict[str, str]:
    """Names that are refused on purpose, with the reason."""
    return {name: str(why) for name, why in _data()["refused"].items()}


def reason(instruction: Instruction) -> str:
    """Why the form of ``instruction``, which is in no group, is refused."""
    known = _reasons().get(instruction.code)
    if known is not None:
        return known
    if instruction.is_vsib:
        return "vector of addresses"
    features = _features()
    for feature in instruction.cpuid_features():
        if feature in features:
            return features[feature]
    return "not on the allow-list"


def names() -> tuple[str, ...]:
    """All allowed names, in the order of the list."""
    groups = _data()["allowed"].values()
    return tuple(name for group in groups for name in group)


@lru_cache(maxsize=1)
def _codes() -> dict[int, str]:
    groups = _data()["allowed"]
    return {getattr(Code, n): name for name, found in groups.items() for n in found}


@lru_cache(maxsize=1)
def _reasons() -> dict[int, str]:
    return {getattr(Code, name): why for name, why in refused().items()}


@lru_cache(maxsize=1)
def _features() -> dict[int, str]:
    found = _data()["refused_features"]
    return {getattr(CpuidFeature, name): str(why) for name, why in found.items()}


@lru_cache(maxsize=1)
def _data() -> dict[str, dict[str, Any]]:
    text = files("ubypass.translate").joinpath("allowlist.toml").read_text("utf-8")
    return tomllib.loads(text)
