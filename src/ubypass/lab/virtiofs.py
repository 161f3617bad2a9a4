# SPDX-License-Identifier: GPL-2.0-only
"""The host's directories for guests whose kernel has no 9p: by virtiofs.

Debian's kernels for clouds have no 9p. QEMU serves that file system itself; for
virtiofs each directory has a process of its own, ``virtiofsd``, which runs in a mount
namespace that is read-only if the share is. Needs no privileges where users may create
namespaces.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ubypass.child import dies_with_us
from ubypass.errors import UbError

__all__ = ["find_virtiofsd", "main", "served"]

#: A share: its tag, the directory of the host, and whether it is read-only.
Share = tuple[str, Path, bool]

# Of Debian 12, with QEMU; of Debian 13, a package of its own.
_PLACES = (Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd"))

_MOUNT_SETATTR = 442  # the system call
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1


def find_virtiofsd() -> Path:
    """The program. Raises UbError if there is none."""
    for place in _PLACES:
        if os.access(place, os.X_OK):
            return place
    raise UbError(
        "this kernel has no 9p, so the lab needs virtiofsd",
        "apt install virtiofsd (Debian 12: qemu-system-common)",
    )


@contextmanager
def served(shares: Sequence[Share]) -> Iterator[list[Path]]:
    """The sockets at which the shares are served, in their order, inside the ``with``.

    Raises UbError if virtiofsd or unshare is missing.
    """
    program = find_virtiofsd()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ub-fs-")))
        sockets = []
        for number, (_, path, read_only) in enumerate(shares):
            place = home / str(number)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(place))
                listening.listen(1)
                process = _start(program, path, read_only, listening.fileno())
            stack.callback(process.wait)
            stack.callback(process.kill)
            sockets.append(place)
        yield sockets


def _start(
    program: Path, path: Path, read_only: bool, descriptor: int
) -> subprocess.Popen[bytes]:
    # The root is large and changes little; of the others both sides see each change.
    cache = "always" if read_only else "auto"
    options = f"source={_escaped(path)},cache={cache},sandbox=chroot"
    command = [str(program), f"--fd={descriptor}", "-f", "-o", options]
    inside = [sys.executable, "-m", __name__, "ro" if read_only else "rw", *command]
    as_root = [] if os.geteuid() == 0 else ["-r"]
    try:
        return subprocess.Popen(
            ["unshare", *as_root, "-m", *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            preexec_fn=dies_with_us(),
        )
    except FileNotFoundError:
        raise UbError(
            "cannot share directories by virtiofs: unshare not found",
            "apt install util-linux",
        ) from None


def main(arguments: Sequence[str]) -> None:
    """``ro|rw PROGRAM [ARG]...``: run it, with all mounts of this namespace so.

    In a mount namespace of its own only. Does not return; raises OSError.
    """
    how, *command = arguments
    if how == "ro":
        libc = ctypes.CDLL(None, use_errno=True)
        attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
        failed = libc.syscall(
            _MOUNT_SETATTR,
            _AT_FDCWD,
            b"/",
            _AT_RECURSIVE,
            attributes,
            ctypes.sizeof(attributes),
        )
        if failed:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    os.execv(command[0], command)


def _escaped(path: Path) -> str:
    # In a list that is separated by commas.
    return str(path).replace("\\", "\\\\").replace(",", "\\,")


if __name__ == "__main__":
    main(sys.argv[1:])
