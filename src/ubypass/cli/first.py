# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` without a verb: the state of this machine, and the next commands.

Changes nothing, needs no privilege, and does not block. Fits 80 columns and 24 lines.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from ubypass.errors import UbError
from ubypass.places import packaged
from ubypass.version import VERSION

__all__ = ["STATE_VERSION", "run", "screen", "state"]

#: Version of the output of ``ub --json``; new keys do not change it.
STATE_VERSION = 1

_ASK_SECONDS = 2.0
_SHOWN = 2  # boosted processes that are named
_WIDTH = 80


def run(*, as_json: bool) -> int:
    """Print the state; always 0."""
    found = state()
    print(json.dumps(found, indent=1) if as_json else "\n".join(screen(found)))
    return 0


def state() -> dict[str, Any]:
    """The state of this machine.

    ``boosted`` is None if it is unknown, for the reason ``why``.
    """
    processes, why = _boosted()
    return {
        "version": STATE_VERSION,
        "ub": VERSION,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "packaged": packaged(),
        "root": os.geteuid() == 0,
        "module": _module(platform.release()),
        "service": _service(),
        "boosted": processes,
        "why": why,
    }


def _module(release: str) -> dict[str, Any]:
    """``state``: loaded, loadable (a file for this kernel exists), or absent.

    ``get``: the command that provides it.
    """
    from ubypass.cli.module.files import how_to_get, is_loaded, loadable

    found = loadable(release)
    file = str(found) if found.is_file() else None
    absent = "loadable" if file else "absent"
    return {
        "state": "loaded" if is_loaded() else absent,
        "file": file,
        "get": how_to_get(release),
    }


def _service() -> dict[str, Any]:
    from ubypass.engine import control
    from ubypass.service.config import CONFIG_FILE

    link = control.CONTROL_DIRECTORY / "service"
    running: bool | None
    try:
        running = os.path.lexists(link) if _may_look(link.parent) else None
    except OSError:
        running = None
    return {"running": running, "configured": CONFIG_FILE.exists()}


def _may_look(directory: Path) -> bool:
    return not directory.exists() or os.access(directory, os.X_OK)


def _boosted() -> tuple[list[dict[str, Any]] | None, str]:
    """Processes attached to engines (None: unknown), and an error or ""."""
    from ubypass.engine import control

    found: list[list[Any]] = []
    errors: list[UbError] = []

    def ask() -> None:
        try:
            answers, silent = control.ask_all({"ask": "stats"})
            errors.extend(silent)
            found.append([p for answer in answers for p in answer["processes"]])
        except UbError as error:
            errors.append(error)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_ASK_SECONDS)
    why = errors[0].message if errors else "" if found else "engines are busy: ub stats"
    if not found:
        return None, why
    keys = ("pid", "name", "calls", "dispatched", "bypass_rate", "regions")
    rows = [{key: process[key] for key in keys} for process in found[0]]
    return sorted(rows, key=lambda row: -row["dispatched"]), why


# ---- for people ---------------------------------------------------------------------


def screen(found: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal."""
    facts = [
        ("kernel", f"{found['kernel']} ({found['machine']})"),
        ("module", _of_module(found["module"])),
        ("service", _of_service(found["service"])),
        ("boosted", _of_boosted(found["boosted"], found["why"])),
    ]
    wishes = _wishes(found)
    return [
        _cut(line)
        for line in (
            f"ubypass {found['ub']}: faster system calls for unmodified programs",
            "",
            *(f"  {name:<8} {value}" for name, value in facts),
            "",
            *(f"  {wish:<17} {command:<22} {what}" for wish, command, what in wishes),
            "",
            "  'ub --help' lists all commands, 'ub COMMAND --help' explains one.",
        )
    ]


def _of_module(module: Mapping[str, Any]) -> str:
    return {
        "loaded": "loaded",
        "loadable": "available for this kernel, not loaded",
        "absent": "not built for this kernel",
    }[module["state"]]


def _of_service(service: Mapping[str, Any]) -> str:
    if service["running"] is None:
        return "unknown (visible to root only)"
    if service["running"]:
        return "running; see: ub service status"
    return "not running" + ("" if service["configured"] else ", not configured")


def _of_boosted(processes: Sequence[Mapping[str, Any]] | None, why: str) -> str:
    if processes is None:
        return why
    if not processes:
        return "none"
    shown = ", ".join(
        f"{each['name']} {each['pid']} ({each['bypass_rate']:.0%})"
        for each in processes[:_SHOWN]
    )
    more = len(processes) - _SHOWN
    return shown + (f" and {more} more" if more > 0 else "")


def _wishes(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = [
        ("Would it help?", "ub estimate [PID]", "running programs, without the module"),
        ("Try it safely", "ub lab run -- COMMAND", "in a virtual machine"),
    ]
    build = ("Use it: build,", "ub module build", "for this kernel")
    if found["packaged"]:
        build = ("Use it: install,", found["module"]["get"], "")
    load = ("load,", "ub module load", "needs root, as all below")
    module = found["module"]["state"]
    if module == "absent":
        rows += [build, ("then " + load[0], *load[1:])]
    elif module == "loadable":
        rows.append(("Use it: load,", *load[1:]))
    permanently = ("or permanently", "ub service run", "by /etc/ubypass/config.toml")
    if found["packaged"]:
        permanently = (
            permanently[0],
            "systemctl enable --now ubypass",
            "(config.toml)",
        )
    rows += [
        ("Boost a command", "ub run -- COMMAND", "from its start to its end"),
        ("or a process", "ub attach PID", "until Ctrl-C"),
        permanently,
        ("Watch it", "ub top", "calls, and the share dispatched"),
        ("Why native?", "ub explain PID", "decisions, regions, exits"),
    ]
    if module != "loaded":
        rows.append(("What is missing?", "ub doctor", "and how to get it"))
    return rows


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
