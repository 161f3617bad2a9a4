# SPDX-License-Identifier: GPL-2.0-only
"""``ub module``: build the kernel module, load it into this kernel, unload it.

Loading goes straight to the system calls: a rescue system or a container may have no
``insmod``, and its messages could not be made clear.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.places import cache_dir, checkout, kernel_sources, module_file, packaged

__all__ = [
    "HELP",
    "NAME",
    "configure",
    "how_to_get",
    "is_loaded",
    "loadable",
    "run",
]

NAME = "module"
HELP = "build, load or unload the kernel module, or see how it is"

_SYS_INIT_MODULE = 175
_SYS_FINIT_MODULE = 313
_SYS_DELETE_MODULE = 176
_LOADED = Path("/sys/module/ub")
_INSTALLED_HEADERS = Path("/lib/modules")
_KERNEL_LOG = Path("/dev/kmsg")
_LOG_RECORD = 8192  # bytes, of the longest


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="compile it")
    which = build.add_mutually_exclusive_group()
    which.add_argument(
        "--kernel",
        metavar="RELEASE",
        help="for this kernel (default: the running one, if its headers are here, "
        "else the lab's)",
    )
    which.add_argument("--lab", action="store_true", help="for the lab's kernel")
    which.add_argument(
        "--suite",
        metavar="SUITE",
        help="for the newest kernel of trixie, trixie-backports, sid, ..., with the "
        "compiler of that suite",
    )
    build.add_argument(
        "-v", "--verbose", action="store_true", help="show the compiler's output"
    )
    load = actions.add_parser("load", help="load it into the running kernel")
    load.add_argument(
        "--file", metavar="FILE", help="this file, not what is built or installed"
    )
    actions.add_parser("unload", help="remove it from the running kernel")
    status = actions.add_parser("status", help="say whether it is built and loaded")
    status.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Do the action; 0, and for ``status`` 1 if the module is not loaded."""
    if args.action == "build":
        release = args.kernel or _default_release(args.lab, args.suite)
        return _build(release, args.suite, args.verbose)
    if args.action == "load":
        return _load(Path(args.file) if args.file else loadable(platform.release()))
    if args.action == "unload":
        return _unload()
    return _status(args.json)


def is_loaded() -> bool:
    """Whether the running kernel has the module."""
    return _LOADED.exists()


def loadable(release: str) -> Path:
    """The module for that kernel: installed by a package, or built here.

    Where it would be built if there is none.
    """
    from ubypass.module.installed import find_module

    return find_module(release, module_file(release), own=checkout() is not None)


def how_to_get(release: str) -> str:
    """What to type where there is no module for that kernel."""
    if packaged():
        return f"apt install ubypass-dkms linux-headers-{release}"
    return f"ub module build --kernel {release}"


def _build(release: str, suite: str | None, verbose: bool) -> int:
    from ubypass.module.build import build_module

    made = build_module(
        release,
        kernel_sources(),
        module_file(release).parent,
        suite=suite,
        verbose=verbose,
        report=lambda phrase: print(f"module: {phrase}", file=sys.stderr),
    )
    print(f"built {_short(made)}")
    return 0


def _default_release(for_lab: bool, suite: str | None = None) -> str:
    """One of them: for the other as well would mean another download."""
    from ubypass.lab.kernels import default_release, headers_dir

    if suite is not None:
        return default_release(suite)
    running = platform.release()
    places = (
        _INSTALLED_HEADERS / running / "build",
        headers_dir(cache_dir() / "kernels" / running / "headers", running),
    )
    if not for_lab and any((place / "Makefile").is_file() for place in places):
        return running
    return default_release()


def _load(file: Path) -> int:
    if is_loaded():
        print("the module is loaded already")
        return 0
    from ubypass.module.installed import contents

    if not file.exists():
        raise UbError(
            f"there is no module {_short(file)}",
            how_to_get(platform.release()),
        )
    with open_regular(file) as opened:
        _require_root("load")
        log = _open_log()
        try:
            data = contents(file)
            if data is None:
                _system_call("load", _SYS_FINIT_MODULE, opened.fileno(), b"", 0)
            else:
                # Not every kernel decompresses modules by itself.
                _system_call("load", _SYS_INIT_MODULE, data, len(data), b"")
        except UbError as error:
            raise _as_module_said(error, _read_log(log)) from None
        finally:
            if log is not None:
                os.close(log)
    print(f"loaded {_short(file)}")
    return 0


def _unload() -> int:
    if not is_loaded():
        print("the module is not loaded")
        return 0
    _require_root("unload")
    _system_call("unload", _SYS_DELETE_MODULE, b"ub", os.O_NONBLOCK)
    print("unloaded")
    return 0


