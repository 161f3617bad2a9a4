# SPDX-License-Identifier: GPL-2.0-only
"""Redis on F-Stack, a network stack in user space, if an operator has installed it.

F-Stack (https://github.com/F-Stack/f-stack) is no package of Debian: it is built in its
own directory, ``FF_PATH``, and its ``config.ini`` describes the machine's network. The
operator does all of that. It polls, so its CPU time is all of its processor's, whatever
the load.
"""

from __future__ import annotations

import configparser
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.records import today
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.measure import Checked, Plan, Setting, one_run
from ubypass.bench.server.record import Run
from ubypass.bench.server.redis import Redis, RedisCase, redis_server
from ubypass.errors import UbError
from ubypass.files import read_text

__all__ = ["NAME", "Installed", "find", "measure"]

NAME = "F-Stack"

#: The directory in F-Stack's installation guide.
_USUAL = "/data/f-stack"


@dataclass(frozen=True, slots=True)
class Installed:
    """``server``: path of its redis-server; ``config``: of its configuration.

    ``address``: its IP address.
    """

    server: Path
    config: Path
    address: str

    def command(self) -> list[str]:
        """The command that starts redis on it; append redis' configuration file."""
        own = ["--conf", str(self.config), "--proc-type=primary", "--proc-id=0"]
        return [str(self.server), *own]


def find(directory: Path | None = None) -> Installed:
    """The installation in ``directory``, by default in $FF_PATH or /data/f-stack.

    Raises UbError if a file is missing or there is only one processor.
    """
    root = directory or Path(os.environ.get("FF_PATH") or _USUAL)
    servers = sorted(root.glob("app/redis-*/src/redis-server"))
    if not servers:
        raise UbError(f"no F-Stack: {root}/app/redis-*/src/redis-server is missing")
    config = root / "config.ini"
    address = _address(config)
    if len(os.sched_getaffinity(0)) < 2:
        raise UbError("F-Stack polls, and there is only one processor")
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
    with contextlib.ExitStack() as stack:
        if not isinstance(installed, str):
            start = redis_server(
                case, requests, command=installed.command(), host=installed.address
            )
            try:
                server = stack.enter_context(start)
            except (UbError, OSError) as error:
                why = " ".join(str(error).split())
            else:
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
    )


def _address(config: Path) -> str:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(read_text(config))
        return parser["port0"]["addr"]
    except (configparser.Error, KeyError) as error:
        raise UbError(f"no F-Stack: {config} has no addr in [port0]") from error
