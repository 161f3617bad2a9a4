# SPDX-License-Identifier: GPL-2.0-only
"""What the guides name is there: files, and names in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.places import ROOT

_GUIDES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_FILE = re.compile(r"`([\w./-]+\.(?:py|c|h|S|s|md|toml|txt))`")
#: Where a name without its directory may be.
_PLACES = (".", "docs", "kernel", "src/ubypass", "tests")
#: What users or builds make, what is somebody else's, and examples.
_ELSEWHERE = re.compile(
    r"^(?:/|.*config\.toml$|build/|debian/tmp/|arch/|lib/|ub_|.*/a/(?:test_)?b\.py$)"
)


def _is_there(name: str) -> bool:
    if any((ROOT / place / name).exists() for place in _PLACES):
        return True
    # Tables name files of one package, whose name stands above.
    folders = (ROOT / "src", ROOT / "kernel", ROOT / "tests", ROOT / "workloads")
    return any(next(folder.rglob(Path(name).name), None) for folder in folders) and (
        "/" not in name or any(next(f.rglob(name), None) for f in folders)
    )


@pytest.mark.parametrize("guide", _GUIDES, ids=lambda path: str(path.name))
def test_files_that_a_guide_names_are_there(guide: Path) -> None:
    named = set(_FILE.findall(guide.read_text("utf-8")))
    wanted = {name for name in named if not _ELSEWHERE.match(name)}
    assert [name for name in sorted(wanted) if not _is_there(name)] == []


def test_names_in_the_steps_are_there() -> None:
    text = (ROOT / "docs" / "extending.md").read_text("utf-8")
    for name in ("SYSCALL_ARGS", "guard_and_clamp", "guard_and_clamp_host", "VERB"):
        assert f"`{name}`" in text
        sources = (ROOT / "src").rglob("*.py")
        assert any(
            re.search(rf"^(?:def )?{name}\b", path.read_text("utf-8"), re.M)
            for path in sources
        ), name
