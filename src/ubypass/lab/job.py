# SPDX-License-Identifier: GPL-2.0-only
"""The job of one run: the files under ``/job`` that ``init.sh`` reads.

Decides which directories the guest may write to, and which environment variables of the
host it gets. Must not depend on how the machine is started.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ubypass import places
from ubypass.lab.kernels import Kernel

__all__ = [
    "LOG_MARK",
    "command_environment",
    "job_files",
    "writable_dirs",
]

# Written to the guest's kernel log when the command starts.
LOG_MARK = "ubypass-lab: the command starts"

# Level info and above go to the console: the only log if the machine hangs or dies.
_COMMAND_LOGLEVEL = 7

# The guest mounts its own file systems on these, or must not change them.
_NEVER_SHARED = ("/", "/tmp", "/run", "/dev", "/proc", "/sys", "/usr", "/etc", "/var")

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED = ("LANG", "LANGUAGE", "TERM", "VIRTUAL_ENV", "COLUMNS")
_PASSED_PREFIXES = ("LC_", "UBYPASS_")


def writable_dirs(cwd: Path, more: Iterable[Path] = ()) -> list[Path]:
    """Host directories the guest may change: project, results, ``cwd`` and ``more``.

    Resolved, without those inside another and without system directories.
    """
    wanted = [places.checkout(), places.build_dir(), cwd, *more]
    result: list[Path] = []
    for path in sorted({each.resolve() for each in wanted if each is not None}):
        shared = any(path.is_relative_to(parent) for parent in result)
        if not shared and str(path) not in _NEVER_SHARED and path.is_dir():
            result.append(path)
    return result


def command_environment(
    host: Mapping[str, str], more: Mapping[str, str]
) -> dict[str, str]:
    """Variables for the command: a chosen part of ``host``'s, then ``more``."""
    result = {
        name: value
        for name, value in host.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    interpreter = Path(sys.executable)
    first = [interpreter.parent, interpreter.resolve().parent]
    project = places.checkout()
    if project is not None and (project / ".venv" / "bin").is_dir():
        first.insert(0, project / ".venv" / "bin")
    path = [*map(str, first), *host.get("PATH", "").split(":")]
    path += _SYSTEM_PATH.split(":")
    result["PATH"] = ":".join(dict.fromkeys(place for place in path if place))
    result["HOME"] = host.get("HOME", "/root")
    result["USER"] = result["LOGNAME"] = "root"
    result["UBYPASS_LAB"] = "1"
    result[places.BUILD_VARIABLE] = str(places.build_dir())
    result.update(more)
    return result


def job_files(
    kernel: Kernel,
    modules: Sequence[str],
    command: Sequence[str],
    *,
    cwd: Path,
    shares: Sequence[Path],
    environment: Mapping[str, str],
    shell_size: tuple[int, int] | None = None,
    stdin: bool = False,
    disk: bool = False,
    virtiofs: bool = False,
) -> list[tuple[str, bytes]]:
    """Names and contents of the files that describe one run to ``init.sh``.

    ``shares`` are the directories the guest may write to.
    ``shell_size`` (columns, rows) asks for an interactive terminal; otherwise the
    command's streams go through the ports, ``stdin`` only if true. ``virtiofs``:
    directories are shared by virtiofs, not by 9p.
    """
    columns, rows = shell_size or (80, 24)
    variables = {
        "RELEASE": kernel.release,
        "MODULES": " ".join(modules),
        "MODULE_DIR": str(kernel.modules.resolve()),
        "LOG_MARK": LOG_MARK,
        "COMMAND_LOGLEVEL": str(_COMMAND_LOGLEVEL),
        "MODE": "command" if shell_size is None else "shell",
        "COLS": str(columns),
        "ROWS": str(rows),
        "STDIN": "1" if stdin else "",
        "DISK": "1" if disk else "",
        "SHARED_BY": "virtiofs" if virtiofs else "9p",
    }
    env = "".join(f"{name}={shlex.quote(text)}\n" for name, text in variables.items())
    assigned = [f"{name}={text}" for name, text in sorted(environment.items())]
    # Not busybox's own env: it would prefer its applets to the host's programs.
    words = ["/usr/bin/env", "-i", *assigned, *command]
    script = f"cd {shlex.quote(str(cwd))} || exit 126\nexec {shlex.join(words)}\n"
    return [
        ("job/env", os.fsencode(env)),
        ("job/shares", _lines(shares)),
        ("job/still", _lines(_still_dirs(shares))),
        ("job/command.sh", os.fsencode(script)),
    ]


def _still_dirs(shares: Sequence[Path]) -> list[Path]:
    """Directories within ``shares`` that do not change while the guest runs.

    Shares are not cached, so that host and guest see each other's changes at once. The
    interpreter's environment is read often and never changed: the guest gets it from
    the host's (cached) root instead, read-only.
    """
    still = [Path(sys.prefix).resolve()]
    project = places.checkout()
    if project is not None:
        still.append(project / ".venv")
    inside = (p for p in still if any(p.is_relative_to(share) for share in shares))
    return sorted({p for p in inside if p.is_dir() and p not in shares})


def _lines(paths: Iterable[Path]) -> bytes:
    return b"".join(os.fsencode(path) + b"\n" for path in paths)
