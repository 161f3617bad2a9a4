# SPDX-License-Identifier: GPL-2.0-only
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import qemu
from ubypass.lab.qemu import MachineSpec, arguments, started

_SPEC = MachineSpec(
    image=Path("/k/vmlinuz"),
    initramfs=Path("/k/initramfs"),
    accel="tcg",
    cpus=2,
    memory="2G",
    shares=(("root", Path("/"), True), ("rw", Path("/srv/a,b"), False)),
)
_STREAMS = {"console": 10, "ub.ctl": 11, "ub.out": 12, "ub.err": 13, "ub.in": 14}


def _values(spec: MachineSpec, option: str) -> list[str]:
    words = arguments(spec, _STREAMS)
    return [words[n + 1] for n, word in enumerate(words) if word == option]


def test_counting_instructions_is_single_threaded_whatever_was_asked() -> None:
    spec = replace(_SPEC, icount=True, accel="kvm")
    assert _values(spec, "-accel") == ["tcg,thread=single"]
    assert _values(spec, "-icount") == ["shift=0,sleep=off"]
    asleep = replace(spec, sleep=True)
    assert _values(asleep, "-icount") == ["shift=0,sleep=on"]
    assert _values(_SPEC, "-icount") == []
    # QEMU 7.2 with a thread per CPU loses patched instructions.
    assert _values(_SPEC, "-accel") == ["tcg,thread=single"]
    assert _values(replace(_SPEC, accel="kvm"), "-accel") == ["kvm"]


def test_nothing_weakens_the_kernel() -> None:
    (line,) = _values(replace(_SPEC, append=("a=1", "b")), "-append")
    words = line.split()
    assert words[-2:] == ["a=1", "b"]
    forbidden = ("nokaslr", "mitigations", "nopti", "nosmap", "nosmep", "norandmaps")
    assert not [word for word in words if word.startswith(forbidden)]


def test_only_writable_shares_are_writable() -> None:
    root, other = _values(_SPEC, "-fsdev")
    assert root.endswith("readonly=on")
    assert "readonly" not in other
    assert "path=/srv/a,,b," in other


def test_shares_by_virtiofs_are_served_by_others() -> None:
    spec = replace(_SPEC, virtiofs=True)
    words = arguments(spec, _STREAMS, [Path("/s/0"), Path("/s/1")])
    values = dict(pairwise(words))
    assert "-fsdev" not in values
    assert "socket,id=root,path=/s/0" in words
    assert "vhost-user-fs-pci,chardev=rw,tag=rw" in words
    # Their processes have the guest's memory.
    assert values["-object"] == "memory-backend-memfd,id=memory,size=2G,share=on"
    assert "memory-backend=memory" in words


def test_every_stream_is_wired() -> None:
    chardevs = _values(_SPEC, "-chardev")
    assert chardevs == [f"socket,id={name},fd={fd}" for name, fd in _STREAMS.items()]
    ports = [d for d in _values(_SPEC, "-device") if d.startswith("virtserialport")]
    assert len(ports) == len(qemu.PORTS)


def test_disk_and_terminal_only_on_request() -> None:
    assert _values(_SPEC, "-drive") == []
    spec = replace(_SPEC, disk=Path("/d"), terminal=True)
    assert "file=/d" in _values(spec, "-drive")[0]
    assert "stdio,id=terminal,signal=off" in _values(spec, "-chardev")


def test_missing_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UbError) as caught, started(_SPEC):
        pass
    assert "apt install" in caught.value.hint


@pytest.fixture
def _sleeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A QEMU that says something and then waits for long."""
    path = tmp_path / "qemu-system-x86_64"
    path.write_text("#!/bin/sh\necho bad option >&2\nexec sleep 1000\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("_sleeper")
def test_the_machine_ends_with_the_block() -> None:
    with suppress(KeyboardInterrupt), started(_SPEC) as machine:
        assert machine.process.poll() is None
        raise KeyboardInterrupt
    assert machine.process.returncode == -signal.SIGKILL


@pytest.mark.usefixtures("_sleeper")
def test_what_qemu_says_can_be_read() -> None:
    with started(_SPEC) as machine:
        deadline = time.monotonic() + 60
        while not machine.error_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert machine.error_text() == "bad option"


@pytest.mark.usefixtures("_sleeper")
def test_the_machine_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import time; from pathlib import Path\n"
        "from ubypass.lab.qemu import MachineSpec, started\n"
        "p = Path('/x')\n"
        "with started(MachineSpec(p, p, 'tcg', 1, '1G')) as m:\n"
        "    print(m.process.pid, flush=True); time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        # Dead and perhaps not reaped yet by whoever adopted it.
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("QEMU outlived the process that started it")
