# SPDX-License-Identifier: GPL-2.0-only
"""The Ansible role on a fresh Debian in a directory, by the Ansible of that Debian.

Checked, installed, run again, configured wrongly, switched on, removed. Nothing is
loaded into the kernel, which is that of this machine: the module is not there when it
is asked for, and where the service has to be well a recorded answer says so.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fresh.listing import difference, listing
from tests.fresh.machine import Done, Failed, Machine, fresh
from tests.places import ROOT

__all__ = ["life"]

_PLAYS = ROOT / "deploy" / "ansible"
_QUIET = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0"
_ANSIBLE = (
    "ANSIBLE_HOME=/tmp/ansible ANSIBLE_LOCAL_TEMP=/tmp/ansible "
    "ANSIBLE_REMOTE_TEMP=/tmp ANSIBLE_NOCOLOR=1 PYTHONDONTWRITEBYTECODE=1 "
    # systemctl is told of units, and has no systemd to talk to.
    "debian_chroot=test SYSTEMD_OFFLINE=1"
)
_RULES = {"limits": {"cpu_percent": 5}, "rule": [{"name": "a", "exe": "/usr/bin/ä*"}]}
_UNITS = "multi-user.target.wants/ubypass.service"
_RECAP = re.compile(r"^(\w+) +: ok=(\d+) +changed=(\d+) .*?failed=(\d+)", re.MULTILINE)

_WELL = {
    "selftest": {"ok": True, "words": "all is well", "calls": 2, "dispatched": 1},
    "status": {"config_error": None, "paused_by": None},
}
#: Answers as ``ub`` gives them, which this machine's kernel cannot.
_PLAYED = """#!/bin/sh
case "$1 $2" in
"selftest "*) echo '{selftest}' ;;
"service status") echo '{status}' ;;
"module "*) ;;
*) exec /usr/bin/ub.real "$@" ;;
esac
"""


@dataclass(frozen=True)
class _Play:
    """How a play ended. ``changed`` and ``failed``: tasks, by host."""

    done: Done
    changed: Mapping[str, int]
    failed: Mapping[str, int]


class _Fleet:
    """Two hosts of an inventory that are one machine: the canary and another."""

    def __init__(self, machine: Machine, debs: list[Path]) -> None:
        self.machine = machine
        self._usual = {"ubypass_debs": [str(path) for path in debs]}
        hosts = dict.fromkeys(("canary", "other"), None)
        local = {"ansible_connection": "local", "ansible_python_interpreter": "auto"}
        inventory = {"ubypass": {"hosts": hosts, "vars": local}}
        (machine.root / "tmp" / "inventory.json").write_text(json.dumps(inventory))

    def play(self, *, check: bool = False, **variables: Any) -> _Play:
        given = json.dumps({**self._usual, **variables})
        (self.machine.root / "tmp" / "variables.json").write_text(given)
        words = ["ansible-playbook -i /tmp/inventory.json -e @/tmp/variables.json"]
        words += ["--check --diff"] if check else []
        done = self.machine.type(f"{_ANSIBLE} {' '.join(words)} {_PLAYS}/site.yml")
        rows = _RECAP.findall(done.output)
        return _Play(
            done,
            {host: int(changed) for host, _, changed, _ in rows},
            {host: int(failed) for host, _, _, failed in rows},
        )

    def succeeds(self, **how: Any) -> _Play:
        found = self.play(**how)
        if found.done.status != 0 or set(found.failed) != {"canary", "other"}:
            raise Failed(f"a play failed:\n{_end(found.done)}")
        return found


def life(place: Path, debs: list[Path], suite: str) -> None:
    """Raises Failed where an administrator would complain."""
    if Path("/sys/module/ub").exists():
        raise Failed("the module is loaded here, and would be unloaded: do so first")
    machine = fresh(place, ROOT, f"fleet-{suite}", security=True, suite=suite)
    machine.succeeds(f"{_QUIET} update")
    words = " ".join(map(str, debs))
    simulated = machine.succeeds(
        f"{_QUIET} --no-install-recommends -s install {words} linux-headers-amd64"
    )
    names = re.findall(r"^Inst (\S+)", simulated.output, re.MULTILINE)
    needed = " ".join(name for name in names if not name.startswith("ubypass"))
    machine.succeeds(
        f"{_QUIET} --no-install-recommends install {needed} "
        "ansible-core python3-apt systemd"
    )
    (release,) = (machine.root / "usr/lib/modules").iterdir()
    machine.succeeds(f"depmod {release.name}")
    fleet = _Fleet(machine, debs)
    before = listing(machine.root)
    _installs(fleet, before)
    module = next((machine.root / "usr/lib/modules").rglob("ub.ko*"))
    _stays_off(fleet, module)
    _switches(fleet)
    _leaves(fleet, before)
    shutil.rmtree(machine.root)


def _installs(fleet: _Fleet, before: dict[str, str]) -> None:
    root = fleet.machine.root
    played = fleet.succeeds(check=True, ubypass_config=_RULES, ubypass_enabled=True)
    _same(before, listing(root), "a check of a bare machine")
    if not played.changed["canary"]:
        raise Failed("a check of a bare machine says that nothing is to be done")
    print("  a check of a bare machine changes nothing", flush=True)

    fleet.succeeds(ubypass_config=_RULES)
    said = fleet.machine.succeeds("ub service check").output
    if "1 rules" not in said:
        raise Failed(f"the configuration is not what was asked for: {said}")
    if _UNITS in fleet.machine.units():
        raise Failed("the service is on, and nobody has asked for that")
    said = fleet.machine.succeeds(
        f"{_ANSIBLE} ansible -i /tmp/inventory.json canary -m setup "
        "-a filter=ansible_local"
    ).output
    facts = json.loads(said[said.index("{") :])["ansible_facts"]["ansible_local"]
    if {"this_kernel", "checks"} - facts["ubypass"].keys():
        raise Failed(f"local facts: {facts}")
    if not facts["ubypass"]["checks"]:
        raise Failed("the local fact does not say what ub doctor does")
    installed = listing(root)
    for check in False, True:
        played = fleet.succeeds(check=check, ubypass_config=_RULES)
        if any(played.changed.values()):
            raise Failed(f"another time changes something:\n{_end(played.done)}")
    _same(installed, listing(root), "another time")
    print("  installed; another time changes nothing", flush=True)

    wrong = {"rule": [{"name": "everything"}]}
    played = fleet.play(ubypass_config=wrong)
    if played.done.status == 0 or "would match every process" not in played.done.output:
        raise Failed(f"a wrong configuration is not refused:\n{_end(played.done)}")
    _same(installed, listing(root), "a wrong configuration")
    print("  a wrong configuration is refused, and the old one stays", flush=True)


def _stays_off(fleet: _Fleet, module: Path) -> None:
    """Without a module the canary fails, and nobody else is touched."""
    hidden = module.rename(module.with_name("hidden"))
    try:
        played = fleet.play(ubypass_enabled=True)
    finally:
        hidden.rename(module)
    _ended_at_the_canary(fleet, played, "no module")
    print("  without the module the canary ends the play", flush=True)


def _switches(fleet: _Fleet) -> None:
    """Verdicts and their consequences, by recorded answers."""
    tool = fleet.machine.root / "usr/bin/ub"
    real = tool.rename(tool.with_name("ub.real"))
    try:
        _answer(tool, _WELL)
        fleet.succeeds(ubypass_enabled=True)
        if _UNITS not in fleet.machine.units():
            raise Failed("all is well, and the service is not on")
        again = fleet.succeeds(check=True, ubypass_enabled=True)
        if any(again.changed.values()):
            raise Failed(f"it is on, and a check would:\n{_end(again.done)}")
        print("  all is well: the service is on everywhere", flush=True)
        for part, key, value, words in (
            ("selftest", "ok", False, "all is well"),
            ("status", "config_error", "config.toml:3: no", "config.toml:3: no"),
            ("status", "paused_by", "operator", "paused by the operator"),
        ):
            answers = {**_WELL, part: {**_WELL[part], key: value}}
            _answer(tool, answers)
            played = fleet.play(ubypass_enabled=True)
            _ended_at_the_canary(fleet, played, words)
        print("  what is not well switches the service off", flush=True)
    finally:
        real.rename(tool)


def _answer(tool: Path, answers: Mapping[str, Mapping[str, Any]]) -> None:
    text = _PLAYED
    for part, answer in answers.items():
        text = text.replace(f"{{{part}}}", json.dumps(answer))
    tool.write_text(text)
    tool.chmod(0o755)


def _ended_at_the_canary(fleet: _Fleet, played: _Play, words: str) -> None:
    if played.done.status == 0 or set(played.failed) != {"canary"}:
        raise Failed(f"the play goes on after the canary:\n{_end(played.done)}")
    if words not in played.done.output or "it is not well on canary" not in (
        " ".join(played.done.output.split())
    ):
        raise Failed(f"the play does not say why it ends:\n{_end(played.done)}")
    if _UNITS in fleet.machine.units():
        raise Failed("the canary is not well, and the service is still on")


def _leaves(fleet: _Fleet, before: dict[str, str]) -> None:
    root = fleet.machine.root
    installed = listing(root)
    fleet.succeeds(check=True, ubypass_state="absent")
    _same(installed, listing(root), "a check of the removal")
    fleet.succeeds(ubypass_state="absent")
    _same(before, listing(root), "the removal")
    for place in "var/cache/ubypass", "var/cache/ubypass-debs", "run/ubypass":
        if (root / place).exists():
            raise Failed(f"removed, and /{place} is still there")
    played = fleet.succeeds(ubypass_state="absent")
    if any(played.changed.values()):
        raise Failed(f"removed, and there is something left:\n{_end(played.done)}")
    print("  removed: no file is left", flush=True)


def _same(before: dict[str, str], after: dict[str, str], what: str) -> None:
    if changes := difference(before, after):
        shown = "\n".join(f"    {line}" for line in changes[:20])
        raise Failed(f"{len(changes)} files differ after {what}:\n{shown}")


def _end(done: Done) -> str:
    return "\n".join(f"    {line}" for line in done.output.splitlines()[-40:])
