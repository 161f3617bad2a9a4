# SPDX-License-Identifier: GPL-2.0-only
"""Runs one command, or a shell, in a fresh guest and returns the result.

The lab's interface: combines kernel, initial file system, job and machine. Callers need
only this file and `ubypass.lab.options`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ubypass import places
from ubypass.errors import UbError
from ubypass.lab import cpu, initramfs, job, kernels, kvm, streams
from ubypass.lab.logcheck import log_problems
from ubypass.lab.options import (
    STATUS_LOG_PROBLEM,
    STATUS_TIMEOUT,
    LabOptions,
    LabResult,
)
from ubypass.lab.qemu import MachineSpec, started

__all__ = ["capture", "run", "shell"]

Report = Callable[[str], None]

_PROBE_TIMEOUT = 20.0
_CONSOLE_TAIL = 15
_SHOWN_PROBLEMS = 3
_SIZE = re.compile(r"(\d+)([KMGT]?)i?B?", re.IGNORECASE)


def run(
    command: Sequence[str],
    options: LabOptions | None = None,
    *,
    report: Report | None = None,
    stdin: int | None = None,
) -> LabResult:
    """Run ``command`` as root in a guest, in this directory, and pass on its output.

    ``stdin``: a file descriptor to pass on, None for empty input. ``report`` is called
    with short phrases on the progress until the command starts, and then with "". The
    kernel's log is saved to ``build/lab/last-dmesg.txt`` of the project (or to the
    cache). Raises UbError if the machine does not come up or a time limit expires, and
    BrokenPipeError if the reader of the output has ended.
    """
    ends = _Ends(report or _ignore, stdin, _writer(1), _writer(2))
    return _run(command, options or LabOptions(), ends)


def capture(
    command: Sequence[str],
    options: LabOptions | None = None,
    *,
    report: Report | None = None,
    stdin: int | None = None,
) -> LabResult:
    """Like `run`, but the command's output is in the result."""
    out, err = bytearray(), bytearray()
    ends = _Ends(report or _ignore, stdin, out.extend, err.extend)
    result = _run(command, options or LabOptions(), ends)
    return replace(result, stdout=bytes(out), stderr=bytes(err))


def shell(options: LabOptions | None = None, *, report: Report | None = None) -> int:
    """Give the caller's terminal to a root shell in a guest; return its exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UbError(
            "a lab shell needs a terminal", "to run one command: ub lab run -- COMMAND"
        )
    size = shutil.get_terminal_size()
    # Without the user's start-up files, which can take a minute under emulation.
    bash = Path("/bin/bash").exists()
    command = ["/bin/bash", "--norc", "-i"] if bash else ["/bin/sh", "-i"]
    options = options or LabOptions()
    ends = _Ends(report or _ignore, None, _ignore, _ignore, (size.columns, size.lines))
    saved = termios.tcgetattr(0)
    try:
        # A shell does not fail because of a complaint of the kernel.
        endless = replace(
            options,
            timeout=float("inf"),
            log_check=False,
            environment={"PS1": r"lab:\w# ", **options.environment},
        )
        return _run(command, endless, ends).exit_status
    finally:
        # QEMU put the terminal into raw mode and may have been killed.
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


@dataclass(frozen=True)
class _Ends:
    """The caller's side of a run. ``shell_size``: columns and rows of a terminal."""

    report: Report
    stdin: int | None
    stdout: streams.Sink
    stderr: streams.Sink
    shell_size: tuple[int, int] | None = None


def _ignore(_: object) -> None:
    pass


def _run(command: Sequence[str], options: LabOptions, ends: _Ends) -> LabResult:
    if not command:
        raise UbError("no command to run in the lab", "ub lab run -- COMMAND [ARG]...")
    _require_disk(options.disk)
    if options.cpu is not None:
        cpu.require(options.cpu)
    kernel = kernels.fetch_kernel(options.kernel, ends.report, suite=options.suite)
    base, modules = initramfs.base_image(kernel)

    def boots(accel: str) -> bool:
        ends.report("testing once whether KVM works here")
        probe = LabOptions(
            cpus=1, boot_timeout=_PROBE_TIMEOUT, timeout=_PROBE_TIMEOUT, log_check=False
        )
        quiet = _Ends(_ignore, None, _ignore, _ignore)
        transcript = _boot(kernel, base, modules, accel, ["true"], probe, quiet)
        return transcript.status == 0

    accel = kvm.accelerator(boots, icount=options.icount)
    ends.report(f"booting {kernel.release} ({'icount' if options.icount else accel})")
    transcript = _boot(kernel, base, modules, accel, command, options, ends)
    return _judge(transcript, options)


