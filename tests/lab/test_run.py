# SPDX-License-Identifier: GPL-2.0-only
import os
import pty
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patient import PATIENT
from ubypass.errors import UbError
from ubypass.lab import run as lab
from ubypass.lab.options import (
    STATUS_LOG_PROBLEM,
    STATUS_TIMEOUT,
    LabOptions,
    LabResult,
)
from ubypass.lab.streams import Transcript
from ubypass.places import checkout


def _judge(heard: Transcript) -> LabResult:
    return lab._judge(heard, LabOptions())


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the log goes for a caller outside any project."""
    monkeypatch.setattr("ubypass.places.checkout", lambda: None)
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "lab" / "last-dmesg.txt"


def test_a_hanging_boot_shows_the_console(saved: Path) -> None:
    console = bytearray(b"[ 0.1] hello\r\n[ 0.2] stuck here\r\n")
    heard = Transcript(console=console, expired="boot")
    with pytest.raises(UbError) as caught:
        _judge(heard)
    assert "within 90 s" in caught.value.message
    assert "stuck here" in caught.value.message
    assert "stuck here" in saved.read_text()


@pytest.mark.usefixtures("saved")
def test_a_qemu_that_refuses_is_quoted() -> None:
    with pytest.raises(UbError, match="qemu: no such memory"):
        _judge(Transcript(machine_error="qemu: no such memory"))


@pytest.mark.usefixtures("saved")
def test_time_running_out_names_the_option() -> None:
    heard = Transcript(started_at=1.0, expired="command")
    with pytest.raises(UbError) as caught:
        _judge(heard)
    assert caught.value.exit_code == STATUS_TIMEOUT
    assert "--timeout" in caught.value.hint


@pytest.mark.usefixtures("saved")
def test_a_lockup_is_a_kernel_problem_not_a_slow_command() -> None:
    console = bytearray(b"[ 9.0] watchdog: BUG: soft lockup - CPU#0 stuck\n")
    heard = Transcript(started_at=1.0, expired="command", console=console)
    result = _judge(heard)
    assert result.exit_status == STATUS_LOG_PROBLEM
    assert "soft lockup" in result.log_problems[0]


def test_disks(tmp_path: Path) -> None:
    made = lab._disk("3M", tmp_path)
    assert made is not None
    assert made.stat().st_size == 3 << 20
    (tmp_path / "image").write_bytes(b"x")
    assert lab._disk(str(tmp_path / "image"), tmp_path) == tmp_path / "image"
    assert lab._disk(None, tmp_path) is None
    with pytest.raises(UbError, match="neither a file nor a size"):
        lab._require_disk("big")


def test_a_reader_that_left_ends_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = lab._writer(writer)
    with pytest.raises(BrokenPipeError):
        sink(b"a")
    os.close(writer)


@pytest.mark.usefixtures("saved")
def test_a_panic_while_booting_is_named() -> None:
    lines = ["[ 1.0] Kernel panic - not syncing: no init", *["[ 1.1]  frame"] * 40]
    console = bytearray("\r\n".join(lines).encode())
    with pytest.raises(UbError, match="Kernel panic - not syncing: no init"):
        _judge(Transcript(console=console))


def test_no_command() -> None:
    with pytest.raises(UbError, match="no command"):
        lab.run([])


def test_a_shell_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(UbError, match="terminal"):
            lab.shell()


_TOUR = """
set -e
cat                                  # standard input
echo to-stderr >&2
echo via-dev-stdout > /dev/stdout
[ "$(id -u)" = 0 ]
[ "$(pwd)" = "$1" ]
[ "$EXTRA" = 'a b' ]
touch "$2" && [ -e "$2" ]            # somewhere on the host, not shared
echo from-guest > "$1/result"
[ -z "$(ls /tmp)" ] || [ "${1#/tmp}" != "$1" ]
ip -o link show lo | grep -q UP
[ -d /sys/kernel/debug/x86 ] && [ -e /sys/kernel/tracing/events ]
modprobe veth && [ -d /sys/module/veth ]
[ "$(cat /sys/block/vda/size)" = 8192 ]
! grep -q nokaslr /proc/cmdline
(sleep 300 &)                        # must not keep the run from ending
python3 -c 'import ubypass, iced_x86'
exit 42
"""


@pytest.mark.guest
def test_a_command_in_a_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_bytes(b"from stdin\n")
    untouched = Path("/var/ubypass-lab-test")
    options = replace(PATIENT, disk="4M", environment={"EXTRA": "a b"})
    source = os.open(tmp_path / "input", os.O_RDONLY)
    command = ["bash", "-c", _TOUR, "tour", str(tmp_path), str(untouched)]
    try:
        result = lab.capture(command, options, stdin=source)
    finally:
        os.close(source)
    assert result.stderr.decode() == "to-stderr\n"
    assert result.stdout == b"from stdin\nvia-dev-stdout\n"
    assert result.status == result.exit_status == 42
    assert not result.log_problems
    assert not untouched.exists()
    assert (tmp_path / "result").read_text() == "from-guest\n"
    assert "Linux version" in result.dmesg
    project = checkout()
    assert project is not None
    assert "Linux version" in (project / "build/lab/last-dmesg.txt").read_text()


@pytest.mark.guest
def test_a_kernel_warning_fails_the_run() -> None:
    result = lab.capture(["sh", "-c", "echo 'WARNING: test' > /dev/kmsg"], PATIENT)
    assert result.status == 0
    assert result.exit_status == STATUS_LOG_PROBLEM
    assert result.log_problems == ("WARNING: test",)
    unchecked = replace(PATIENT, log_check=False)
    result = lab.capture(["sh", "-c", "echo 'WARNING: test' > /dev/kmsg"], unchecked)
    assert result.exit_status == 0


@pytest.mark.guest
def test_a_panic_fails_the_run() -> None:
    crash = "echo before; sleep 1; echo c > /proc/sysrq-trigger"
    result = lab.capture(["sh", "-c", crash], PATIENT)
    assert result.exit_status == STATUS_LOG_PROBLEM
    assert result.stdout == b"before\n"
    assert any("Kernel panic" in line for line in result.log_problems)
    assert any("the machine crashed" in line for line in result.log_problems)


@pytest.mark.guest
def test_a_boot_that_hangs_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(UbError, match="did not start within 1 s"):
        lab.capture(["true"], replace(PATIENT, boot_timeout=1))
    assert time.monotonic() - begun < 60


@pytest.mark.guest
def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(UbError, match="did not end within 1 s"):
        lab.capture(["sleep", "1000"], replace(PATIENT, timeout=1))


@pytest.mark.guest
def test_counted_instructions_repeat() -> None:
    # Python's allocator takes other ways every time: nothing may be allocated.
    program = (
        "import time\n"
        "data = bytes(1 << 23)\n"
        "def work():\n"
        "    t = time.perf_counter_ns(); data.find(1)\n"
        "    return time.perf_counter_ns() - t\n"
        "work(); print(min(work() for _ in range(20)))\n"
    )
    options = replace(PATIENT, icount=True)
    command = [sys.executable, "-I", "-S", "-c", program]
    # Virtual time: nothing of the host's load may show.
    first, second = (int(lab.capture(command, options).stdout) for _ in range(2))
    assert abs(first - second) <= 0.01 * first


@pytest.mark.guest
def test_a_shell_in_a_guest(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(tmp_path)
        words = ["lab", "shell", "--boot-timeout=300"]
        command = [sys.executable, "-m", "ubypass.cli.main", *words]
        os.execv(sys.executable, command)
    seen, typed = b"", False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # how a terminal says that its other side is gone
            break
        seen += data
        if not typed and b"# " in seen:
            os.write(terminal, b"tty; echo sum-$((20+3)); exit 5\n")
            typed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"/dev/hvc0" in seen
    assert b"sum-23" in seen
    assert os.waitstatus_to_exitcode(status) == 5
