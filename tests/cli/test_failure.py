# SPDX-License-Identifier: GPL-2.0-only
"""What the system denies is explained: which file, whose, what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ubypass import places
from ubypass.cli import failure
from ubypass.cli.failure import explained

_NOBODY = 65534

#: Runs ``ub`` as a user to whom nothing of the project belongs. Imports all of it
#: first: the interpreter may be root's alone. What is built counts as old.
_AS_NOBODY = """
import importlib, os, pkgutil, sys
import ubypass
for each in pkgutil.walk_packages(ubypass.__path__, "ubypass."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
from ubypass.bench import workloads
from ubypass.cli.main import main
workloads.is_current = lambda *_: False
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def _error(number: int, path: Path | None = None) -> OSError:
    text = os.strerror(number)
    return OSError(number, text) if path is None else OSError(number, text, str(path))


def test_what_root_has_made_and_a_user_comes_upon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "checkout", lambda: tmp_path)
    monkeypatch.setattr(failure.os, "geteuid", lambda: _NOBODY)
    made = tmp_path / "build" / "kernel"
    made.mkdir(parents=True)
    owner = failure._user(made.stat().st_uid)
    found = explained(_error(errno.EACCES, made / "6.1" / ".lock"))
    assert found.message == (
        f"cannot use {made}/6.1/.lock: Permission denied; {made} belongs to {owner}"
    )
    assert found.hint == (
        f"as root: chown -R {failure._user(_NOBODY)} {tmp_path / 'build'}"
    )


def test_a_cache_that_cannot_even_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "home" / "cache"))
    monkeypatch.setattr(failure.os, "geteuid", lambda: _NOBODY)
    found = explained(_error(errno.EACCES, tmp_path / "home" / "cache" / "x"))
    assert found.hint == "choose another cache with UBYPASS_CACHE=DIRECTORY"


def test_ones_own_file(tmp_path: Path) -> None:
    found = explained(_error(errno.EACCES, tmp_path / "x"))
    assert found.message == f"cannot use {tmp_path}/x: Permission denied"
    assert found.hint == f"check it: ls -ld {tmp_path}"


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "UBYPASS_CACHE"), (errno.EDQUOT, "free"), (errno.EROFS, "another")],
)
def test_places_that_take_nothing_more(number: int, hint: str, tmp_path: Path) -> None:
    found = explained(_error(number, tmp_path))
    assert str(tmp_path) in found.message
    assert hint in found.hint
    assert found.exit_code == 1


def test_without_a_name() -> None:
    assert "output" in explained(_error(errno.ENOSPC)).message
    assert "short of" in explained(_error(errno.EMFILE)).message
    assert "an operation failed" in explained(_error(errno.EIO)).message


def test_a_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert explained(_error(errno.ENOENT)).message == "this directory no longer exists"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs what root has made")
@pytest.mark.parametrize(
    "words",
    [
        ["module", "build", "--kernel", "6.1.0-56-amd64"],
        ["bench", "prepare", "--kernel", "6.1.0-56-amd64"],
        ["bench", "gaps"],
        ["lab", "run", "--", "true"],
    ],
    ids=" ".join,
)
def test_root_once_and_a_user_later(words: list[str]) -> None:
    """Every place that is written to: told, and never a mistake of ours."""
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "UBYPASS_CACHE": cache},
            timeout=120,
        )
    assert done.returncode == 1, done.stderr
    assert "internal error" not in done.stderr
    assert "belongs to root" in done.stderr, done.stderr
    assert "as root: chown -R nobody" in done.stderr
