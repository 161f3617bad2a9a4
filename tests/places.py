# SPDX-License-Identifier: GPL-2.0-only
"""The checkout that the tests belong to."""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parents[1]
