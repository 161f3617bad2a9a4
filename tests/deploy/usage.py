# SPDX-License-Identifier: GPL-2.0-only
"""What is written about ``ub`` elsewhere, compared with what ``ub`` takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ubypass.cli import main

__all__ = ["documents", "parse", "table"]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """``words`` behind ``ub``, as it understands them; raises SystemExit if not."""
    return main._parser(words).parse_args(list(words))


def documents(path: Path) -> list[Any]:
    """All documents of a file of YAML."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def table(text: str, head: str) -> dict[str, str]:
    """First column (without its quotes) and last of the table below ``head``."""
    found = {}
    begun = False
    for line in text.splitlines():
        if line.startswith(f"| {head} |"):
            begun = True
        elif begun and not line.startswith("|"):
            break
        elif begun and not line.startswith("|--"):
            first, *_, last = (cell.strip() for cell in line.strip("|").split(" | "))
            found[first.strip("`")] = last
    assert found, head
    return found
