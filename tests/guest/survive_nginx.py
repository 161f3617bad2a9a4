# SPDX-License-Identifier: GPL-2.0-only
"""What operators do to nginx, done to a boosted one under load.

Attached once, by its main process: workers that come later, those of the program that
replaces it, and that program itself, are found by following children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from tests.guest.waiting import TUNE, UB, is_alive, wait, wait_for_more
from ubypass.bench.server.attachment import Attachment
from ubypass.bench.server.cpu import children
from ubypass.bench.server.nginx import Nginx, NginxCase, write_conf
from ubypass.bench.server.process import beside, free_port, home, interrupt, needs
from ubypass.bench.server.wrk import read_load

__all__ = ["nginx"]

_CASE = NginxCase(4, log=True, workers=2)
#: Dispatched calls after each step, as a sign that it is boosted (again).
_MORE = 20

# Notices and a file that is not there are what we ask for.
_EXPECTED = ("[notice]", "/www/nothing")


def nginx() -> dict[str, Any]:
    """Reopening of logs, reload, and replacement of the program, under load."""
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {"seconds": seconds}
    with _daemon(_CASE) as server:
        with (
            Attachment([server.main], (*TUNE, "--children"), UB) as boost,
            server.watched(result),
        ):

            def stage(name: str, action: Callable[[], object]) -> None:
                began = time.monotonic()
                result[name] = action()
                wait_for_more(lambda: boost.figures(server.serving()).dispatched, _MORE)
                result[f"after_{name}"] = astuple(server.check())
                seconds[name] = round(time.monotonic() - began, 1)

            stage("attaching", lambda: True)
            stage("reopening", lambda: _reopened(server))
            stage("reload", lambda: _reloaded(server))
            stage("upgrade", lambda: _upgraded(server))
        result["native_again"] = astuple(server.check())
        errors = (server.home / "errors").read_text().splitlines()
        result["errors"] = [
            line for line in errors if not any(word in line for word in _EXPECTED)
        ]
    return result


def _reopened(server: _Daemon) -> bool:
    log = server.home / "access"
    log.rename(server.home / "old")
    server.order("reopen")
    return wait(lambda: log.exists() and log.stat().st_size > 0)


def _reloaded(server: _Daemon) -> bool:
    old = set(server.serving())
    server.order("reload")
    return wait(lambda: _all_new(server, old)) and _all_ended(old)


def _upgraded(server: _Daemon) -> bool:
    """The new program beside the old one, then without its workers, then alone."""
    before, workers = server.main, set(server.serving())
    os.kill(before, signal.SIGUSR2)
    if not wait(lambda: server.pid_of_file() not in (0, before)):
        return False
    server.main = server.pid_of_file()
    os.kill(before, signal.SIGWINCH)
    if not (wait(lambda: _all_new(server, workers)) and _all_ended(workers)):
        return False
    still_there = is_alive(before)
    os.kill(before, signal.SIGQUIT)
    return still_there and wait(lambda: not is_alive(before))


def _all_new(server: _Daemon, old: set[int]) -> bool:
    now = set(server.serving())
    return len(now) == _CASE.workers and not now & old


def _all_ended(pids: set[int]) -> bool:
    return wait(lambda: not any(is_alive(pid) for pid in pids))


class _Daemon(Nginx):
    """One in the background, as it has to be to be replaced."""

    def pid_of_file(self) -> int:
        """Whoever says to be the main process now; 0: nobody."""
        return _pid_of(self.home)

    def order(self, what: str) -> None:
        """``nginx -s``."""
        subprocess.run(
            [*_nginx(self.home), "-s", what], stdin=subprocess.DEVNULL, check=True
        )

    @contextlib.contextmanager
    def watched(self, result: dict[str, Any]) -> Iterator[None]:
        """wrk meanwhile; ``result["load"]``: replies compared, and wrong ones."""
        with (self.home / "wrk").open("w+") as output:
            wrk = subprocess.Popen(
                beside(self.load_command()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                yield
                interrupt(wrk)
                output.seek(0)
                # A connection may be closed under a request; that is no reply.
                load, _ = read_load(output.read())
                result["load"] = astuple(load.checked)
            finally:
                wrk.kill()
                wrk.wait()


def _nginx(directory: Path) -> list[str]:
    program = needs("nginx", "nginx")
    return [program, "-p", str(directory), "-c", str(directory / "nginx.conf")]


@contextlib.contextmanager
def _daemon(case: NginxCase) -> Iterator[_Daemon]:
    with home("nginx") as directory:
        port = free_port()
        write_conf(directory, port, case, daemon=True)
        subprocess.run(_nginx(directory), stdin=subprocess.DEVNULL, check=True)
        wait(lambda: len(children(_pid_of(directory))) == case.workers)
        try:
            yield _Daemon(case, 1, _pid_of(directory), port, directory)
        finally:
            last = _pid_of(directory)
            if last:
                os.kill(last, signal.SIGTERM)
                wait(lambda: not is_alive(last))


def _pid_of(directory: Path) -> int:
    try:
        return int((directory / "pid").read_text())
    except (OSError, ValueError):
        return 0