def _boot(
    kernel: kernels.Kernel,
    base: Path,
    modules: Sequence[str],
    accel: str,
    command: Sequence[str],
    options: LabOptions,
    ends: _Ends,
) -> streams.Transcript:
    """Run one machine to its end; pass on its output, and return the transcript."""
    cwd = _cwd()
    writable = job.writable_dirs(cwd, options.share)
    virtiofs = initramfs.needs_virtiofs(kernel)
    files = job.job_files(
        kernel,
        modules,
        command,
        cwd=cwd,
        shares=writable,
        environment=job.command_environment(os.environ, options.environment),
        shell_size=ends.shell_size,
        stdin=ends.stdin is not None,
        disk=options.disk is not None,
        virtiofs=virtiofs,
    )
    with tempfile.TemporaryDirectory(prefix="ubypass-lab-") as work:
        image = Path(work) / "initramfs"
        # The kernel unpacks consecutive archives into the same file system.
        image.write_bytes(base.read_bytes() + initramfs.archive(files))
        shares = [("ub_root", Path("/"), True)]
        shares += [(f"ub_share{n}", path, False) for n, path in enumerate(writable)]
        spec = MachineSpec(
            image=kernel.image,
            initramfs=image,
            accel=accel,
            cpus=options.cpu_count,
            memory=options.memory,
            shares=tuple(shares),
            append=options.parameters,
            icount=options.icount,
            disk=_disk(options.disk, Path(work)),
            terminal=ends.shell_size is not None,
            cpu=options.cpu_model,
            virtiofs=virtiofs,
        )
        with started(spec) as machine:
            begun = time.monotonic()
            transcript = streams.follow(
                machine,
                stdin=ends.stdin,
                stdout=ends.stdout,
                stderr=ends.stderr,
                started=lambda: ends.report(""),
                boot_timeout=options.boot_timeout,
                timeout=options.timeout,
            )
            transcript.machine_error = machine.error_text()
            transcript.boot_seconds = (transcript.started_at or begun) - begun
            return transcript


def _judge(transcript: streams.Transcript, options: LabOptions) -> LabResult:
    """The result by the transcript. Raises UbError if there is none."""
    console, log = _text(transcript.console), _text(transcript.log)
    saved = _save_log(log if transcript.complete else console)
    end = _last_words(console)
    if transcript.started_at is None:
        if transcript.failure:
            raise UbError(f"the guest could not start: {transcript.failure}{end}")
        if transcript.expired:
            raise UbError(
                f"the guest did not start within {options.boot_timeout:g} s{end}",
                "on a busy machine increase --boot-timeout",
            )
        why = f": {transcript.machine_error}" if transcript.machine_error else end
        raise UbError(f"the machine ended before it started the command{why}")
    text = log if transcript.complete else console
    problems = log_problems(text, job.LOG_MARK) if options.log_check else ()
    if transcript.status is None:
        if transcript.expired and not problems:
            raise UbError(
                f"the command did not end within {options.timeout:g} s",
                f"increase --timeout; the kernel log is in {saved}",
                STATUS_TIMEOUT,
            )
        what = "the time limit expired" if transcript.expired else "the machine crashed"
        problems = (*problems, f"{what} before the command ended{end}")
    status = STATUS_LOG_PROBLEM if transcript.status is None else transcript.status
    return LabResult(status, b"", b"", problems, text, transcript.boot_seconds)


def _last_words(console: str) -> str:
    """The kernel's first complaints, and the end of the console's output."""
    lines = [*log_problems(console, job.LOG_MARK)[:_SHOWN_PROBLEMS]]
    lines += console.splitlines()[-_CONSOLE_TAIL:]
    text = "\n".join(f"  {line}" for line in lines)
    return f"; the last lines of the guest:\n{text}" if text.strip() else ""


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace").replace("\r\n", "\n")


def _save_log(text: str) -> Path:
    """Save the log in the project, or else in the cache; return its path."""
    cwd, project = _cwd(), places.checkout()
    logs = [] if project is None else [project / "build" / "lab"]
    if (cwd / "pyproject.toml").is_file():
        logs.append(cwd / "build" / "lab")
    logs.append(places.cache_dir() / "lab")
    for place in logs:
        path = place / "last-dmesg.txt"
        try:
            place.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError:
            continue
        return path
    return Path(os.devnull)


def _require_disk(wanted: str | None) -> None:
    """Raise UbError for an invalid disk, before slow operations."""
    if wanted is None:
        return
    path = Path(wanted)
    if path.exists():
        if not (path.is_file() or path.is_block_device()):
            raise UbError(f"{wanted} is not a disk image: not a regular file")
    elif _SIZE.fullmatch(wanted) is None:
        raise UbError(
            f"no disk '{wanted}': neither a file nor a size",
            "give a file that exists or a size such as 512M",
        )


def _disk(wanted: str | None, work: Path) -> Path | None:
    """The disk's file: an existing one, or an empty one of the requested size."""
    if wanted is None:
        return None
    if Path(wanted).exists():
        return Path(wanted).resolve()
    match = _SIZE.fullmatch(wanted)
    assert match is not None
    path = work / "disk"
    with path.open("wb") as file:
        unit = "KMGT".find(match.group(2).upper()) + 1 if match.group(2) else 0
        file.truncate(int(match.group(1)) << (10 * unit))
    return path


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UbError(
            "this directory no longer exists", "change to another one"
        ) from None


def _writer(descriptor: int) -> streams.Sink:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    return write
