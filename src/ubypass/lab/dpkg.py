# SPDX-License-Identifier: GPL-2.0-only
"""dpkg's database for a directory with packages that were only unpacked.

Programs that query dpkg (the package of a library, the state of a package) get the
answers of a system with these packages installed. Scripts of packages do not run.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError

__all__ = ["record"]

_INSTALLED = "Status: install ok installed"


def record(root: Path, debs: Sequence[Path]) -> None:
    """Record ``debs``, unpacked in ``root``, as installed in dpkg's database there.

    Raises UbError for a file that is no package.
    """
    home = root / "var" / "lib" / "dpkg"
    info = home / "info"
    for directory in info, home / "updates":
        directory.mkdir(parents=True, exist_ok=True)
    (info / "format").write_text("1\n")
    (home / "status").write_text("".join(_record(deb, info) for deb in debs))
    (home / "available").touch()


def _record(deb: Path, info: Path) -> str:
    """Write dpkg's files of one package; return its paragraph of the status file."""
    fields = _dpkg_deb("--field", str(deb)).strip()
    name = _field(fields, "Package")
    if _field(fields, "Multi-Arch") == "same":
        name += f":{_field(fields, 'Architecture')}"
    with tempfile.TemporaryDirectory() as work:
        _dpkg_deb("--control", str(deb), work)
        for file in Path(work).iterdir():
            if file.name != "control":
                (info / f"{name}.{file.name}").write_bytes(file.read_bytes())
    # The path is the sixth word of a line and may have spaces; links have a target.
    rows = (line.split(None, 5)[5] for line in _contents(deb))
    paths = (row.split(" -> ")[0].rstrip("/").removeprefix(".") for row in rows)
    (info / f"{name}.list").write_text("".join(f"{p or '/.'}\n" for p in paths))
    first, _, rest = fields.partition("\n")
    return f"{first}\n{_INSTALLED}\n{rest}\n\n"


def _contents(deb: Path) -> list[str]:
    return _dpkg_deb("--contents", str(deb)).splitlines()


def _field(fields: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*)$", fields, re.MULTILINE)
    return found[1] if found else ""


def _dpkg_deb(*arguments: str) -> str:
    done = child.run(["dpkg-deb", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UbError(f"cannot read a package: {last[0]}")
    output: str = done.stdout
    return output
