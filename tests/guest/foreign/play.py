# SPDX-License-Identifier: GPL-2.0-only
"""Runs one foreign program in the guest: natively, boosted by force, by default.

By hand, with a larger load, all of them or some:

    python -m tests.guest.foreign.play [--scale N] [NAME]...
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.guest.foreign.inputs import make_inputs
from tests.guest.foreign.packages import link
from tests.guest.foreign.table import PROGRAMS, Foreign
from tests.guest.newcomers import figures
from tests.guest.program import PROGRAMS as BUILT
from tests.guest.stubborn import POLICY, TUNE, engines
from tests.places import ROOT
from ubypass.cli.session import Session
from ubypass.device.uapi import Tunable
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.engine import Engine
from ubypass.engine.profile import Profile
from ubypass.process.status import identify

__all__ = ["ENOUGH", "PACKAGE_LIST", "main", "play"]

#: Written on the host: directories of unpacked packages, a line each.
PACKAGE_LIST = ROOT / "build" / "tests" / "foreign-packages"

_HOME = Path("/dev/shm/ub-foreign")
_INPUT = _HOME / "input"
_WORK = _HOME / "work"
_PORT = 17080
_HERE = Path(__file__).parents[1] / "programs"
_LOADS = Path(__file__).with_name("loads.py")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STEP = 0.02  # seconds

#: Calls dispatched that show that it was boosted. What ends too soon for it is run
#: again, with what is known from the time before.
ENOUGH = 500
_TRIES = 3

#: So that what is known holds the next time: the same addresses.
_NO_RANDOMIZE = 0x0040000

#: For what hangs; nothing is decided by it.
_TIMEOUT = 300.0

#: The engine goes first. However long a build takes, and on whatever machine, the
#: program does not get far meanwhile, so what is boosted does not depend on time. With
#: a nice value of -15 it does: Linux 6.12 gives an idle program half of the time then.
_PRIORITY = 1

#: Does not wait longer for the paths of sites than it takes to trace some.
_POLICY = replace(
    POLICY,
    trace_timeout=0.1,
    look_interval=0.1,
    caps=replace(POLICY.caps, rounds=10),
    admission=AdmissionPolicy(),
)

#: Some calls in a row are heat enough, and it need not last.
_TUNE = {**TUNE, Tunable.HOT_CALLS: 3, Tunable.WINDOW_MS: 30}


def play(name: str, scale: int = 1) -> dict[str, Any]:
    """What the program showed in each of three ways, and what boosting came to.

    ``forced`` has one or more runs. Or ``absent``: what this machine does not have.
    """
    program = PROGRAMS[name]
    _prepare(scale)
    argv = _argv(program)
    if shutil.which(argv[0], path=_PATH) is None:
        return {"absent": argv[0]}
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    return {
        "native": _run(program, argv),
        "forced": list(_forced(program, argv)),
        "default": _default(program, argv),
    }


def _prepare(scale: int) -> None:
    """Once for all programs of a boot."""
    if not _INPUT.exists():
        link(map(Path, PACKAGE_LIST.read_text().splitlines()))
        make_inputs(_INPUT, scale)


def _forced(program: Foreign, argv: list[str]) -> Iterator[dict[str, Any]]:
    """Boosts whatever comes up more than once, and never gives up."""
    profile = None
    with engines(_POLICY, _TUNE) as boosting:
        for _ in range(_TRIES):
            with boosting.engine() as engine:
                attached = _Attached(engine, profile)
                run = _run(program, argv, attached)
            yield run
            if program.native or run["dispatched"] >= ENOUGH:
                break
            profile = attached.profile


def _default(program: Foreign, argv: list[str]) -> dict[str, Any]:
    """As ``ub run`` does."""
    with Session({}, quiet=True) as session:
        assert session.engine is not None
        return _run(program, argv, _Attached(session.engine))


@dataclass(slots=True)
class _Attached:
    """Who boosts a program: ``profile`` is what there is of it, before and after."""

    engine: Engine
    profile: Profile | None = None

    def attach(self, pid: int) -> None:
        target = self.engine.attach(identify(pid), children=True, profile=self.profile)
        self.engine.watch_end(target)
        self.profile = target.profile

    def figures(self) -> dict[str, Any]:
        self.engine.step(0)
        if self.profile is not None:
            self.profile = self.profile.inherited()
        return figures(self.engine.summaries())


def _argv(program: Foreign) -> list[str]:
    places = {
        "here": _HERE,
        "built": BUILT,
        "input": _INPUT,
        "port": _PORT,
        "python": sys.executable,
    }
    words = shlex.split(program.command)
    # Not str.format: awk has braces, too.
    for place, value in places.items():
        words = [word.replace(f"{{{place}}}", str(value)) for word in words]
    return words


def _run(
    program: Foreign, argv: list[str], attached: _Attached | None = None
) -> dict[str, Any]:
    """One run; what it showed and, if boosted, figures of all its processes."""
    engine = attached.engine if attached else None
    shutil.rmtree(_WORK, ignore_errors=True)
    _WORK.mkdir()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context((_HOME / name).open("w+b"))
            for name in ("stdout", "stderr")
        }
        stdin = Path(_INPUT / program.stdin if program.stdin else os.devnull)
        process = subprocess.Popen(
            argv,
            stdin=stack.enter_context(stdin.open("rb")),
            stdout=files["stdout"],
            stderr=files["stderr"],
            cwd=_WORK,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": str(_WORK)},
            start_new_session=True,
            preexec_fn=_step_back,
        )
        stack.callback(_end, process)
        # It has hardly begun: nothing of what it is to do may be over before.
        process.send_signal(signal.SIGSTOP)
        if attached is not None:
            attached.attach(process.pid)
        process.send_signal(signal.SIGCONT)
        said = _serve(program, process, engine) if program.load else None
        _wait(lambda: process.poll() is not None, engine)
        result = _outcome(program, process, files["stdout"], files["stderr"])
    if said is not None:
        result["shown"]["load"] = said
    if attached is not None:
        result |= attached.figures()
    return result | {"seconds": round(time.monotonic() - began, 2)}


# Loaded here: after a fork only calls that take no lock are safe.
_libc = ctypes.CDLL(None)


def _step_back() -> None:
    _libc.personality(_NO_RANDOMIZE)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _serve(
    program: Foreign, process: subprocess.Popen[bytes], engine: Engine | None
) -> list[str]:
    """Put its load on a server, and then ask it to end; what the load printed."""
    _wait(lambda: _answers() or process.poll() is not None, engine)
    with (_HOME / "load").open("w+") as output:
        load = subprocess.Popen(
            [
                *(sys.executable, "-S", str(_LOADS)),
                *(program.load, str(_PORT), str(_INPUT)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_step_back,
        )
        try:
            _wait(lambda: load.poll() is not None, engine)
        finally:
            load.kill()
            load.wait()
        output.seek(0)
        lines = [*output.read().splitlines(), f"status {load.returncode}"]
    process.terminate()
    return lines


def _answers() -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", _PORT)) == 0


def _wait(done: Callable[[], bool], engine: Engine | None) -> None:
    """Until then let the engine work, if there is one. Raises TimeoutError."""
    deadline = time.monotonic() + _TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not ended after {_TIMEOUT:.0f} s")
        if engine is None:
            time.sleep(_STEP)
        else:
            engine.step(_STEP)


def _outcome(
    program: Foreign, process: subprocess.Popen[bytes], *outputs: Any
) -> dict[str, Any]:
    """All that a user can observe of a run, under ``shown``."""
    shown: dict[str, Any] = {"status": process.returncode, "files": _files(_WORK)}
    for name, output in zip(("stdout", "stderr"), outputs, strict=True):
        output.seek(0)
        data = output.read()
        lines = data.decode(errors="backslashreplace").splitlines()
        shown[name] = lines if program.ordered else sorted(lines)
        # Lines are for people; there are bytes that they do not show.
        shown[f"{name} hash"] = _hash(data if program.ordered else b"")
    return {"shown": shown}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _files(directory: Path) -> dict[str, str]:
    """Mode and hash of all that is below."""
    found = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        content = path.read_bytes() if path.is_file() else b""
        name = str(path.relative_to(directory))
        found[name] = f"{mode:o} {len(content)} {_hash(content)}"
    return found


def main(arguments: list[str]) -> int:
    """Show the figures of some programs, or all, as lines of JSON; 1 if any differs."""
    scale = 1
    if arguments[:1] == ["--scale"]:
        scale, arguments = int(arguments[1]), arguments[2:]
    differ = 0
    for name in arguments or PROGRAMS:
        result = play(name, scale)
        if "absent" not in result:
            runs = [result["native"], *result["forced"], result["default"]]
            shown = [run.pop("shown") for run in runs]
            if any(each != shown[0] for each in shown):
                differ += 1
                result["shown"] = shown
        print(json.dumps({"program": name, **result}), flush=True)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
