# SPDX-License-Identifier: GPL-2.0-only
"""Redis on F-Stack, a network stack in user space, if an operator has installed it.

F-Stack (https://github.com/F-Stack/f-stack) is no package of Debian: an operator builds
it in its own directory, ``FF_PATH``. Its configuration describes the machine's network:
the operator's own, or one made here for a virtual device
(:mod:`ubypass.bench.server.virtual`). It polls, so its CPU time is all of its
processor's, whatever the load; the CPU time of all its threads counts, and that of the
kernel's thread between a virtual device and the TAP.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.records import today
from ubypass.bench.server import virtual
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.cpu import vhost_threads
from ubypass.bench.server.measure import Checked, Plan, Setting, one_run
from ubypass.bench.server.process import at_once
from ubypass.bench.server.record import Run
from ubypass.bench.server.redis import Redis, RedisCase, redis_server
from ubypass.errors import UbError
from ubypass.files import read_text

__all__ = ["NAME", "Installed", "find", "measure"]

NAME = "F-Stack"

#: The directory in F-Stack's installation guide.
_USUAL = "/data/f-stack"

_SHOWN = 3  # last lines of the output of a server that does not start


@dataclass(frozen=True, slots=True)
class Installed:
    """``server``: path of its redis-server; ``config``: of its configuration.

    ``address``: its IP address. ``config`` is None for a virtual device.
    """

    server: Path
    config: Path | None
    address: str

    @property
    def version(self) -> str:
        """As in ServerRecord; by the name of the directory ``app/redis-6.2.6``."""
        return self.server.parts[-3].replace("-", " ", 1)

    def command(self, config: Path) -> list[str]:
        """The command that starts redis on it; append redis' configuration file."""
        own = ["--conf", str(config), "--proc-type=primary", "--proc-id=0"]
        return [str(self.server), *own]


def find(directory: Path | None = None, config: Path | None = None) -> Installed:
    """The installation in ``directory``, by default in $FF_PATH or /data/f-stack.

    ``config``: the operator's configuration; None for a virtual device. Raises UbError
    if a file or the device is missing, or there is only one processor.
    """
    root = directory or Path(os.environ.get("FF_PATH") or _USUAL)
    servers = sorted(root.glob("app/redis-*/src/redis-server"))
    if not servers:
        raise UbError(f"no F-Stack: {root}/app/redis-*/src/redis-server is missing")
    address = virtual.ADDRESS if config is None else _address(config)
    if len(os.sched_getaffinity(0)) < 2:
        raise UbError("F-Stack polls, and there is only one processor")
    if config is None:
        virtual.must_be_possible()
    return Installed(servers[-1], config, address)


def measure(
    installed: Installed | str, case: RedisCase, requests: int, plan: Plan, to: Setting
) -> Beside:
    """Redis in the configuration ``case`` on F-Stack, native.

    ``installed``: as from :func:`find`, or why there is nothing. A server that does not
    start has a record with the reason. Raises UbError if the server fails later.
    """
    runs: list[Run] = []
    checked = Checked()
    why = installed if isinstance(installed, str) else ""
    version = note = ""
    with contextlib.ExitStack() as stack:
        if not isinstance(installed, str):
            version = installed.version
            note = virtual.NOTE if installed.config is None else ""
            try:
                server = stack.enter_context(_started(installed, case, requests))
            except (UbError, OSError) as error:
                why = _short(str(error))
            else:
                server.helpers = vhost_threads(server.main)
                # The set-up of connections and memory is not measured.
                checked += server.load().checked + server.check()
                for _ in range(plan.runs):
                    run, good = one_run(server)
                    runs.append(run)
                    checked += good
    return Beside(
        rival=NAME,
        server=Redis.name,
        case=str(case),
        runs=tuple(runs),
        checked=checked.checked,
        wrong=checked.wrong,
        not_run=why,
        command=to.command,
        date=today(),
        machine=to.machine,
        version=version,
        note=note,
    )


@contextlib.contextmanager
def _started(installed: Installed, case: RedisCase, requests: int) -> Iterator[Redis]:
    """The running redis, with the operator's network or on a virtual device."""
    with tempfile.TemporaryDirectory(prefix="ub-fstack-") as directory:
        config, reachable = installed.config, at_once
        if config is None:
            config = Path(directory) / "config.ini"
            # The load runs on the other processors.
            config.write_text(virtual.config(max(os.sched_getaffinity(0))))
            reachable = virtual.Tap().reachable
        with redis_server(
            case,
            requests,
            command=installed.command(config),
            host=installed.address,
            version=installed.version,
            reachable=reachable,
        ) as server:
            yield server


def _short(error: str) -> str:
    """The beginning and the last lines: F-Stack prints its configuration first."""
    what, colon, output = error.partition(": ")
    last = " ".join(output.splitlines()[-_SHOWN:])
    return f"{what}{colon}{' '.join(last.split())}"


def _address(config: Path) -> str:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(read_text(config))
        return parser["port0"]["addr"]
    except (configparser.Error, KeyError) as error:
        raise UbError(f"no F-Stack: {config} has no addr in [port0]") from error
