# SPDX-License-Identifier: GPL-2.0-only
"""Starts QEMU with the lab's devices and ensures that it ends.

Streams between host and guest are socket pairs whose far ends QEMU inherits, so nothing
has a name in the host's file system. Must not depend on what runs in the guest.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ubypass.child import dies_with_us
from ubypass.errors import UbError
from ubypass.lab import virtiofs

__all__ = ["PORTS", "Machine", "MachineSpec", "arguments", "find_qemu", "started"]

# Streams by the name of the guest's port; "console" is the kernel's serial line.
PORTS = ("ub.ctl", "ub.out", "ub.err", "ub.in")

# For a fast boot, and for an end at once on a panic. No parameter influences
# measurements: mitigations and address randomization stay at their defaults.
_KERNEL_PARAMETERS = (
    *("console=ttyS0", "loglevel=7", "panic=-1", "log_buf_len=4M"),
    *("random.trust_cpu=on", "tsc=reliable", "no_timer_check"),
    *("8250.nr_uarts=1", "i8042.noaux", "i8042.nokbd", "cryptomgr.notests"),
)


@dataclass(frozen=True)
class MachineSpec:
    """A machine to start. ``shares`` are (tag, host directory, read-only) triples.

    ``sleep``: with ``icount``, the clock of an idle guest takes its real time; by
    default it jumps ahead to the guest's next timer. ``virtiofs``: the shares are
    served by virtiofs, not by 9p.
    """

    image: Path
    initramfs: Path
    accel: str
    cpus: int
    memory: str
    shares: tuple[tuple[str, Path, bool], ...] = ()
    append: tuple[str, ...] = ()
    icount: bool = False
    sleep: bool = False
    disk: Path | None = None
    terminal: bool = False
    cpu: str = "max"
    virtiofs: bool = False


@dataclass(frozen=True)
class Machine:
    """A running QEMU: its process and the host's ends of the guest's streams.

    ``errors``: descriptor of the file with QEMU's own messages.
    """

    process: subprocess.Popen[bytes]
    streams: dict[str, socket.socket]
    errors: int

    def error_text(self) -> str:
        """QEMU's own messages, for an unexpected end of QEMU."""
        # Read without moving the file's position: QEMU writes at the same one.
        return os.pread(self.errors, 1 << 16, 0).decode(errors="replace").strip()


def find_qemu() -> str:
    """The QEMU program. Raises UbError if it is not installed."""
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise UbError(
            "the lab needs QEMU: qemu-system-x86_64 not found",
            "apt install qemu-system-x86",
        )
    return found


def arguments(
    spec: MachineSpec, descriptors: dict[str, int], sockets: Sequence[Path] = ()
) -> list[str]:
    """QEMU's arguments; ``descriptors`` maps each stream to an inherited socket.

    ``sockets``: with virtiofs, those at which the shares are served.
    """
    result = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    result += ["-machine", "q35,hpet=off,smbus=off,sata=off,i8042=off"]
    result += ["-cpu", spec.cpu, "-smp", str(spec.cpus), "-m", spec.memory]
    # All virtual CPUs of the emulator in one thread: with a thread for each, QEMU 7.2
    # can keep an int3 that another CPU has patched away, and a CPU that executes the
    # int3 hangs. Seen on a stock kernel when ftrace is switched on and off during a
    # loop of getppid.
    emulated = spec.icount or spec.accel == "tcg"
    result += ["-accel", "tcg,thread=single" if emulated else spec.accel]
    if spec.icount:
        result += ["-icount", f"shift=0,sleep={'on' if spec.sleep else 'off'}"]
    result += ["-kernel", str(spec.image), "-initrd", str(spec.initramfs)]
    result += ["-append", " ".join((*_KERNEL_PARAMETERS, *spec.append))]
    for name, descriptor in descriptors.items():
        result += ["-chardev", f"socket,id={name},fd={descriptor}"]
    result += ["-serial", "chardev:console"]
    # One device with few ports: each port costs the guest two queues.
    result += ["-device", f"virtio-serial-pci,max_ports={len(PORTS) + 1}"]
    for name in PORTS:
        result += ["-device", f"virtserialport,chardev={name},name={name}"]
    if spec.terminal:
        result += ["-chardev", "stdio,id=terminal,signal=off"]
        result += ["-device", "virtconsole,nr=0,chardev=terminal"]
    if spec.virtiofs:
        # The other process reads and writes the guest's memory.
        memory = f"memory-backend-memfd,id=memory,size={spec.memory},share=on"
        result += ["-object", memory, "-machine", "memory-backend=memory"]
        for (tag, _, _), place in zip(spec.shares, sockets, strict=True):
            result += ["-chardev", f"socket,id={tag},path={_escaped(place)}"]
            result += ["-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]
    for tag, path, read_only in () if spec.virtiofs else spec.shares:
        # remap: the host's directories may span several devices, whose inode numbers
        # the guest would otherwise take for the same file.
        text = f"local,id={tag},path={_escaped(path)},security_model=none"
        text += ",multidevs=remap" + (",readonly=on" if read_only else "")
        result += ["-fsdev", text]
        result += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    if spec.disk is not None:
        result += [
            *("-drive", f"id=disk,if=none,format=raw,file={_escaped(spec.disk)}"),
            *("-device", "virtio-blk-pci,drive=disk"),
        ]
    return result


@contextmanager
def started(
    spec: MachineSpec, change: Callable[[list[str]], list[str]] = list
) -> Iterator[Machine]:
    """A machine that runs inside the ``with`` block and is killed at its end.

    ``change`` takes QEMU's arguments and returns those to be used.
    """
    program = find_qemu()
    with ExitStack() as stack:
        near: dict[str, socket.socket] = {}
        far: dict[str, socket.socket] = {}
        for name in ("console", *PORTS):
            near[name], far[name] = socket.socketpair()
            stack.enter_context(near[name])
        errors = stack.enter_context(tempfile.TemporaryFile())
        descriptors = {name: each.fileno() for name, each in far.items()}
        sockets = []
        if spec.virtiofs:
            sockets = stack.enter_context(virtiofs.served(spec.shares))
        process = subprocess.Popen(
            [program, *change(arguments(spec, descriptors, sockets))],
            stdin=None if spec.terminal else subprocess.DEVNULL,
            stdout=None if spec.terminal else subprocess.DEVNULL,
            stderr=errors,
            pass_fds=list(descriptors.values()),
            preexec_fn=dies_with_us(),
        )
        try:
            for each in far.values():
                each.close()
            yield Machine(process, near, errors.fileno())
        finally:
            process.kill()
            process.wait()


def _escaped(path: Path) -> str:
    # QEMU reads "a,,b" as a file name with one comma.
    return str(path).replace(",", ",,")
