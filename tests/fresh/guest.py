# SPDX-License-Identifier: GPL-2.0-only
"""A Debian that boots from a disk image, and commands in it as somebody types them.

Its own systemd is process 1, started by its own kernel and initramfs in the lab's QEMU.
It takes instructions for time: a guest whose clock is that of a busy host finds its own
processors stalled, and the services of systemd too slow. A unit of the machine,
`AGENT_UNIT`, runs what is typed.
"""

from __future__ import annotations

import base64
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.fresh.machine import Done, Failed
from ubypass.errors import UbError
from ubypass.lab.logcheck import log_problems
from ubypass.lab.qemu import MachineSpec, started

__all__ = ["AGENT_UNIT", "Guest", "add_agent", "booted"]

#: Answers after everything else has been started.
AGENT_UNIT = """\
[Unit]
Description=Commands of the host
After=multi-user.target

[Service]
Type=exec
ExecStart=/bin/sh /usr/local/lib/agent.sh /dev/virtio-ports /run
Environment=HOME=/root
WorkingDirectory=/root
KillMode=process
"""
#: The emulator takes many instructions, and waits for the host's disk.
_PATIENCE = """\
[Manager]
DefaultTimeoutStartSec=1h
DefaultTimeoutStopSec=1h
DefaultDeviceTimeoutSec=1h
"""
_AGENT = Path(__file__).with_name("agent.sh")
_WANTS = "etc/systemd/system/multi-user.target.wants"
#: In seconds of real time: they only end what hangs, on the busiest machine.
_BOOT, _COMMAND, _END = 1800.0, 1800.0, 600.0
#: In no log: all of it counts.
_NO_MARK = "\0"
_CHUNK = 1 << 16
#: Drivers of processors, which take the emulator longer than all else at a boot.
_NOT_LOADED = "aesni_intel,ghash_clmulni_intel,kvm_amd,powernow_k8"
_TICKS = os.sysconf("SC_CLK_TCK")


class Guest:
    """A machine that runs. ``to``, ``answers``, ``console``: descriptors of its ports.

    ``emulator``: the process, for its CPU time. ``log`` gets all that is typed and
    answered, and the console.
    """

    def __init__(
        self, to: int, answers: int, console: int, emulator: int, log: IO[str]
    ) -> None:
        self._to = to
        self._emulator = emulator
        self._log = log
        self._received = bytearray()
        self._console = bytearray()
        self._selector = selectors.DefaultSelector()
        for descriptor, buffer in (
            (answers, self._received),
            (console, self._console),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, buffer)

    @property
    def console(self) -> str:
        """What the kernel and systemd have shown so far."""
        return self._console.decode(errors="replace")

    def wait_ready(self, timeout: float = _BOOT) -> None:
        """Wait until it takes commands. Raises Failed."""
        line = self._line(time.monotonic() + timeout)
        if line != "ready":
            raise self._failed("it did not come up")

    def type(self, command: str, *, timeout: float = _COMMAND) -> Done:
        """Run a script by its shell, as root. Raises Failed if there is no answer.

        ``seconds`` of the result are real ones, ``cpu`` those of the emulator.
        """
        begun, used = time.monotonic(), _cpu(self._emulator)
        self._send(command)
        words = self._line(begun + timeout).split(" ")
        if words[0] != "done" or len(words) != 3:
            raise self._failed(f"no answer to '{command}'")
        status, output = (
            int(words[1]),
            base64.b64decode(words[2]).decode("utf-8", "replace"),
        )
        seconds, cpu = time.monotonic() - begun, _cpu(self._emulator) - used
        print(output, end="", file=self._log)
        print(f"[status {status}, {seconds:.0f} s]", file=self._log, flush=True)
        return Done(command, status, output, seconds, cpu)

    def succeeds(self, command: str, *, timeout: float = _COMMAND) -> Done:
        """Like `type`; raises Failed unless the command does."""
        done = self.type(command, timeout=timeout)
        if done.status != 0:
            end = "\n".join(f"    {line}" for line in done.output.splitlines()[-12:])
            raise Failed(f"'{command}' ended with status {done.status}:\n{end}")
        return done

    def until(
        self,
        command: str,
        holds: Callable[[str], bool],
        what: str,
        *,
        timeout: float = _COMMAND,
    ) -> str:
        """Repeat ``command`` until its output is as wanted; that. Raises Failed."""
        ends = time.monotonic() + timeout
        while True:
            done = self.type(command)
            if done.status == 0 and holds(done.output):
                return done.output
            if time.monotonic() > ends:
                raise Failed(f"{what}: '{command}' still says\n{done.output}")
            self._drain(1.0)

    def check_log(self) -> None:
        """Raises Failed if its kernel has complained since the boot."""
        _judge(self.succeeds("dmesg").output)

    def power_off(self, process: subprocess.Popen[bytes]) -> None:
        """Shut it down in order. Raises Failed if it does not end."""
        # What answers may be stopped before it does.
        self._send("systemctl --no-block poweroff")
        ends = time.monotonic() + _END
        while process.poll() is None:
            if time.monotonic() > ends:
                raise self._failed("it does not shut down")
            self._drain(0.2)
        _judge(self.console)

    def _send(self, command: str) -> None:
        print(f"guest# {command}", file=self._log, flush=True)
        # A port takes what fits and waits for the guest.
        os.write(self._to, base64.b64encode(command.encode()) + b"\n")

    def _line(self, ends: float) -> str:
        """The next line of the agent; "" if none comes by then."""
        while b"\n" not in self._received:
            left = ends - time.monotonic()
            if left <= 0 or not self._drain(min(left, 60.0)):
                return ""
        line, _, rest = self._received.partition(b"\n")
        self._received[:] = rest
        return line.decode()

    def _drain(self, seconds: float) -> bool:
        """Take what comes within ``seconds``; False once all is at its end."""
        for key, _ in self._selector.select(seconds):
            try:
                data = os.read(key.fd, _CHUNK)
            except ConnectionError:
                data = b""
            if data:
                key.data.extend(data)
                if key.data is self._console:
                    print(data.decode(errors="replace"), end="", file=self._log)
            else:
                self._selector.unregister(key.fd)
        if not self._selector.get_map():
            time.sleep(min(seconds, 0.2))
            return False
        return True

    def _failed(self, what: str) -> Failed:
        end = "\n".join(f"    {line}" for line in self.console.splitlines()[-20:])
        return Failed(f"{what}; the last lines of its console:\n{end}")


