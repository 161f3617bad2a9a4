# SPDX-License-Identifier: GPL-2.0-only
"""The measuring commands, each with its shortest load, in one boot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.guest.conftest import prepare
from ubypass.bench import modules
from ubypass.bench.records import Record, read_records
from ubypass.bench.results import results
from ubypass.bench.server.record import ServerRecord, read_server_records
from ubypass.bench.workloads import ROOT, build_workloads
from ubypass.lab import kernels
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture

pytestmark = pytest.mark.guest

_OUT = ROOT / "build" / "tests" / "bench"
_SERVERS = ("redis", "nginx", "rawsocket")
_SCRIPT = """
ub() { "$python" -m ubypass.cli.main "$@" || exit 1; }
for server in redis nginx rawsocket; do
    ub bench server $server --quick --json "$out/$server" --tune hot_calls=8
done
ub bench io --disk --quick --json "$out/disk"
ls /dev/shm > "$out/left"
grep -c /dev/vda /proc/mounts >> "$out/left"
exit 0
"""


@pytest.fixture(scope="module")
def measured() -> Path:
    """The directory with a file of records for each command."""
    prepare()
    build_workloads()
    modules.build_bench_module(kernels.default_release())
    _OUT.mkdir(parents=True, exist_ok=True)
    for file in _OUT.iterdir():
        file.unlink()
    result = capture(
        ["sh", "-c", f"python={sys.executable}; out={_OUT}; {_SCRIPT}"],
        LabOptions(
            icount=True,
            disk="256M",
            environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        ),
    )
    said = result.stderr.decode(errors="replace")
    assert result.log_problems == ()
    assert result.exit_status == 0, said
    return _OUT


@pytest.fixture(params=_SERVERS)
def record(request: pytest.FixtureRequest, measured: Path) -> ServerRecord:
    (one,) = read_server_records(measured / request.param)
    assert one.server == request.param
    return one


def test_every_reply_is_right(record: ServerRecord) -> None:
    assert record.checked > 100
    assert record.wrong == 0


def test_what_is_counted_is_plausible(record: ServerRecord) -> None:
    assert record.machine.unit == "instructions"
    assert 150 < record.transition < 300
    # A request is at least a call to receive and one to answer; nginx makes some six.
    calls = {"redis": (1.9, 3.5), "nginx": (5.0, 8.0), "rawsocket": (0.9, 1.2)}
    least, most = calls[record.server]
    assert least < record.calls < most
    assert 2_000 < record.native_cost < 200_000
    assert record.spread < 0.2


def test_says_how_it_was_measured(record: ServerRecord) -> None:
    assert record.command.startswith(f"ub bench server {record.server} --quick")
    assert record.date.startswith("2")
    assert record.command in results([[record]])


def test_reads_from_a_disk(measured: Path) -> None:
    cached, cold = read_records(measured / "disk")
    assert isinstance(cached, Record)
    assert (cached.place, cold.place) == ("cached", "cold")
    assert cached.same_results
    assert cold.same_results
    assert cached.bypass_rate > 0.9
    assert cold.bypass_rate > 0.9
    # Fetching pages is work: more than copying as much from memory.
    assert cold.size == 1024
    assert cold.native > cached.native + 1000


def test_nothing_is_left_behind(measured: Path) -> None:
    *files, mounts = (measured / "left").read_text().split()
    assert files == []
    assert mounts == "0"
