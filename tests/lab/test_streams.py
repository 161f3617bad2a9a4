# SPDX-License-Identifier: GPL-2.0-only
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ubypass.lab.qemu import PORTS, Machine
from ubypass.lab.streams import Transcript, follow


class _Guest:
    """The far ends of a machine's streams, and a process that stands for QEMU."""

    def __init__(self) -> None:
        pairs = {name: socket.socketpair() for name in ("console", *PORTS)}
        self.far = {name: pair[1] for name, pair in pairs.items()}
        process = subprocess.Popen(["sleep", "1000"])
        near = {name: pair[0] for name, pair in pairs.items()}
        self.machine = Machine(process, near, -1)

    def close(self) -> None:
        self.machine.process.kill()
        self.machine.process.wait()
        for each in (*self.far.values(), *self.machine.streams.values()):
            each.close()

    def says(self, port: str, data: bytes) -> None:
        self.far[port].sendall(data)

    def dies(self) -> None:
        self.machine.process.kill()
        self.machine.process.wait()
        for each in self.far.values():
            each.close()


@pytest.fixture
def guest() -> Iterator[_Guest]:
    guest = _Guest()
    yield guest
    guest.close()


def _follow(
    guest: _Guest,
    script: Callable[[], None],
    *,
    stdin: int | None = None,
    boot_timeout: float = 20.0,
    timeout: float = 20.0,
) -> tuple[Transcript, bytes, bytes]:
    out, err = bytearray(), bytearray()
    thread = threading.Thread(target=script)
    thread.start()
    transcript = follow(
        guest.machine,
        stdin=stdin,
        stdout=out.extend,
        stderr=err.extend,
        started=lambda: None,
        boot_timeout=boot_timeout,
        timeout=timeout,
    )
    thread.join()
    return transcript, bytes(out), bytes(err)


def test_a_whole_run(guest: _Guest) -> None:
    def script() -> None:
        guest.says("console", b"early\n")
        guest.says("ub.ctl", b"start\n")
        guest.says("ub.out", b"out" * 50_000)
        guest.says("ub.err", b"err")
        guest.says("ub.ctl", b"status 3\nlog\n<6>[1.0] a\nstatus 9\n")
        guest.says("ub.ctl", b"<6>[2.0] b\nend\n")

    transcript, out, err = _follow(guest, script)
    assert transcript.complete
    assert transcript.status == 3
    assert bytes(transcript.log) == b"<6>[1.0] a\nstatus 9\n<6>[2.0] b\n"
    assert bytes(transcript.console) == b"early\n"
    assert (out, err) == (b"out" * 50_000, b"err")


def test_control_lines_may_come_in_pieces() -> None:
    transcript = Transcript()
    for byte in b"start\nstatus 12\nlog\n<6>x\nend\n":
        transcript.feed_control(bytes([byte]))
    assert (transcript.status, bytes(transcript.log), transcript.complete) == (
        12,
        b"<6>x\n",
        True,
    )


def test_an_empty_log_ends_too() -> None:
    transcript = Transcript()
    transcript.feed_control(b"start\nstatus 0\nlog\nend\n")
    assert transcript.complete
    assert not transcript.log


def test_a_guest_that_cannot_start(guest: _Guest) -> None:
    transcript, _, _ = _follow(
        guest, lambda: guest.says("ub.ctl", b"failed no files\n")
    )
    assert transcript.failure == "no files"
    assert transcript.started_at is None


def test_a_machine_that_dies(guest: _Guest) -> None:
    def script() -> None:
        guest.says("ub.ctl", b"start\n")
        guest.says("console", b"Kernel panic\n")
        guest.dies()

    transcript, _, _ = _follow(guest, script)
    assert transcript.status is None
    assert not transcript.complete
    assert not transcript.expired
    assert bytes(transcript.console) == b"Kernel panic\n"


def test_a_boot_that_hangs(guest: _Guest) -> None:
    transcript, _, _ = _follow(guest, lambda: None, boot_timeout=0.2)
    assert transcript.expired == "boot"


def test_a_command_that_hangs(guest: _Guest) -> None:
    transcript, _, _ = _follow(
        guest, lambda: guest.says("ub.ctl", b"start\n"), timeout=0.2
    )
    assert transcript.expired == "command"


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_input_arrives_whole_and_ends(guest: _Guest, kind: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    got = bytearray()

    def script() -> None:
        guest.says("ub.ctl", b"start\n")
        # More than a socket holds: the feeder has to wait for the reader.
        while chunk := guest.far["ub.in"].recv(10_000):
            got.extend(chunk)
        guest.says("ub.ctl", b"status 0\nlog\nend\n")

    if kind == "file":
        (tmp_path / "in").write_bytes(data)
        source = os.open(tmp_path / "in", os.O_RDONLY)
    else:
        source, end = os.pipe()

        def fill() -> None:
            with os.fdopen(end, "wb") as pipe:
                pipe.write(data)

        threading.Thread(target=fill).start()
    try:
        transcript, _, _ = _follow(guest, script, stdin=source)
    finally:
        os.close(source)
    assert transcript.complete
    assert bytes(got) == data


def test_without_input_the_command_reads_an_end(guest: _Guest) -> None:
    ended = []

    def script() -> None:
        guest.says("ub.ctl", b"start\n")
        ended.append(guest.far["ub.in"].recv(1))
        guest.says("ub.ctl", b"status 0\nlog\nend\n")

    _follow(guest, script)
    assert ended == [b""]


def test_input_nobody_reads_does_not_block(guest: _Guest, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(1 << 22))
    source = os.open(tmp_path / "in", os.O_RDONLY)
    try:
        transcript, _, _ = _follow(
            guest,
            lambda: guest.says("ub.ctl", b"start\nstatus 0\nlog\nend\n"),
            stdin=source,
        )
    finally:
        os.close(source)
    assert transcript.complete


def test_a_hanging_boot_leaves_the_input_alone(guest: _Guest) -> None:
    source, end = os.pipe()
    os.write(end, b"for someone else")
    _follow(guest, lambda: None, stdin=source, boot_timeout=0.2)
    assert os.read(source, 100) == b"for someone else"
    os.close(source)
    os.close(end)
