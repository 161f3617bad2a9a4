# SPDX-License-Identifier: GPL-2.0-only
"""``run`` and ``attach`` while the service runs: its daemon boosts their processes.

The command only waits: the daemon attaches, under its limits and pauses, until the
command ends.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ubypass.cli.engine_options import own_engine_option
from ubypass.cli.forwarding import Forwarding
from ubypass.cli.launch import Launch
from ubypass.cli.stop import Stop
from ubypass.cli.summary_report import print_report, say
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.process.status import ProcessId
    from ubypass.service.client import Client

__all__ = ["attach", "run", "service_for"]

_PATIENCE = 1.0  # seconds in which a program is held until the service has attached it
_DONE = ("ended", "released")  # states in which nothing will be boosted any more


def service_for(args: argparse.Namespace, *, goes_on: bool = False) -> Client | None:
    """A connection to the service; None if the command needs an engine of its own.

    That is: no service runs, or it cannot do what ``args`` want. If it does not answer,
    raises ``UbError``; or, for a program that ``goes_on``, says so, and the client has
    no connection.
    """
    if args.own_engine:
        return None
    from ubypass.engine import control
    from ubypass.service.client import connect, unanswered

    option = own_engine_option(args)
    try:
        client = connect(control.CONTROL_DIRECTORY)
    except UbError as error:
        if option:
            return None
        if not goes_on:
            raise
        if not args.quiet:
            say(f"{error.message}; the program runs natively")
        return unanswered()
    if client is not None and option:
        client.close()
        if not args.quiet:
            say(
                f"{option} needs an engine of its own: the limits and pauses of the "
                "service do not apply"
            )
        return None
    return client


def run(client: Client, args: argparse.Namespace, command: Sequence[str]) -> int:
    """Run ``command``, boosted by the service; its exit code.

    128 plus the number of the signal that has ended it. Raises ``UbError`` if it cannot
    be started.
    """
    began = time.monotonic_ns()
    following = _Following(client, quiet=args.quiet, who="the program")
    with contextlib.closing(client):
        with Forwarding() as signals, following:
            launch = Launch(command)
            signals.set_child(launch.child)
            try:
                following.begin(launch.child.pid, args.children, began)
            finally:
                launch.go()
            status = _wait(following, launch.child)
        if args.children:
            with following, Stop(following) as stop:
                following.stay(command[0], lambda: stop.asked)
        code = status if status >= 0 else 128 - status
        extra = {
            "command": list(command),
            "exit_code": code,
            "seconds": (time.monotonic_ns() - began) / 1e9,
        }
        _report(client, args, extra)
    return code


def attach(
    client: Client, args: argparse.Namespace, processes: Sequence[ProcessId]
) -> int:
    """Have them boosted until they end, or a signal; 0. Raises ``UbError``."""
    names = ", ".join(f"{p.pid} ({p.name})" for p in processes)
    following = _Following(client, quiet=args.quiet, who=names, strict=True)
    following.attached = f"the service boosts {names}; Ctrl-C detaches"
    with contextlib.closing(client):
        with following, Stop(following) as stop:
            client.begin(processes, children=args.children)
            following.answer(_PATIENCE)
            following.until(lambda: stop.asked)
        lost = not following.done and not stop.asked
        _report(client, args, {})
    if lost:
        raise UbError(
            f"the service has ended; natively from now on: {names}",
            "to boost again: the same command",
        )
    return 0


class _Following:
    """Waits for messages of the service, and says what concerns the user.

    ``who``: the processes, for people. ``strict``: a refusal is an error of the
    command; otherwise the program goes on natively.
    """

    def __init__(
        self, client: Client, *, quiet: bool, who: str, strict: bool = False
    ) -> None:
        self.attached = ""  # said once they are
        self.done = False
        self._state: Mapping[str, Any] = {}
        self._selector: selectors.BaseSelector
        self._client = client
        self._quiet = quiet
        self._who = who
        self._strict = strict
        self._answered = False

    def __enter__(self) -> _Following:
        self._selector = selectors.DefaultSelector()
        return self

    def __exit__(self, *error: object) -> None:
        self._selector.close()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``fd`` is readable, while this waits."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Undo :meth:`watch`."""
        self._selector.unregister(fd)

    def begin(self, pid: int, children: bool, started_ns: int) -> None:
        """Request that a program that waits be boosted, and wait for the answer.

        Never fails: the program may then run, natively if need be.
        """
        from ubypass.process.status import identify

        try:
            found = [identify(pid)]
            self._client.begin(found, children=children, started_ns=started_ns)
            self.answer(_PATIENCE)
        except UbError as error:  # it may have ended already
            self._go_native(error.message)
        except Exception as error:
            # A bug of ub must not affect the program.
            if os.environ.get("UBYPASS_DEBUG"):
                traceback.print_exc()
            self._go_native(f"internal error: {type(error).__name__}: {error}")

    def answer(self, seconds: float) -> None:
        """Wait for the first answer, but only so long: the daemon may be busy."""
        end = time.monotonic() + seconds
        while not self._answered and not self._client.is_over:
            left = end - time.monotonic()
            if left <= 0:
                self._say("the service is busy; natively until it answers")
                return
            self._take(left)

    def until(self, over: Callable[[], bool]) -> None:
        """Wait until ``over()``, or until nothing will be boosted any more."""
        watched = False
        while not over() and not self.done:
            if self._client.is_over:
                return
            if not watched:
                self.watch(self._client.fileno(), lambda: self._take(0))
                watched = True
            for key, _ in self._selector.select():
                key.data()

    def stay(self, name: str, over: Callable[[], bool]) -> None:
        """After the end of a program: wait for the descendants that it has left."""
        left = (
            f"{name} has ended; some of its processes still run, boosted; Ctrl-C "
            "detaches them"
        )

        def told() -> bool:
            nonlocal left
            state = self._state
            if left and state.get("state") == "attached" and not state["requested"]:
                self._say(left)
                left = ""
            return over()

        self.until(told)

    def _take(self, seconds: float) -> None:
        """Read messages, for which it waits up to ``seconds``."""
        try:
            messages = self._client.messages(seconds)
        except UbError as error:
            self._answered = True
            if self._strict:
                raise
            self._go_native(error.message)
            return
        for message in messages:
            self._answered = True
            self._tell(message)
        if self._client.is_over and not self._strict and not self.done:
            self._say(f"the service has ended; {self._who} continues natively")

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._state = message
        self.done = message.get("state") in _DONE
        if message.get("state") == "attached":
            line, self.attached = self.attached, ""
        else:
            line = _words(self._who, message)
        if line:
            self._say(line)

    def _go_native(self, why: str) -> None:
        self._say(f"{why}; {self._who} runs natively")
        self._client.close()

    def _say(self, line: str) -> None:
        if not self._quiet:
            say(line)


