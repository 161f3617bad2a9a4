# SPDX-License-Identifier: GPL-2.0-only
"""Pickles of data classes that cannot be pickled as they are: compiled, and frozen."""

from __future__ import annotations

import dataclasses
import io
import pickle
from typing import Any

__all__ = ["dumps"]


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: object) -> Any:
        """Data classes by their constructor and fields."""
        if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
            return NotImplemented
        fields = dataclasses.fields(thing)
        return type(thing), tuple(getattr(thing, each.name) for each in fields)


def dumps(thing: object) -> bytes:
    """``thing`` for ``pickle.loads``."""
    into = io.BytesIO()
    _Pickler(into, protocol=5).dump(thing)
    return into.getvalue()
