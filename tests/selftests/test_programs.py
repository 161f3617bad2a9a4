# SPDX-License-Identifier: GPL-2.0-only
"""The recorder and the gate, on this machine: neither needs the module."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path

import pytest

from tests.selftests.frozen import dumps
from tests.selftests.keeper import Gate, Holder, Imager
from tests.selftests.recorded import from_site, profile_of, read_paths, sites_of
from tests.selftests.suite import build_helpers
from tests.selftests.translations import ABI, key_of, translate_all
from ubypass.abi import Abi

_GETPPID, _GETPID = 110, 39
_SOURCE = Path(__file__).parent / "programs" / "sample.c"


class _Noting(Holder):
    def __init__(self) -> None:
        self.programs: list[tuple[int, str]] = []

    def hold(self, pid: int) -> None:
        """Note who it is."""
        self.programs.append((pid, os.readlink(f"/proc/{pid}/exe")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("programs")
    build_helpers(directory)
    subprocess.run(["gcc", "-o", directory / "sample", _SOURCE], check=True)
    return directory


def _gated(built: Path, gate: str) -> list[str]:
    preload = f"LD_PRELOAD={built / 'gate.so'}"
    return ["/usr/bin/env", f"UB_GATE={gate}", preload, "LD_BIND_NOW=1"]


def _held(built: Path, holder: Holder) -> int:
    with Gate(built / "socket", holder) as gate:
        command = ["setarch", "-R", *_gated(built, str(built / "socket"))]
        process = subprocess.Popen([*command, str(built / "sample")])
        while not gate.wait(process, 60.0):
            pass
    return process.returncode


def test_a_program_and_its_child_are_held(built: Path) -> None:
    noting = _Noting()
    assert _held(built, noting) == 0
    (parent, program), (child, same) = noting.programs
    assert parent != child
    assert program == same == str(built / "sample")


def test_a_program_without_a_keeper_goes_on(built: Path) -> None:
    command = [*_gated(built, str(built / "nobody")), str(built / "sample")]
    subprocess.run(command, check=True, timeout=60)


def test_what_is_recorded_is_translated(built: Path, tmp_path: Path) -> None:
    program = str(built / "sample")
    recorder = [str(built / "steps"), str(tmp_path / "sample.steps"), "1000000", "60"]
    command = ["setarch", "-R", *recorder, *_gated(built, "step"), program]
    subprocess.run(command, check=True, timeout=120)
    recorded = read_paths((tmp_path / "sample.steps").read_bytes())
    paths = recorded[program]
    numbers = {path.nr for path in paths}
    assert {_GETPPID, _GETPID} <= numbers
    first = next(path for path in paths if path.nr == _GETPPID)
    assert first.ip == first.ips[0]
    assert first.ip in sites_of(paths)
    # The loop leads back to the same call.
    assert first.ips[-1] + 2 in {path.ip for path in paths}
    assert first in from_site(first.ip, paths, 1)
    profile = profile_of(paths)
    assert profile.is_traced
    assert first.key in profile.entries

    (tmp_path / ABI).write_bytes(dumps(Abi()))
    assert _held(built, Imager(tmp_path)) == 0
    [(name, made)] = list(translate_all(tmp_path))
    assert name == program
    assert made.entered > 0
    regions = pickle.loads((tmp_path / f"{key_of(program)}.regions").read_bytes())
    assert any(call.nr == _GETPPID for region in regions for call in region.dispatches)


def test_a_recording_ends_where_nothing_new_comes(built: Path, tmp_path: Path) -> None:
    file = tmp_path / "steps"
    recorder = [str(built / "steps"), str(file), "1000000000", "600"]
    command = [*recorder, *_gated(built, "step"), str(built / "sample"), "forever"]
    subprocess.run(command, check=True, timeout=60)
    [paths] = read_paths(file.read_bytes()).values()
    assert any(path.nr == _GETPPID for path in paths)


def test_a_recording_that_was_cut_off(built: Path, tmp_path: Path) -> None:
    file = tmp_path / "steps"
    recorder = [str(built / "steps"), str(file), "1000000", "60"]
    command = [*recorder, *_gated(built, "step"), str(built / "sample")]
    subprocess.run(command, check=True, timeout=120)
    data = file.read_bytes()
    whole = [path for paths in read_paths(data).values() for path in paths]
    short = [path for paths in read_paths(data[:-3]).values() for path in paths]
    assert short == whole[:-1]
    name = os.fsencode(built / "sample")
    assert read_paths(data[data.index(name) + len(name) :]) == {}
