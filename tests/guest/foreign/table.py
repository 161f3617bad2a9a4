# SPDX-License-Identifier: GPL-2.0-only
"""The lines of ``table.toml``, where it says what they mean."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PACKAGES", "PROGRAMS", "Foreign"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A program and what it is given; see ``table.toml``."""

    kind: str
    command: str
    package: str = ""
    stdin: str = ""
    load: str = ""
    ordered: bool = True
    optional: bool = False
    native: str = ""
    varies: bool = False


#: By name, in the order in which they run.
PROGRAMS: dict[str, Foreign] = {
    name: Foreign(**line)
    for name, line in tomllib.loads(
        Path(__file__).with_name("table.toml").read_text()
    ).items()
}

#: What apt is asked for.
PACKAGES = tuple(
    dict.fromkeys(each.package for each in PROGRAMS.values() if each.package)
)
