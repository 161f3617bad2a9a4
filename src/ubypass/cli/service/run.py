# SPDX-License-Identifier: GPL-2.0-only
"""``ub service run``: the daemon, in the foreground."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import add_json
from ubypass.cli.service.config_option import add_config_option
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError
from ubypass.files import must_be_writable

if TYPE_CHECKING:
    from ubypass.abi import Abi
    from ubypass.cli.session import Session
    from ubypass.service.config import Config, Store
    from ubypass.service.figures import Snapshot
    from ubypass.service.journal import Journal
    from ubypass.service.supervisor import Supervisor
    from ubypass.store.shared import SharedTranslations

__all__ = ["EX_UNAVAILABLE", "VERB", "configure", "run"]

#: EX_UNAVAILABLE of sysexits.h.
EX_UNAVAILABLE = 69


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser, "write the journal as lines of JSON")
    parser.add_argument(
        "--textfile",
        type=Path,
        metavar="FILE",
        help="write metrics for node_exporter to FILE (default: that of the "
        "configuration, else ubypass.prom in node_exporter's directory if it exists)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="serve metrics over HTTP as well, for example at 127.0.0.1:9464",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="read the configuration again whenever its file changes",
    )
    add_config_option(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; 0, or an exit status of the package's docstring."""
    from ubypass.service.config import load
    from ubypass.service.follow import Follower
    from ubypass.service.journal import Journal, Level

    journal = Journal(
        sys.stderr,
        as_json=args.json,
        levels="JOURNAL_STREAM" in os.environ and not args.json,
    )
    path = args.config.absolute()
    override = _override(args)
    # Before the first read, so that changes after it are noticed.
    changed = Follower(path).changed if args.follow else lambda: False

    def read() -> Config:
        config = load(path)
        return replace(config, metrics=replace(config.metrics, **override))

    try:
        config = read()
    except UbError as error:
        journal.say("configuration-refused", Level.ERROR, reason=error.message)
        return error.exit_code
    try:
        return _serve(config, read, path, journal, changed)
    except UbError as error:
        journal.say(
            "unavailable",
            Level.ERROR,
            reason=error.message,
            hint=error.hint or None,
            programs="native",
        )
        return EX_UNAVAILABLE if error.exit_code == 1 else error.exit_code