def add_agent(root: Path) -> None:
    """Have the machine whose files are in ``root`` run what is typed, patiently."""
    settings = root / "etc/systemd/system.conf.d"
    settings.mkdir(parents=True)
    (settings / "patience.conf").write_text(_PATIENCE)
    shutil.copy(_AGENT, root / "usr/local/lib")
    (root / "etc/systemd/system/agent.service").write_text(AGENT_UNIT)
    (root / _WANTS).mkdir(parents=True, exist_ok=True)
    (root / _WANTS / "agent.service").symlink_to("../agent.service")


@contextmanager
def booted(
    disk: Path, kernel: Path, initramfs: Path, log: IO[str], *parameters: str
) -> Iterator[Guest]:
    """The machine on ``disk``, up; it is shut down in order at the end of the block.

    ``parameters``: further ones of the kernel. Raises Failed.
    """
    spec = MachineSpec(
        image=kernel,
        initramfs=initramfs,
        accel="tcg",
        cpus=1,
        icount=True,
        sleep=True,
        memory="2G",
        append=(
            *("root=/dev/vda", "rw", "systemd.service_watchdogs=no"),
            f"modprobe.blacklist={_NOT_LOADED}",
            *parameters,
        ),
        disk=disk,
    )
    try:
        with started(spec) as machine:
            ports = machine.streams
            guest = Guest(
                ports["ub.in"].fileno(),
                ports["ub.ctl"].fileno(),
                ports["console"].fileno(),
                machine.process.pid,
                log,
            )
            guest.wait_ready()
            yield guest
            guest.power_off(machine.process)
    except UbError as error:
        raise Failed(error.message) from error


def _judge(log: str) -> None:
    """Raises Failed if the kernel complains anywhere in ``log``."""
    if problems := log_problems(log, _NO_MARK):
        raise Failed("its kernel complains:\n    " + "\n    ".join(problems))


def _cpu(pid: int) -> float:
    """Seconds of CPU time of a process so far; 0.0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