def _status(as_json: bool) -> int:
    release = platform.release()
    file = loadable(release)
    built = module_file(release).parent.parent
    others = sorted(path.parent.name for path in built.glob("*/ub.ko"))
    loaded = is_loaded()
    if as_json:
        import json

        print(
            json.dumps(
                {
                    "release": release,
                    "loaded": loaded,
                    "built": file.is_file(),
                    "file": str(file),
                    "built_for": others,
                    "tunables": _tunables(),
                }
            )
        )
        return 0 if loaded else 1
    print(f"kernel     {release}")
    print(f"loaded     {'yes' if loaded else 'no'}")
    print(f"built      {_short(file) if file.is_file() else 'not for this kernel'}")
    print(f"built for  {', '.join(others) or 'nothing yet'}")
    print()
    _print_tunables(_tunables())
    return 0 if loaded else 1


def _tunables() -> dict[str, dict[str, Any]]:
    """By name. ``present`` is None unless the module is loaded and we are root."""
    from ubypass.device.client import Device
    from ubypass.device.tunables import TUNABLES

    present: dict[str, int] = {}
    if is_loaded():
        with contextlib.suppress(UbError), Device() as device:
            present = {each.name.lower(): device.tune(each) for each in TUNABLES}
    return {
        each.name.lower(): {
            "present": present.get(each.name.lower()),
            "default": known.usual,
            "least": known.least,
            "most": known.most,
            "unit": known.unit,
            "meaning": known.text,
        }
        for each, known in TUNABLES.items()
    }


def _print_tunables(tunables: Mapping[str, Mapping[str, Any]]) -> None:
    """As ``--tune`` takes them; what they are at present only root can see."""
    for name, known in tunables.items():
        now = known["present"]
        value = f"default {known['default']}" if now is None else str(now)
        bounds = f"{known['least']} to {known['most']} {known['unit']}"
        print(f"{name:<12} {value:<15} {bounds}")
        print(f"{'':<12} {known['meaning']}")


def _require_root(what: str) -> None:
    if os.geteuid() != 0:
        raise UbError(f"no permission to {what} the module", "run as root")


def _system_call(what: str, number: int, *arguments: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) == 0:
        return
    code = ctypes.get_errno()
    reason, hint = _REASONS.get(
        code, (os.strerror(code), "the kernel's log (dmesg) may say more")
    )
    raise UbError(f"cannot {what} the module: {reason}", hint)


def _open_log() -> int | None:
    """The kernel's log, from here on; None where it cannot be read."""
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        return None
    return log


def _read_log(log: int | None) -> list[str]:
    """What the module has said since, line by line, without its name."""
    said: list[str] = []
    while log is not None:
        try:
            record = os.read(log, _LOG_RECORD)
        except BrokenPipeError:  # records were overwritten
            continue
        except OSError:  # nothing more for now
            break
        if not record:
            break
        text = record.decode(errors="replace")
        said += re.findall(r"^[^ ;\n][^;\n]*;ub: (.+)$", text, re.MULTILINE)
    return said


def _as_module_said(error: UbError, said: list[str]) -> UbError:
    """The module knows best why it does not load, and often what to do."""
    if not said:
        return error
    reason, _, hint = said[-1].partition("; ")
    return UbError(f"cannot load the module: {reason}", hint or "see 'ub doctor'")


_REASONS = {
    errno.EPERM: (
        "the kernel does not permit it",
        "a container, lockdown or module signatures forbid it; see 'ub doctor'",
    ),
    errno.EKEYREJECTED: (
        "the kernel wants modules to be signed",
        "sign ub.ko with a key that it trusts, or turn Secure Boot off",
    ),
    errno.ENOKEY: (
        "the kernel wants modules to be signed",
        "sign ub.ko with a key that it trusts, or turn Secure Boot off",
    ),
    errno.ENOEXEC: (
        "it was built for another kernel",
        f"ub module build --kernel {platform.release()}, or dkms autoinstall",
    ),
    errno.EOPNOTSUPP: (
        "this kernel cannot hook system calls the way ub needs",
        "it must have ftrace with direct calls; see 'ub doctor'",
    ),
    errno.EWOULDBLOCK: (
        "it is in use",
        "stop 'ub run' and 'ub attach' first; see 'ub stats'",
    ),
    errno.EBUSY: (
        "it is in use",
        "stop 'ub run' and 'ub attach' first; see 'ub stats'",
    ),
}


def _short(path: Path) -> str:
    """Relative to here or to the user's home if that is shorter."""
    names = [str(path), os.path.relpath(path)]
    if path.is_relative_to(Path.home()):
        names.append(f"~/{path.relative_to(Path.home())}")
    return min(names, key=len)
