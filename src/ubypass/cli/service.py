# SPDX-License-Identifier: GPL-2.0-only
"""``ub service``: one daemon that keeps programs boosted by a configuration.

Exit statuses: 0; 1 for errors; 2 for wrong usage; 3: no service runs (``status`` and
what talks to it); of ``run`` also 69: the module is missing or refuses us, and 78: the
configuration is wrong. Programs run natively then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubypass.errors import UbError, UsageError
from ubypass.files import must_be_writable

if TYPE_CHECKING:
    from ubypass.cli.session import Session
    from ubypass.service.config import Config
    from ubypass.service.figures import Snapshot
    from ubypass.service.journal import Journal
    from ubypass.service.supervisor import Supervisor

__all__ = ["EX_UNAVAILABLE", "HELP", "NAME", "configure", "run"]

NAME = "service"
HELP = "keep programs boosted as /etc/ubypass/config.toml says"

#: EX_UNAVAILABLE of sysexits.h.
EX_UNAVAILABLE = 69

_CONFIG = "/etc/ubypass/config.toml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run = actions.add_parser("run", help="be the service, in the foreground")
    run.add_argument("--json", action="store_true", help="journal lines as JSON")
    run.add_argument(
        "--textfile",
        type=Path,
        metavar="FILE",
        help="write metrics for node_exporter to FILE (default: as the configuration "
        "says, else ubypass.prom in node_exporter's directory if there is one)",
    )
    run.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="serve metrics by HTTP as well, at 127.0.0.1:9464 for instance",
    )
    check = actions.add_parser("check", help="say whether a configuration is right")
    for each in run, check:
        each.add_argument(
            "--config",
            type=Path,
            default=Path(_CONFIG),
            metavar="FILE",
            help=f"the configuration (default: {_CONFIG})",
        )
    status = actions.add_parser("status", help="say what the service does right now")
    actions.add_parser("pause", help="leave all programs native until 'resume'")
    actions.add_parser("resume", help="end a pause")
    actions.add_parser("reload", help="read the configuration anew")
    status.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Do the action; see above for what is returned."""
    if args.action == "run":
        return _run(args)
    if args.action == "check":
        return _check(args.config)
    from ubypass.engine import control
    from ubypass.service.place import ask_service

    question = {"ask": f"service-{args.action}"}
    answer = ask_service(question, control.CONTROL_DIRECTORY)
    if args.action == "status":
        _print_status(answer, as_json=args.json)
    else:
        print(_done(args.action, answer))
    return 0


def _check(path: Path) -> int:
    from ubypass.service.config import load

    config = load(path)
    for warning in config.warnings:
        print(f"{path}: {warning}", file=sys.stderr)
    print(f"{path} is right: {len(config.rules)} rules")
    return 0


# ---- the daemon ---------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from ubypass.service.config import load
    from ubypass.service.journal import Journal, Level

    journal = Journal(
        sys.stderr,
        as_json=args.json,
        levels="JOURNAL_STREAM" in os.environ and not args.json,
    )
    path = args.config.absolute()
    override = _override(args)

    def read() -> Config:
        config = load(path)
        return replace(config, metrics=replace(config.metrics, **override))

    try:
        config = read()
    except UbError as error:
        journal.say("configuration-refused", Level.ERROR, reason=error.message)
        return error.exit_code
    try:
        return _serve(config, read, path, journal)
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
    """What options say of metrics, whatever the configuration does."""
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
    config: Config, read: Callable[[], Config], path: Path, journal: Journal
) -> int:
    from ubypass.cli.session import Session
    from ubypass.cli.stop import Stop
    from ubypass.engine import control
    from ubypass.service.answers import handlers
    from ubypass.service.notify import notify
    from ubypass.service.place import only_one, pause_file
    from ubypass.service.supervisor import Supervisor

    made: list[Supervisor] = []
    hung_up: list[bool] = []

    def supervisor() -> Supervisor:
        if not made:
            raise UbError("the service is just starting", "ask again")
        return made[0]

    directory = control.CONTROL_DIRECTORY
    with (
        Session(
            config.tune,
            log=lambda line: journal.say("engine", message=line),
            handlers=handlers(supervisor, str(path)),
        ) as session,
        only_one(directory),
        Stop(session, hangup=lambda: hung_up.append(True)) as stop,
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
                apply=lambda new: _apply(session, publisher, new),
                publish=publisher.publish,
                pause_file=pause_file(directory),
            )
        )

        def stopped() -> bool:
            while hung_up and not stop.asked:
                hung_up.pop()
                with contextlib.suppress(UbError):  # the journal has it
                    supervisor().reload()
            return stop.asked

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
    """Gives figures to systemd and to Prometheus; what fails is told of once."""

    def __init__(self, config: Config, journal: Journal) -> None:
        from ubypass.service.metrics import Exporter

        self._journal = journal
        self._failed = ""
        try:
            self._exporter = Exporter(config.metrics)
        except UbError as error:
            # Programs are to be boosted all the same.
            self._tell(error)
            self._exporter = Exporter(replace(config.metrics, listen=None))

    def change(self, config: Config) -> None:
        """Raises ``UbError``, and then nothing has changed."""
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


def _apply(session: Session, publisher: _Publisher, config: Config) -> None:
    """Set the module's tunables; those that are not named any more stay."""
    publisher.change(config)
    for what, value in config.tune.items():
        session.device.tune(what, value)


def _one_line(snapshot: Snapshot) -> str:
    """For ``systemctl status``."""
    if snapshot.paused:
        return f"paused by the {snapshot.paused}"
    processes = sum(rule.processes for rule in snapshot.rules)
    boosted = sum(rule.boosted for rule in snapshot.rules)
    return f"{processes} processes attached, {boosted} boosted"


# ---- for people ---------------------------------------------------------------------


def _done(action: str, answer: Any) -> str:
    if action == "pause":
        return "paused: all programs run natively until 'ub service resume'"
    if action == "resume":
        return "resumed"
    return f"reloaded: {len(answer['rules'])} rules"


def _print_status(answer: Any, *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(answer, indent=1))
        return
    paused = answer["paused_by"]
    state = f"paused by the {paused}" if paused else "runs"
    rows = [
        ("service", f"{state}, process {answer['pid']}, since {answer['since']}"),
        ("configuration", f"{answer['config']}, since {answer['config_since']}"),
        ("processes", f"{answer['processes']} attached, {answer['boosted']} boosted"),
        (
            "cost",
            f"{answer['cpu_seconds']:.1f} s of CPU time, "
            f"{answer['memory_bytes'] >> 20} MiB",
        ),
    ]
    if answer["config_error"]:
        rows.insert(2, ("refused", answer["config_error"]))
    if answer["waiting"]:
        rows.append(("waiting", f"{answer['waiting']} more match; a limit is reached"))
    for name, value in rows:
        print(f"{name:<13}  {value}")
    if answer["rules"]:
        _print_rules(answer["rules"])


def _print_rules(rules: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ubypass.cli.tables import console

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("RULE")
    for title in ("ATTACHED", "BOOSTED", "NATIVE", "CALLS", "BYPASS", "SAVED"):
        table.add_column(title, justify="right")
    for rule in rules:
        table.add_row(
            escape(rule["name"]),
            str(rule["processes"]),
            str(rule["boosted"]),
            str(sum(rule["declined"].values())),
            f"{rule['calls']:,}",
            f"{rule['bypass_rate']:.1%}",
            f"{rule['saved_seconds']:.1f} s",
        )
    print()
    console().print(table)
