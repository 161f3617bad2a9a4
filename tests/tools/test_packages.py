# SPDX-License-Identifier: GPL-2.0-only
"""Which Debian packages are asked for; that installing works is ``tests.fresh``'s."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

_SCRIPT = ROOT / "tools" / "packages.sh"
_SERVERS = {"nginx", "redis-server", "lighttpd", "memcached"}
_RIVALS = {"liburing-dev", "fio"}
_ONLY_FOR_TESTS = {
    *("strace", "gdb", "gcc-multilib", "cpio", "chromium-headless-shell"),
    "prometheus",
}


def _listed(purpose: str) -> set[str]:
    done = subprocess.run(
        [_SCRIPT, "--list", purpose], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


class _Bare:
    """A user on a machine that has shell and coreutils, and no more."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bin"
        self.path.mkdir()
        self.called = root / "called"
        for name in "find", "grep", "cat", "echo":
            (self.path / name).symlink_to(f"/usr/bin/{name}")
        self.program("id", "echo 1000")
        self.program("ldconfig", "")
        self.program("apt-get", f'echo "$@" >> {self.called}')

    def program(self, name: str, text: str) -> None:
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        # The script adds the directories for root's programs: hidden from it here.
        text = _SCRIPT.read_text().replace('PATH="$PATH:/usr/sbin:/sbin"\n', "")
        return subprocess.run(
            ["/bin/sh", "-c", text, "packages.sh", *words],
            env={**os.environ, "PATH": str(self.path)},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def bare(tmp_path: Path) -> _Bare:
    return _Bare(tmp_path)


def test_the_demo_needs_no_server_and_nothing_of_the_tests() -> None:
    assert not _listed("run") & (_SERVERS | _ONLY_FOR_TESTS)
    assert "qemu-system-x86" in _listed("run")


def test_the_bench_needs_servers_and_nothing_of_the_tests() -> None:
    assert _listed("run") < _listed("bench") < _listed("test")
    assert _listed("bench") >= _SERVERS
    assert _listed("bench") >= _RIVALS
    assert not _listed("run") & _RIVALS
    assert not _listed("bench") & _ONLY_FOR_TESTS


@pytest.mark.parametrize("purpose", ["run", "bench", "test"])
def test_on_a_bare_machine_all_is_missing(bare: _Bare, purpose: str) -> None:
    done = bare.run("--missing", purpose)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == _listed(purpose)


def test_any_chromium_will_do(bare: _Bare) -> None:
    assert "chromium-headless-shell" in bare.run("--missing", "test").stdout.split()
    bare.program("chromium", "")
    assert "chromium" not in bare.run("--missing", "test").stdout


def test_what_is_there_is_not_asked_for(bare: _Bare) -> None:
    bare.program("nginx", "")
    bare.program("qemu-system-x86_64", "")
    missing = set(bare.run("--missing", "bench").stdout.split())
    assert _listed("bench") - missing == {"nginx", "qemu-system-x86"}


def test_a_user_is_told_what_root_has_to_do(bare: _Bare) -> None:
    done = bare.run("run")
    assert done.returncode == 1
    assert "apt-get install" in done.stderr
    for package in _listed("run"):
        assert f" {package}" in done.stderr
    assert "mask" not in done.stderr
    assert not bare.called.exists()


def test_a_user_is_told_to_mask_servers_first(bare: _Bare) -> None:
    bare.program("nginx", "")
    lines = bare.run("bench").stderr.splitlines()
    mask = next(n for n, line in enumerate(lines) if "systemctl mask" in line)
    assert lines[mask].split()[2:] == ["redis-server", "lighttpd", "memcached"]
    assert "apt-get" in lines[mask + 1]


def test_an_unknown_purpose() -> None:
    done = subprocess.run([_SCRIPT, "fun"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "run, bench or test" in done.stderr
