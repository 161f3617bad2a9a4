# SPDX-License-Identifier: GPL-2.0-only
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.policy import DEBIAN, answer
from ubypass.errors import UbError
from ubypass.lab import archive


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs in place of apt's, with a cache of its own."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    return directory


def _program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", ["../x", "", "Trixie", "trixie main", "6.1"])
def test_what_is_no_suite_is_refused(bin_dir: Path, name: str) -> None:
    _program(bin_dir, "apt-get", "exit 0")
    with pytest.raises(UbError, match="not a suite"):
        archive.of_suite(name)


def test_lists_are_fetched_once_a_day(bin_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    _program(bin_dir, "apt-get", f'echo "$@" >> {log}')
    found = archive.of_suite("trixie")
    archive.of_suite("trixie")
    assert len(log.read_text().splitlines()) == 1
    stamp = found.home / "updated"
    os.utime(stamp, (1, 1))
    archive.of_suite("trixie")
    assert len(log.read_text().splitlines()) == 2


def test_old_lists_do_where_there_is_no_network(bin_dir: Path) -> None:
    _program(bin_dir, "apt-get", "exit 0")
    stamp = archive.of_suite("trixie").home / "updated"
    os.utime(stamp, (1, 1))
    failing = "echo 'W: Failed to fetch http://x  Could not resolve' >&2"
    _program(bin_dir, "apt-get", failing)
    archive.of_suite("trixie")
    with pytest.raises(UbError, match=r"lists of sid: .*Could not resolve"):
        archive.of_suite("sid")


def test_the_hosts_own_archive_is_left_alone(bin_dir: Path, tmp_path: Path) -> None:
    _program(bin_dir, "apt-get", f"touch {tmp_path}/called")
    own = archive.of_suite(None)
    assert "APT_CONFIG" not in own.environment()
    assert not (tmp_path / "called").exists()


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="needs apt")
def test_apt_understands_the_settings(bin_dir: Path) -> None:
    """And takes backports, or what is newest, but nothing of the host."""
    _program(bin_dir, "apt-get", "exit 0")
    for suite, chosen in [("trixie", ""), ("trixie-backports", "trixie-backports")]:
        found = archive.of_suite(suite)
        said = subprocess.run(
            ["apt-config", "dump"],
            env=found.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f'Dir::State "{found.home}/state";' in said
        assert f'Dir::State::status "{found.home}/status";' in said
        assert (f'APT::Default-Release "{chosen}";' in said) == bool(chosen)
        lines = (found.home / "sources.list").read_text().splitlines()
        assert all(line.startswith("deb ") for line in lines)
        assert any(f" {suite} main" in line for line in lines)
        assert any(" trixie-security main" in line for line in lines)


_OTHER = """\
 500 http://other.example/things x/main amd64 Packages
     release v=1,o=Other,a=x,n=x,l=Debian,c=main,b=amd64
"""
_SECURITY = """\
 500 http://safe.example/x trixie-security/main amd64 Packages
     release v=13,o=Debian,a=stable-security,n=trixie-security,l=Debian-Security,c=main
"""


@pytest.mark.parametrize(
    ("policy", "security"),
    [
        (_OTHER + DEBIAN, "http://mirror.example/debian-security"),
        (_SECURITY + DEBIAN, "http://safe.example/x"),
        (DEBIAN.replace("/debian ", "/all "), None),
    ],
)
def test_packages_come_from_where_the_host_has_them(
    bin_dir: Path, policy: str, security: str | None
) -> None:
    _program(bin_dir, "apt-get", "exit 0")
    _program(bin_dir, "apt-cache", answer(policy))
    home = archive.of_suite("trixie").home
    lines = (home / "sources.list").read_text().splitlines()
    assert all("mirror.example" in line for line in lines if "-security" not in line)
    found = [line.split()[-3] for line in lines if "trixie-security main" in line]
    assert found == ([security] if security else [])


def test_a_host_without_debian_is_told(bin_dir: Path) -> None:
    _program(bin_dir, "apt-get", "exit 0")
    _program(bin_dir, "apt-cache", answer(_OTHER))
    with pytest.raises(UbError, match="no Debian archive"):
        archive.of_suite("trixie")
