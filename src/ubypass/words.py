# SPDX-License-Identifier: GPL-2.0-only
"""Integers as 64-bit words of the processor."""

from __future__ import annotations

__all__ = ["signed64"]


def signed64(value: int) -> int:
    """The low 64 bits of ``value`` as a signed number in two's complement."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
