# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.calibrate.made import calibration
from ubypass import processor
from ubypass.calibrate import cache
from ubypass.calibrate.figures import Calibration
from ubypass.errors import UbError


class _Machine:
    """A machine that can be changed, and a count of its measurements."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.boot = root / "boot_id"
        self.boot.write_text("11111111-1111\n")
        self.vulnerabilities = root / "vulnerabilities"
        self.vulnerabilities.mkdir()
        (self.vulnerabilities / "meltdown").write_text("Mitigation: PTI\n")
        self.measured = 0
        self.have("processor", "microcode", lambda: "0x1")
        monkeypatch.setattr(cache, "_BOOT_ID", self.boot)
        monkeypatch.setattr(cache, "_VULNERABILITIES", self.vulnerabilities)
        monkeypatch.setattr(cache, "measure", self._measure)
        monkeypatch.setenv("UBYPASS_CACHE", str(root / "cache"))

    def have(self, where: str, name: str, what: Callable[..., object]) -> None:
        place = {"processor": processor, "cache": cache, "os": os}[where]
        self._monkeypatch.setattr(place, name, what)

    def _measure(self, seconds: float) -> Calibration:
        self.measured += 1
        return calibration(rounds=self.measured, processor=processor.describe())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Machine:
    # Wherever pytest has its directories, nobody else can write there.
    tmp_path.chmod(0o700)
    return _Machine(tmp_path, monkeypatch)


def test_it_is_measured_once(machine: _Machine) -> None:
    first = cache.cached()
    assert cache.cached() == first
    assert machine.measured == 1
    assert stat.S_IMODE(cache.cache_file().stat().st_mode) == 0o644
    assert not list(cache.cache_file().parent.glob(".*"))


def _change_microcode(machine: _Machine) -> None:
    machine.have("processor", "microcode", lambda: "0x2")


def _change_boot(machine: _Machine) -> None:
    machine.boot.write_text("22222222-2222\n")


def _change_mitigation(machine: _Machine) -> None:
    (machine.vulnerabilities / "meltdown").write_text("Not affected\n")


def _add_mitigation(machine: _Machine) -> None:
    (machine.vulnerabilities / "new").write_text("Vulnerable\n")


def _change_format(machine: _Machine) -> None:
    machine._monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)


@pytest.mark.parametrize(
    "change",
    [
        _change_microcode,
        _change_boot,
        _change_mitigation,
        _add_mitigation,
        _change_format,
    ],
)
def test_what_it_depends_on(
    machine: _Machine, change: Callable[[_Machine], None]
) -> None:
    cache.cached()
    change(machine)
    assert cache.found() is None
    cache.cached()
    cache.cached()
    assert machine.measured == 2
    # One file for each model, however often the machine boots.
    assert len(list(cache.cache_file().parent.iterdir())) == 1


def test_two_processors_have_two_files(machine: _Machine) -> None:
    cache.cached()
    first = cache.cache_file()
    machine.have("processor", "describe", lambda: "another one")
    cache.cached()
    assert cache.cache_file() != first
    assert machine.measured == 2
    assert first.exists()


def test_a_copy_of_another_processors_file(machine: _Machine) -> None:
    cache.cached()
    text = cache.cache_file().read_text()
    machine.have("processor", "describe", lambda: "another one")
    cache.cache_file().write_text(text)
    assert cache.found() is None


def test_boots_that_cannot_be_told_apart(machine: _Machine) -> None:
    machine.boot.unlink()
    cache.cached()
    cache.cached()
    assert machine.measured == 2
    assert not cache.cache_file().exists()


def _without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "null",
        lambda text: "[1]",
        lambda text: "[" * 50_000,
        lambda text: "9" * 50_000,
        lambda text: text + " " * 100_000,
        lambda text: json.dumps(_without(json.loads(text), "key")),
        lambda text: json.dumps(_without(json.loads(text), "calibration")),
        lambda text: text.replace('"ns": 0.25', '"ns": NaN'),
        lambda text: text.replace('"ns": 0.25', '"ns": -0.25'),
        lambda text: text.replace('"ns": 0.25', '"ns": "0.25"'),
        lambda text: text.replace('"measured": true', '"measured": false'),
        lambda text: text.replace('"rounds": 1', '"rounds": {}'),
    ],
)
def test_a_damaged_file(machine: _Machine, damage: Callable[[str], str]) -> None:
    cache.cached()
    text = cache.cache_file().read_text()
    damaged = damage(text)
    assert damaged != text
    cache.cache_file().write_text(damaged)
    assert cache.found() is None
    cache.cached()
    assert machine.measured == 2
    assert cache.found() is not None


def test_bytes_that_are_no_text(machine: _Machine) -> None:
    cache.cached()
    cache.cache_file().write_bytes(b"\xff\xfe\x00" * 10)
    assert cache.found() is None


def test_what_is_no_file(machine: _Machine) -> None:
    path = cache.cache_file()
    path.parent.mkdir(parents=True)
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/")):
        make()
        assert cache.found() is None
        assert cache.cached().measured
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def test_a_link_to_a_good_file(machine: _Machine, tmp_path: Path) -> None:
    cache.cached()
    path = cache.cache_file()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.found() is None


def test_a_file_that_others_may_write(machine: _Machine) -> None:
    cache.cached()
    cache.cache_file().chmod(0o646)
    assert cache.found() is None


def test_root_does_not_believe_groups(machine: _Machine) -> None:
    cache.cached()
    cache.cache_file().chmod(0o664)
    machine.have("os", "geteuid", lambda: 0)
    assert cache.found() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user(machine: _Machine) -> None:
    cache.cached()
    os.chown(cache.cache_file(), 12345, 12345)
    assert cache.found() is None
    # It is replaced by one of root's.
    cache.cached()
    assert cache.cache_file().stat().st_uid == 0
    assert cache.found() is not None


def test_others_believe_root(machine: _Machine) -> None:
    cache.cached()
    owner = cache.cache_file().stat().st_uid
    machine.have("os", "geteuid", lambda: 12345)
    assert (cache.found() is not None) is (owner == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_root_writes_nothing_where_others_may(
    machine: _Machine, tmp_path: Path
) -> None:
    """They could have put a link in the way of what root writes."""
    (tmp_path / "cache").mkdir()
    os.chown(tmp_path / "cache", 12345, 12345)
    cache.cached()
    assert not cache.cache_file().exists()
    os.chown(tmp_path / "cache", 0, 0)
    cache.cache_file().parent.chmod(0o777)
    cache.cached()
    assert not cache.cache_file().exists()
    cache.cache_file().parent.chmod(0o755)
    cache.cached()
    assert cache.cache_file().exists()


def test_a_directory_that_cannot_be_made(machine: _Machine, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    assert cache.cached().measured
    assert cache.cached().measured
    assert machine.measured == 2


def test_a_user_without_a_home(machine: _Machine) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    machine.have("cache", "cache_dir", unknown)
    assert cache.cached().measured


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_a_home_that_is_closed(machine: _Machine) -> None:
    """As after su, with the other user's HOME."""
    os.seteuid(12345)
    try:
        assert cache.cached().measured
    finally:
        os.seteuid(0)


def test_a_full_disk(machine: _Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise UbError("cannot write: No space left on device")

    monkeypatch.setattr(cache, "write_text", full)
    assert cache.cached().measured


def test_who_cannot_measure_is_told(machine: _Machine) -> None:
    def fail(seconds: float) -> Calibration:
        raise UbError("forbidden")

    machine.have("cache", "measure", fail)
    with pytest.raises(UbError, match="forbidden"):
        cache.cached()
    assert not cache.cache_file().exists()