def _words(who: str, message: Mapping[str, Any]) -> str:
    """A state for people; "" if there is nothing to say."""
    state = message.get("state")
    if state == "paused":
        until = "'ub service resume'"
        if message.get("by") == "configuration":
            until = "its configuration changes"
        return f"the service is paused; natively until {until}: {who}"
    if state == "waiting":
        return f"the service's limit {message.get('limit')!r} is reached; waits: {who}"
    if state == "excluded":
        return f"a rule of the service keeps it native: {who}"
    if state == "released":
        return f"detached by an operator, natively from now on: {who}"
    if state == "native" and message.get("why"):
        return f"{message['why']}; the service will try again"
    return ""


def _wait(following: _Following, child: subprocess.Popen[bytes]) -> int:
    """The exit status of ``child``, which may also have been ended by a signal."""
    pidfd = os.pidfd_open(child.pid)
    ended: list[bool] = []
    try:
        following.watch(pidfd, lambda: ended.append(True))
        following.until(lambda: bool(ended))
    finally:
        os.close(pidfd)
    return child.wait()


def _report(client: Client, args: argparse.Namespace, extra: Mapping[str, Any]) -> None:
    """End the request, and print its figures."""
    is_wanted = args.json or args.summary_file is not None or not args.quiet
    answer = client.end() if is_wanted else None
    final = answer or {}
    if answer is None and not args.quiet:
        say("the service gave no figures")
    print_report(
        final.get("processes", []),
        peak=final.get("engine_peak_bytes", 0),
        by_service=True,
        as_json=args.json,
        file=args.summary_file,
        quiet=args.quiet or (answer is None and not args.json),
        left_out=final.get("left_out", 0),
        extra=extra,
    )