def _override(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of metrics that override the configuration. Raises UsageError."""
    from ubypass.service.config import address

    found: dict[str, Any] = {}
    if args.textfile is not None:
        must_be_writable(args.textfile.absolute())
        found["textfile"] = args.textfile.absolute()
    if args.listen is not None:
        try:
            found["listen"] = address(args.listen)
        except ValueError as error:
            raise UsageError(str(error)) from error
    return found


def _serve(
    config: Config,
    read: Callable[[], Config],
    path: Path,
    journal: Journal,
    changed: Callable[[], bool],
) -> int:
    from ubypass.cli.session import Session
    from ubypass.cli.stop import Stop
    from ubypass.engine import control
    from ubypass.service.notify import notify
    from ubypass.service.place import only_one, pause_file
    from ubypass.service.requests import handlers, lasting_handlers
    from ubypass.service.supervisor import Supervisor

    made: list[Supervisor] = []
    hung_up: list[bool] = []

    def supervisor() -> Supervisor:
        if not made:
            raise UbError("the service is still starting", "try again in a moment")
        return made[0]

    directory = control.CONTROL_DIRECTORY
    store = _OpenStore(config.store, journal)
    with (
        contextlib.closing(store),
        Session(
            config.tune,
            shared=store.open,
            log=lambda line: journal.say("engine", message=line),
            handlers=handlers(supervisor, str(path)),
            lasting=lasting_handlers(supervisor),
        ) as session,
        only_one(directory),
        Stop(session.loop, hangup=lambda: hung_up.append(True)) as stop,
        contextlib.closing(_Publisher(config, journal)) as publisher,
    ):
        engine = session.engine
        assert engine is not None
        made.append(
            Supervisor(
                engine,
                config,
                journal,
                read_config=read,
                apply=lambda new: _apply(session, publisher, store, new),
                publish=publisher.publish,
                pause_file=pause_file(directory),
                store_figures=store.figures,
            )
        )

        def stopped() -> bool:
            if changed():
                hung_up.append(True)
            while hung_up and not stop.asked:
                hung_up.pop()
                with contextlib.suppress(UbError):  # the journal has the error
                    supervisor().reload()
            return stop.asked or session.leaving

        journal.say(
            "started",
            pid=os.getpid(),
            config=str(path),
            rules=len(config.rules),
            paused=bool(supervisor().paused),
        )
        notify(READY="1", STATUS="started")
        supervisor().run(stopped)
        notify(STOPPING="1")
    journal.say("stopped", pid=os.getpid(), programs="native")
    return 0


class _Publisher:
    """Publishes figures to systemd and to Prometheus; logs a repeated failure once."""

    def __init__(self, config: Config, journal: Journal) -> None:
        from ubypass.service.metrics import Exporter

        self._journal = journal
        self._failed = ""
        try:
            self._exporter = Exporter(config.metrics)
        except UbError as error:
            # Programs are boosted without metrics, too.
            self._tell(error)
            self._exporter = Exporter(replace(config.metrics, listen=None))

    def change(self, config: Config) -> None:
        """Apply the metrics of ``config``, or raise ``UbError`` and change nothing."""
        self._exporter.change(config.metrics)

    def publish(self, snapshot: Snapshot) -> None:
        from ubypass.service.notify import notify

        notify(STATUS=_one_line(snapshot))
        try:
            self._exporter.publish(snapshot)
            self._failed = ""
        except UbError as error:
            self._tell(error)

    def close(self) -> None:
        with contextlib.suppress(UbError):
            self._exporter.close()

    def _tell(self, error: UbError) -> None:
        from ubypass.service.journal import Level

        if error.message != self._failed:
            self._failed = error.message
            self._journal.say("metrics-failed", Level.ERROR, reason=error.message)


class _OpenStore:
    """The store that the configuration names, if any."""

    def __init__(self, store: Store | None, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._shared: SharedTranslations | None = None

    def open(self, abi: Abi) -> SharedTranslations | None:
        """The translations in the store; None without one, or if it cannot be used.

        Programs are boosted without it, too.
        """
        from ubypass.service.journal import Level

        if self._store is None:
            return None
        from ubypass.cli.store.opened import open_shared

        try:
            self._shared = open_shared(self._store, abi, self._warn)
        except UbError as error:
            self._journal.say(
                "store-failed",
                Level.ERROR,
                reason=error.message,
                hint=error.hint or None,
            )
        return self._shared

    def figures(self) -> Mapping[str, int] | None:
        """Counters; None without a store."""
        return None if self._shared is None else self._shared.figures.as_json()

    def change(self, store: Store | None) -> None:
        """Tell that another store is used from the next start on."""
        if store != self._store:
            self._warn("[store] has changed: that takes effect at the next start")

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()

    def _warn(self, line: str) -> None:
        from ubypass.service.journal import Level

        self._journal.say("store", Level.WARNING, message=line)


def _apply(
    session: Session, publisher: _Publisher, store: _OpenStore, config: Config
) -> None:
    """Set the tunables of ``config``; others keep their values."""
    publisher.change(config)
    store.change(config.store)
    for what, value in config.tune.items():
        session.device.tune(what, value)


def _one_line(snapshot: Snapshot) -> str:
    """The status line for ``systemctl status``."""
    if snapshot.paused:
        return f"paused by the {snapshot.paused}"
    processes = sum(rule.processes for rule in snapshot.rules)
    boosted = sum(rule.boosted for rule in snapshot.rules)
    return f"{processes} processes attached, {boosted} boosted"


VERB = Verb("run", "run the service in the foreground", configure, run)
