# SPDX-License-Identifier: GPL-2.0-only
"""What the receivers of packets and their sender refuse; see tests/bench/packets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_workload


@pytest.mark.parametrize("program", ["rawudp", "ringudp", "xskudp"])
def test_usage(program: str) -> None:
    done = subprocess.run([build_workload(program)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: {program} ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sink", "65536"), "rawudp: 65536: want a number up to 65535"),
        (("flood", "9", "64", "1", "nowhere"), "nowhere: want an IPv4 address"),
        (("send", "{}", "9", "64", "1", "127.0.0.1", "513"), "up to 512"),
        (("receive", "{}", "9", "--sum", "lo", "more"), "usage: rawudp"),
    ],
)
def test_bad_input(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    counters = str(tmp_path / "counters")
    done = subprocess.run(
        [build_workload("rawudp"), *(word.format(counters) for word in words)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_flood_says_what_it_sent() -> None:
    program = build_workload("rawudp")
    with subprocess.Popen([program, "sink", "0"], stdout=subprocess.PIPE) as sink:
        try:
            assert sink.stdout is not None
            assert sink.stdout.readline() == b"ready\n"
            (line,) = [
                words
                for words in map(str.split, _udp(sink.pid)[1:])
                if words[9] in _sockets(sink.pid)
            ]
            port = int(line[1].rpartition(":")[2], 16)
            done = subprocess.run(
                [program, "flood", str(port), "9", "3", "127.0.0.1"],
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            sink.kill()
    payload = bytes((i * 31 + 7) & 0xFF for i in range(9))
    each = int.from_bytes(payload[:8], "little") + payload[8]
    assert '"packets": 3, ' in done.stdout
    assert f'"sum": {3 * each % 2**64}, "right": true, "dropped": 0' in done.stdout


def _udp(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/net/udp").read_text().splitlines()


def _sockets(pid: int) -> set[str]:
    """Inode numbers of the sockets that the process has open."""
    links = (os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return {link[8:-1] for link in links if link.startswith("socket:[")}
