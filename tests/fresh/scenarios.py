# SPDX-License-Identifier: GPL-2.0-only
"""What newcomers do. Each scenario gets a machine and raises Failed where it hurts.

A scenario says by its ``SECURITY`` entry whether apt has Debian's updates or, as right
after debootstrap, the main suite alone, whose kernel is older.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fresh.machine import Done, Failed, Machine

__all__ = ["OPTIONAL", "SCENARIOS", "SECURITY", "Scenario"]

Scenario = Callable[[Machine], None]

_WIDTH = 80
#: Lines before the table: one for each thing that takes a while, and their results.
_LINES_BEFORE = 15
_MASK = "/dev/null"
_SERVERS = ("nginx", "redis-server", "lighttpd", "memcached")


def _clone(machine: Machine, to: str = "ubypass", **how: str) -> None:
    machine.succeeds(f"git clone --quiet {machine.source} '{to}'", **how)


def _demo(machine: Machine, **how: object) -> Done:
    """The demo; it must show a gain, and nothing that is no use to a newcomer."""
    done = machine.succeeds("make demo", **how)
    lines = done.output.splitlines()
    start = next((n for n, line in enumerate(lines) if "instructions" in line), None)
    if start is None or "fewer" not in done.output:
        raise Failed("the demo ends well and shows no gain")
    if re.search(r"[^0-9.]0\.0%", done.output):
        raise Failed("the demo ends well, and a loop was not boosted")
    # On a terminal, what is measured is one line that changes.
    shown = [line for line in lines[:start] if not line.startswith("bench: ")]
    if len(shown) > _LINES_BEFORE:
        raise Failed(f"{len(shown)} lines before there is a result")
    if long := [line for line in lines if len(line) > _WIDTH]:
        raise Failed(f"a line of {len(long[0])} columns: {long[0]}")
    if "activate" not in done.output:
        raise Failed("nobody says how ub is called")
    machine.succeeds(". .venv/bin/activate && ub --version", **how)
    machine.typed.pop()
    return done


def _only_what_the_demo_needs(machine: Machine, cwd: str, before: set[str]) -> None:
    def listed(purpose: str) -> set[str]:
        done = machine.succeeds(f"tools/packages.sh --list {purpose}", cwd=cwd)
        machine.typed.pop()
        return set(done.output.split())

    more = (listed("test") - listed("run")) & (machine.packages() - before)
    if more:
        raise Failed(f"the demo installed {', '.join(sorted(more))}")


def root(machine: Machine) -> None:
    """Root, and later without a network."""
    before, units = machine.packages(), machine.units()
    _clone(machine)
    _demo(machine, cwd="/root/ubypass")
    _only_what_the_demo_needs(machine, "/root/ubypass", before)
    if machine.units() != units:
        raise Failed("the demo changed what is started at boot")
    _demo(machine, cwd="/root/ubypass", offline=True)
    machine.succeeds(
        ". .venv/bin/activate && ub doctor --json || [ $? = 1 ]",
        cwd="/root/ubypass",
        offline=True,
    )


def user(machine: Machine) -> None:
    """A user, who asks root for packages and for nothing else."""
    machine.add_user("newcomer")
    home = "/home/newcomer/ubypass"
    _clone(machine, user="newcomer")
    refused = machine.type("make demo", user="newcomer", cwd=home)
    told = re.search(r"^ +(apt-get update.*)$", refused.output, re.MULTILINE)
    if refused.status == 0 or told is None:
        raise Failed(f"a user is not told what to install:\n{refused.output}")
    machine.succeeds(told.group(1))
    _demo(machine, user="newcomer", cwd=home)
    _demo(machine, user="newcomer", cwd=home, offline=True)


def both(machine: Machine) -> None:
    """Root first and a user later, in root's checkout and in the user's own."""
    machine.add_user("newcomer")
    _clone(machine, "/srv/ubypass")
    _demo(machine, cwd="/srv/ubypass")
    _demo(machine, user="newcomer", cwd="/srv/ubypass")
    home = "/home/newcomer/ubypass"
    _clone(machine, user="newcomer")
    _demo(machine, cwd=home)
    _demo(machine, user="newcomer", cwd=home)


def space(machine: Machine) -> None:
    """A checkout in a path with a space."""
    _clone(machine, "my projects/ubypass")
    _demo(machine, cwd="/root/my projects/ubypass")


def servers(machine: Machine) -> None:
    """Packages with servers, which the bench needs, start nothing, now or at boot."""
    _clone(machine)
    machine.succeeds("tools/packages.sh bench", cwd="/root/ubypass")
    units = machine.units()
    for name in _SERVERS:
        if name not in machine.packages():
            raise Failed(f"{name} is not installed")
        if units.get(f"{name}.service") != _MASK:
            raise Failed(f"{name}.service is not masked: {units}")
    if (machine.root / "usr/sbin/policy-rc.d").exists():
        raise Failed("the policy for the time of the installation is still there")


def administrator(machine: Machine) -> None:
    """A server that was there before stays as it was."""
    machine.succeeds("apt-get update -qq && apt-get install -qq -y nginx >/dev/null")
    _clone(machine)
    units = machine.units()
    machine.succeeds("tools/packages.sh bench", cwd="/root/ubypass")
    found = machine.units()
    changed = {n for n in units | found if units.get(n) != found.get(n)}
    new = tuple(name for name in _SERVERS if name != "nginx")
    # As redis.service, another name of redis-server.service.
    if other := {n for n in changed if not n.startswith((*new, "redis"))}:
        raise Failed(f"changed: {', '.join(sorted(other))}")
    if found.get("redis-server.service") != _MASK:
        raise Failed("redis-server.service is not masked")


def suite(machine: Machine) -> None:
    """Everything: the second of the two commands."""
    _clone(machine)
    machine.succeeds("make test", cwd="/root/ubypass", timeout=4 * 3600)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (root, user, both, space, servers, administrator, suite)
}

#: Run only if asked for: it takes as long as it takes.
OPTIONAL = frozenset({"suite"})

SECURITY = {
    "root": False,
    "user": True,
    "both": True,
    "space": True,
    "servers": True,
    "administrator": False,
    "suite": True,
}
