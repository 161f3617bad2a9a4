# SPDX-License-Identifier: GPL-2.0-only
"""What the comparison of a system before and after sees; the rest needs root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fresh.listing import difference, listing


def _system(root: Path) -> Path:
    for name in ("usr/bin/tool", "var/lib/dpkg/status", "var/log/apt/history.log"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(name)
    (root / "usr/bin/link").symlink_to("tool")
    return root


def test_what_came_went_or_changed_is_seen(tmp_path: Path) -> None:
    root = _system(tmp_path)
    before = listing(root)
    assert {"usr/bin/tool", "usr/bin/link", "var/lib/dpkg/status"} <= set(before)
    assert not difference(before, listing(root))
    (root / "etc").mkdir()
    (root / "etc/left.conf").touch()
    (root / "usr/bin/link").unlink()
    (root / "usr/bin/tool").chmod(0o600)
    changes = difference(before, listing(root))
    assert [line.split(":")[0] for line in changes] == [
        *("etc", "etc/left.conf", "usr/bin/link", "usr/bin/tool")
    ]


@pytest.mark.parametrize(
    "place",
    ["var/cache/ubypass", "run/ubypass", "var/log/ubypass.log", "tmp/ubypass-1"],
)
def test_what_has_our_name_is_seen_everywhere(tmp_path: Path, place: str) -> None:
    root = _system(tmp_path)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    before = listing(root)
    (root / place).mkdir()
    assert [line.split(":")[0] for line in difference(before, listing(root))] == [place]
    # Caches are written at any time.
    installed = listing(root)
    (root / place / "kept").touch()
    assert not difference(installed, listing(root))


def test_what_others_write_is_not(tmp_path: Path) -> None:
    root = _system(tmp_path)
    before = listing(root)
    for name in (
        *("var/log/dpkg.log", "var/cache/apt/pkgcache.bin", "tmp/x"),
        *("var/lib/dpkg/status-old", "var/lib/dkms/mok.key"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    changes = difference(before, listing(root))
    # Directories that were not there before are.
    assert not [line for line in changes if "nothing, then -" in line]
    (root / "var/lib/dkms/ubypass").mkdir()
    assert "var/lib/dkms/ubypass" in str(difference(before, listing(root)))
