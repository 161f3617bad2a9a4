# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.chains.samples import running
from ubypass.bench.chains import subjects
from ubypass.bench.chains.capture import Wish
from ubypass.bench.chains.snapshot import Call
from ubypass.cli.bench import chains as bench_chains
from ubypass.errors import UbError


def test_the_command_line_names_them_all() -> None:
    assert bench_chains._SUBJECTS == subjects.NAMES
    for name in subjects.NAMES:
        assert subjects.subject(name).wish.calls <= 4096


@pytest.mark.parametrize(
    ("call", "counts"),
    [
        (Call(0, 0, 64, "s", ()), True),
        (Call(0, 45, 64, "d", ()), True),
        (Call(0, 0, 64, "f", ()), False),
        (Call(0, 0, 0, "s", ()), False),
        (Call(0, 0, (1 << 64) - 11, "s", ()), False),
        (Call(0, 1, 64, "s", ()), False),
    ],
)
def test_what_counts_as_a_request(call: Call, counts: bool) -> None:
    assert subjects._is_request(call) is counts


def test_any_process(tmp_path: Path) -> None:
    with running("plain") as pid:
        wanted = subjects.process(pid, Wish(calls=6, seconds=30))
        found = subjects.captured(wanted, tmp_path, lambda _: None)
    assert str(pid) in found.origin.name
    assert found.origin.request_ns is None
    assert len(found.calls) == 6


def test_no_such_process() -> None:
    with pytest.raises(UbError, match="there is no process"):
        subjects.process(1 << 22, Wish())


def test_scratch_is_private_and_goes() -> None:
    with subjects.scratch() as folder:
        assert os.stat(folder).st_mode & 0o077 == 0
    assert not folder.exists()


def test_a_loop_with_its_time(tmp_path: Path) -> None:
    found = subjects.captured(subjects.subject("loop"), tmp_path, lambda _: None)
    assert found.origin.requests == len(found.calls)
    assert found.origin.request_ns is not None
    assert 100 < found.origin.request_ns < 100_000
