# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench import io
from ubypass.bench.uring import fio
from ubypass.bench.uring.record import FIO, NATIVE, PLAIN, REGISTERED
from ubypass.errors import UbError

_SAID = """fio: a remark
{"fio version": "fio-3.33",
 "jobs": [{"error": 0, "job_runtime": 500, "read": {"total_ios": 250000}}]}
"""


def test_cost_of_a_read() -> None:
    assert fio.cost_of(_SAID) == 2000.0


@pytest.mark.parametrize("said", ["", "{", "{}", '{"jobs": []}', _SAID[:40]])
def test_no_cost(said: str) -> None:
    with pytest.raises(UbError, match="no result"):
        fio.cost_of(said)


def test_batches_are_whole() -> None:
    words = fio.command("fio", REGISTERED, 64, 32, Path("/f"))
    for option in ("batch_submit", "batch_complete_min", "batch_complete_max"):
        assert f"--iodepth_{option}=32" in words
    assert "--fixedbufs=1" in words
    assert "--fixedbufs=1" not in fio.command("fio", PLAIN, 64, 32, Path("/f"))


@pytest.mark.skipif(shutil.which("fio") is None, reason="fio is not installed")
@pytest.mark.parametrize("way", [NATIVE, PLAIN, REGISTERED])
def test_fio_takes_the_options(way: str, tmp_path: Path) -> None:
    with io.data_file(16 << 20, tmp_path) as file:
        assert file is not None
        words = fio.command("fio", way, 64, 4, file)
        done = subprocess.run(
            [*words, "--runtime=100ms"], capture_output=True, text=True
        )
    if way != NATIVE and done.returncode != 0 and "not" in done.stderr:
        pytest.skip(f"no io_uring here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert fio.cost_of(done.stdout) > 0


def test_without_fio_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(program: str, package: str) -> str:
        raise UbError(f"{program} is not installed", f"apt install {package}")

    monkeypatch.setattr(fio, "needs", missing)
    assert fio.why_not() == "fio is not installed (apt install fio)"


def test_an_engine_that_fails_is_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = tmp_path / "fio"
    played.write_text(
        f"#!/bin/sh\ncase $* in *fixedbufs*) echo 'err=1' >&2; exit 1; esac\n"
        f"cat <<END\n{_SAID}END\n"
    )
    played.chmod(0o755)
    monkeypatch.setattr(fio, "needs", lambda *_: str(played))
    rows = list(
        fio.rivals((64, 256), (1, 8), ICOUNT, lambda _: None, io.Place(tmp_path))
    )
    plain = [row for row in rows if row.way == PLAIN]
    assert [(row.size, row.depth) for row in plain] == [
        *((64, 1), (64, 8), (256, 1), (256, 8))
    ]
    assert {(row.program, row.cost, row.place) for row in plain} == {
        (FIO, 2000.0, "cached")
    }
    (failed,) = (row for row in rows if row.way == REGISTERED)
    assert (failed.cost, failed.why_not) == (None, "fio: err=1")
