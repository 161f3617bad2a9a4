# SPDX-License-Identifier: GPL-2.0-only
"""Who is attached and who is let go, by rules, limits and what operators ask for."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.open_files import open_files
from tests.service.played import House, program, running
from ubypass.device.types import Event, Stats
from ubypass.device.uapi import Decline, EventType
from ubypass.engine import control
from ubypass.errors import UbError
from ubypass.process.status import descendants, identify
from ubypass.service import scan as scan_module
from ubypass.service import supervisor as supervisor_module
from ubypass.service.labels import Labels
from ubypass.service.leases import REQUEST_RULE, Lease
from ubypass.service.requests import handlers
from ubypass.service.rules import Facts

Build = Callable[..., House]


@pytest.fixture
def house() -> Iterator[Build]:
    made: list[House] = []

    def build(text: str, pause_file: Path | None = None) -> House:
        made.append(House(text, pause_file))
        return made[-1]

    yield build
    for each in made:
        each.close()


def _rule(path: Path, more: str = "", name: str = "a") -> str:
    return f'[[rule]]\nname = "{name}"\nexe = "{path}"\n{more}\n'


def test_what_matches_is_attached_and_nothing_else(
    tmp_path: Path, house: Build
) -> None:
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    here = house(_rule(one))
    with running(one, 2) as wanted, running(other):
        here.until(lambda: len(here.pids) == 2)
        here.look()
        assert here.pids == sorted(child.pid for child in wanted)
    assert f"event=attached pid={here.pids[0]} name=one rule=a" in here.lines


def test_who_comes_later_is_attached_and_who_goes_is_counted(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    here.look()
    with running(one):
        here.device.counters = Stats(native=10, dispatched=90)
        here.until(lambda: len(here.pids) == 1)
    here.until(lambda: not here.pids)
    (rule,) = here.supervisor.snapshot().rules
    assert (rule.processes, rule.attached, rule.ended) == (0, 1, {"ended": 1})
    assert (rule.totals.native, rule.totals.dispatched) == (10, 90)
    assert "reason=ended dispatched=90 bypass_rate=0.9" in here.lines[-1]


def test_a_rule_may_say_no(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    other = program(tmp_path, "other")
    here = house(
        _rule(one, "boost = false", name="never") + _rule(tmp_path / "*", name="all")
    )
    with running(one), running(other) as (child,):
        here.until(lambda: bool(here.pids))
        here.look()
        assert here.pids == [child.pid]


def test_a_program_that_becomes_another_is_let_go(tmp_path: Path, house: Build) -> None:
    """By exec, which the played device does not tell of."""
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    shell = tmp_path / "sh"
    shell.symlink_to("/bin/sh")
    text = _rule(Path(os.path.realpath(shell)), 'user = "nobody"', name="no")
    here = house(text + _rule(one))
    script = f"read line < {gate}; exec {other} 60"
    with running(one) as (first,), subprocess.Popen(["sh", "-c", script]) as child:
        here.until(lambda: here.pids == [first.pid])
        gate.write_text("\n")
        here.text = _rule(other)
        here.supervisor.reload()
        here.until(lambda: here.pids == [child.pid])
        child.kill()
    assert any("reason=reload" in line for line in here.lines)


def test_a_reload_lets_go_who_does_not_match_any_more(
    tmp_path: Path, house: Build
) -> None:
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    here = house(_rule(one, name="a") + _rule(other, name="b"))
    with running(one) as (first,), running(other) as (second,):
        here.until(lambda: len(here.pids) == 2)
        here.text = _rule(other, name="c")
        here.supervisor.reload()
        assert here.pids == [second.pid]
        assert here.device.detached == [
            proc for proc, pid in here.device.attached.items() if pid == first.pid
        ]
        (rule,) = here.supervisor.snapshot().rules
        assert (rule.name, rule.processes) == ("c", 1)
    assert len(here.applied) == 1


def test_a_broken_configuration_changes_nothing(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one) as (child,):
        here.until(lambda: bool(here.pids))
        here.text = "[[rule]]\nname = 'b'\n"
        with pytest.raises(UbError, match=r"^/etc/ubypass/config.toml:1: rule 'b'"):
            here.supervisor.reload()
        here.look()
        assert here.pids == [child.pid]
    snapshot = here.supervisor.snapshot()
    assert snapshot.reloads == {"success": 0, "failure": 1}
    assert "config.toml:1" in snapshot.reload_error
    assert here.lines[-1].startswith('event=reload-refused reason="/etc/ubypass/')
    here.text = _rule(one)
    here.supervisor.reload()
    assert here.supervisor.snapshot().reload_error == ""


def test_what_cannot_be_applied_changes_nothing(tmp_path: Path, house: Build) -> None:
    here = house("")

    def fail(config: object) -> None:
        raise UbError("the module refuses")

    here.supervisor._apply = fail
    here.text = _rule(tmp_path / "one")
    with pytest.raises(UbError, match="the module refuses"):
        here.supervisor.reload()
    assert here.supervisor.snapshot().rules == ()


def test_a_pause_lets_everything_go_until_it_ends(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    flag = tmp_path / "paused"
    here = house(_rule(one), flag)
    with running(one) as (child,):
        here.until(lambda: bool(here.pids))
        here.supervisor.pause()
        assert here.pids == []
        here.look()
        assert here.pids == []
        assert here.supervisor.paused == "operator"
        # The next daemon knows of it.
        assert house(_rule(one), flag).supervisor.paused == "operator"
        here.supervisor.resume()
        assert here.supervisor.paused == ""
        here.until(lambda: here.pids == [child.pid])
        assert child.poll() is None
    assert house(_rule(one), flag).supervisor.paused == ""


def test_a_pause_that_the_next_daemon_will_not_know_of(
    tmp_path: Path, house: Build
) -> None:
    here = house("", tmp_path / "missing" / "paused")
    with pytest.raises(UbError, match="only until the next start"):
        here.supervisor.pause()
    assert here.supervisor.paused == "operator"


def test_a_process_is_released_whatever_the_rules_say(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one, 2) as children:
        here.until(lambda: len(here.pids) == 2)
        pid, other = here.pids
        here.supervisor.release(pid)
        here.look()
        here.supervisor.reload()
        assert here.pids == [other]
        with pytest.raises(UbError, match=f"{pid} is not attached"):
            here.supervisor.release(pid)
        assert all(child.poll() is None for child in children)
    assert any("reason=released" in line for line in here.lines)


def test_the_configuration_may_pause(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one):
        here.until(lambda: bool(here.pids))
        here.text = "[service]\npaused = true\n" + _rule(one)
        here.supervisor.reload()
        assert here.pids == []
        assert here.supervisor.paused == "configuration"
        with pytest.raises(UbError, match="paused = true"):
            here.supervisor.resume()


def test_limits_keep_processes_waiting(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("[limits]\nprocesses = 2\n" + _rule(one))
    with running(one, 3) as children:
        here.until(lambda: here.supervisor.snapshot().waiting == 1)
        assert len(here.pids) == 2
        here.look()
        limits = [line for line in here.lines if "event=limit" in line]
        assert limits[-1] == "event=limit reached=processes waiting=1"
        children[0].kill()
        children[1].kill()
        here.until(lambda: here.pids == [children[2].pid])


def test_memory_is_a_limit(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("[limits]\nmemory_mib = 64\n" + _rule(one))
    here.memory = 65 << 20
    with running(one):
        here.until(lambda: here.supervisor.snapshot().waiting == 1)
        assert here.pids == []
        here.memory = 10 << 20
        here.until(lambda: len(here.pids) == 1)


def test_who_is_refused_is_told_of_once_and_tried_again(
    tmp_path: Path, house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    attach = here.device.attach

    def refuse(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        raise UbError(f"process {pid} is already attached")

    monkeypatch.setattr(here.device, "attach", refuse)
    monkeypatch.setattr(supervisor_module, "_RETRY", 0.01)
    with running(one) as (child,):
        here.until(lambda: here.supervisor.snapshot().refused.get("a", 0) >= 3)
        refused = [line for line in here.lines if "refused" in line]
        assert refused == [
            f"event=refused pid={child.pid} rule=a "
            f'reason="process {child.pid} is already attached"'
        ]
        monkeypatch.setattr(here.device, "attach", attach)
        here.until(lambda: here.pids == [child.pid])


def test_a_rule_may_trust_what_matches(tmp_path: Path, house: Build) -> None:
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    here = house(_rule(one, "trust = true") + _rule(other, name="b"))
    with running(one) as (first,), running(other):
        here.until(lambda: len(here.pids) == 2)
        assert here.device.trusted == {first.pid}
    told = [line for line in here.lines if "event=attached" in line]
    assert sum("trusted=yes" in line for line in told) == 1
    assert f"pid={first.pid} name=one rule=a trusted=yes" in " ".join(told)


def test_trust_that_changes_is_for_a_new_attachment(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one) as (child,):
        here.until(lambda: here.pids == [child.pid])
        assert not here.device.trusted
        for more in ("trust = true", ""):
            here.device.trusted.clear()
            before = len(here.device.attached)
            here.text = _rule(one, more)
            here.supervisor.reload()
            here.until(lambda: here.pids == [child.pid])
            assert len(here.device.attached) == before + 1
            assert here.device.trusted == ({child.pid} if more else set())
        here.look()
        assert len(here.device.attached) == 3


def test_what_a_trusted_program_starts_is_not_trusted(
    tmp_path: Path, house: Build
) -> None:
    parent = Path(os.path.realpath("/bin/sh"))
    user = f'user = "{os.geteuid()}"\ncgroup = "*"'
    with _shell("sleep 60 & echo; wait") as shell:
        here = house(_rule(parent, f"{user}\nchildren = true\ntrust = true"))
        here.until(lambda: shell.pid in here.pids and bool(descendants(shell.pid)))
        (child,) = descendants(shell.pid)
        here.until(lambda: child in here.pids)
        assert shell.pid in here.device.trusted
        assert child not in here.device.trusted


def test_one_that_executes_another_program_meanwhile_is_not_trusted(
    tmp_path: Path, house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the process and its attachment."""
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    here = house(_rule(one, "trust = true"))
    read = supervisor_module.read_facts

    def changed(pid: int) -> Facts | None:
        facts = read(pid)
        return None if facts is None else replace(facts, exe=str(other))

    with running(one) as (child,):
        monkeypatch.setattr(supervisor_module, "read_facts", changed)
        here.look()
        assert here.device.trusted == {child.pid}
        assert here.pids == []
        assert here.device.detached == [1]
        monkeypatch.undo()
        here.until(lambda: here.pids == [child.pid])


def _runs(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe") == str(path)
    return False


@contextlib.contextmanager
def _shell(script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell in a process group of its own, which ends with it."""
    with subprocess.Popen(["sh", "-c", script], process_group=0) as shell:
        try:
            yield shell
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


@pytest.mark.parametrize("children", [True, False])
def test_descendants_are_boosted_if_the_rule_says_so(
    tmp_path: Path, house: Build, children: bool
) -> None:
    parent = tmp_path / "parent"
    parent.write_bytes(Path(os.path.realpath("/bin/sh")).read_bytes())
    parent.chmod(0o755)
    other = program(tmp_path, "other")
    here = house(_rule(parent, f"children = {str(children).lower()}"))
    command = f"{parent} -c '{other} 60 & wait; true'"
    with _shell(command) as shell:
        # The played device tells of no births: the child is there before.
        while not any(_runs(pid, other) for pid in descendants(shell.pid)):
            time.sleep(0.01)
        here.until(lambda: len(here.pids) == 1 + children)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            here.engine.step(0.02)
            here.look()
        assert len(here.pids) == 1 + children
        if children:
            here.text = _rule(parent)
            here.supervisor.reload()
            assert len(here.pids) == 1


def test_a_child_that_a_rule_forbids_is_not_attached(
    tmp_path: Path, house: Build
) -> None:
    one, other = program(tmp_path, "one"), program(tmp_path, "other")
    here = house(_rule(other, "boost = false", name="never") + _rule(one))
    with running(one) as (first,), running(other) as (second,):
        here.until(lambda: here.pids == [first.pid])
        # The engine hears of a birth and asks.
        here.device.send(Event(EventType.FORK, 1, target=second.pid))
        here.engine.step(0.01)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            here.engine.step(0.02)
        assert here.pids == [first.pid]


def test_why_programs_are_native_is_counted(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one):
        here.until(lambda: bool(here.pids))
        here.device.counters = Stats(
            declined=7, declines={Decline.SECCOMP: 7}, always=Decline.SECCOMP
        )
        (rule,) = here.supervisor.snapshot().rules
        assert rule.declined == {"seccomp": 1}
        assert rule.totals.declines == {"seccomp": 7}


def test_two_hundred_come_and_go_and_nothing_is_kept(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house("[limits]\nprocesses = 200\n" + _rule(one))
    here.look()
    before: set[tuple[str, str]] = set()
    for turn in range(3):
        with running(one, 200):
            here.until(lambda: len(here.pids) == 200)
        here.until(lambda: not here.pids)
        here.look()
        gc.collect()
        own = here.supervisor
        kept = [own._wanted, own._attached, own._admitted, here.engine.targets]
        kept += [here.engine.summaries(), here.engine._pidfds, here.engine._parents]
        assert [len(each) for each in kept] == [0] * len(kept)
        before = before if turn else open_files()
        assert not open_files() - before
    (rule,) = here.supervisor.snapshot().rules
    assert (rule.attached, rule.ended) == (600, {"ended": 600})


def test_a_thousand_reloads_keep_nothing(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one):
        here.until(lambda: bool(here.pids))
        before = open_files()
        for number in range(1000):
            # By turns it matches, and rules have other names each time.
            path = one if number % 2 else tmp_path / "nothing"
            here.text = _rule(path, name=f"r{number}")
            here.supervisor.reload()
        assert len(here.pids) == 1
        assert not open_files() - before
        own = here.supervisor
        for counts in (own._totals, own._attachments, own._ended, own._refused):
            assert set(counts) <= {"r999"}
        assert len(here.engine._pidfds) == 1


def test_figures_are_published_at_intervals(tmp_path: Path, house: Build) -> None:
    here = house("[metrics]\ninterval_seconds = 1\n")
    here.supervisor.run(lambda: len(here.figures) == 2)
    assert here.figures[1].time - here.figures[0].time > 0.9


def test_warnings_are_told_of(house: Build) -> None:
    here = house('[[rule]]\nname = "x"\nuser = "no-such-user"')
    here.supervisor.run(lambda: True)
    assert "there is no user" in here.lines[0]


def test_too_much_cpu_time_is_followed_by_rest(house: Build) -> None:
    here = house("[limits]\ncpu_percent = 1\n")
    own = here.supervisor
    own._throttle._credit = -0.003  # 0.3 s at one per cent
    steps = 0

    def stopped() -> bool:
        nonlocal steps
        steps += 1
        return steps > 2

    own.run(stopped)
    assert own.snapshot().throttled_seconds > 0.1


def test_an_operator_need_not_wait_for_the_end_of_a_rest(
    tmp_path: Path, house: Build
) -> None:
    one, directory = program(tmp_path, "one"), tmp_path / "run"
    directory.mkdir(mode=0o700)
    here = house("[limits]\ncpu_percent = 1\n" + _rule(one))
    own = here.supervisor
    answers: list[Any] = []
    over: list[bool] = []

    def pause() -> None:
        path = control.socket_path(os.getpid(), directory)
        with contextlib.suppress(OSError):
            answers.append(control.ask(path, {"ask": "service-pause"}, 30.0))
        over.append(True)

    with running(one):
        here.until(lambda: bool(here.pids))
        own._throttle._credit = -36.0  # an hour at one per cent
        listens = control.Control(
            here.engine, handlers(lambda: own, "/etc/config.toml"), directory
        )
        client = threading.Thread(target=pause)
        client.start()
        with contextlib.closing(listens):
            own.run(lambda: bool(over))
        client.join()
        assert here.pids == []
    assert [answer["paused_by"] for answer in answers] == ["operator"]


def test_a_reload_in_a_pause_attaches_nothing(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one) as (child,):
        here.until(lambda: bool(here.pids))
        here.supervisor.pause()
        here.supervisor.reload()
        assert here.pids == []
        here.supervisor.resume()
        here.until(lambda: here.pids == [child.pid])


class _Labels(Labels):
    """Labels of a played runtime; counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def of(self, containers: Sequence[str]) -> tuple[str, ...]:
        self.asked += 1
        return ("app=redis",) if "redis" in containers else ()


def test_a_rule_may_name_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, labels = program(tmp_path, "one"), _Labels()
    here = House(_rule(one), labels=labels)
    read = scan_module.read_facts
    containers: dict[int, tuple[str, ...]] = {}

    def inside(pid: int, proc: str = "/proc") -> Facts | None:
        facts = read(pid, proc)
        found = containers.get(pid, ())
        return None if facts is None else replace(facts, containers=found)

    monkeypatch.setattr(scan_module, "read_facts", inside)
    with running(one, 3) as (redis, web, _):
        containers.update({redis.pid: ("redis",), web.pid: ("web",)})
        here.until(lambda: len(here.pids) == 3)
        # Nothing is read as long as no rule needs it.
        assert labels.asked == 0
        here.text = '[[rule]]\nname = "a"\nlabel = "app=redis"\n'
        here.supervisor.reload()
        assert here.pids == [redis.pid]
        assert labels.asked > 0
    here.close()


# ---- clients' requests -----------------------------------------------------------


class _Client:
    """Asks for processes, and keeps what it is told."""

    def __init__(self, here: House, *pids: int, children: bool = False) -> None:
        self.told: list[Any] = []
        self.lease = Lease(
            [identify(pid) for pid in pids],
            children=children,
            started_ns=1,
            tell=self.told.append,
        )
        here.supervisor.grant(self.lease)

    @property
    def states(self) -> list[str]:
        return [message["state"] for message in self.told]

    @property
    def pids(self) -> list[int]:
        return [each["pid"] for each in self.lease.figures()["processes"]]


def test_a_client_has_its_process_boosted_while_it_stays(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house("")
    with running(one, 2) as (child, _):
        client = _Client(here, child.pid)
        assert client.told == [{"state": "attached", "attached": 1, "requested": 1}]
        for _ in range(3):
            here.look()
            here.supervisor.reload()
        assert here.pids == [child.pid]
        (rule,) = here.supervisor.snapshot().rules
        assert (rule.name, rule.processes) == (REQUEST_RULE, 1)
        with pytest.raises(UbError, match="already boosted for another"):
            _Client(here, child.pid)
        here.device.counters = Stats(native=1, dispatched=9)
        here.supervisor.withdraw(client.lease)
        here.supervisor.withdraw(client.lease)
        assert here.pids == []
        assert client.pids == [child.pid]
        here.look()
        assert here.pids == []
        assert child.poll() is None
    assert any("reason=withdrawn dispatched=9" in line for line in here.lines)
    (rule,) = here.supervisor.snapshot().rules
    assert (rule.processes, rule.attached, rule.ended) == (0, 1, {"withdrawn": 1})
    assert len(here.supervisor._leases) == 0


def test_the_end_of_the_process_is_told(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("")
    with running(one) as (child,):
        client = _Client(here, child.pid)
    here.until(lambda: client.states == ["attached", "ended"])
    here.supervisor.withdraw(client.lease)
    assert client.pids == [child.pid]
    assert here.pids == []


def test_a_pause_is_for_clients_too(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("")
    with running(one, 2) as (first, second):
        client = _Client(here, first.pid)
        here.supervisor.pause()
        here.look()
        late = _Client(here, second.pid)
        assert here.pids == []
        assert late.told == [{"state": "paused", "by": "operator"}]
        here.supervisor.resume()
        here.until(lambda: len(here.pids) == 2)
        here.look()
    assert client.states[:3] == ["attached", "paused", "attached"]
    assert late.states[:2] == ["paused", "attached"]
    assert len(client.pids) == 1  # what was detached by the pause


def test_limits_are_for_clients_too(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("[limits]\nprocesses = 1\n")
    with running(one, 2) as (first, second):
        client = _Client(here, first.pid)
        late = _Client(here, second.pid)
        assert late.told == [{"state": "waiting", "limit": "processes"}]
        assert here.pids == [first.pid]
        here.supervisor.withdraw(client.lease)
        assert here.pids == [second.pid]
        here.look()
    assert late.states[:2] == ["waiting", "attached"]


def test_nothing_is_attached_once_it_has_stopped(tmp_path: Path, house: Build) -> None:
    """The end of requests makes room for processes that wait."""
    one = program(tmp_path, "one")
    here = house("[limits]\nprocesses = 1\n")
    with running(one, 2) as (first, second):
        client = _Client(here, first.pid)
        late = _Client(here, second.pid)
        here.supervisor.run(lambda: True)
        here.supervisor.withdraw(client.lease)
        here.supervisor.withdraw(late.lease)
        assert here.pids == []
    assert late.states == ["waiting"]
    assert client.pids == [first.pid]
    assert late.pids == []


def test_what_a_rule_excludes_stays_native(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    excluded = _rule(one, "boost = false", name="never")
    here = house(excluded)
    with running(one) as (child,):
        with pytest.raises(UbError, match="the rule 'never' of the service keeps"):
            _Client(here, child.pid)
        here.text = ""
        here.supervisor.reload()
        client = _Client(here, child.pid)
        assert here.pids == [child.pid]
        here.text = excluded
        here.supervisor.reload()
        here.look()
        assert here.pids == []
        assert client.states == ["attached", "excluded"]


def test_what_a_rule_boosts_stays_boosted(tmp_path: Path, house: Build) -> None:
    """It is attached once, counts for its rule, and the client has its figures."""
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one) as (child,):
        here.until(lambda: here.pids == [child.pid])
        client = _Client(here, child.pid)
        here.supervisor.withdraw(client.lease)
        here.look()
        assert here.pids == [child.pid]
        assert len(here.device.attached) == 1
        assert client.pids == [child.pid]
        (rule,) = here.supervisor.snapshot().rules
        assert rule.name == "a"


def test_what_an_operator_released_can_be_asked_for(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house(_rule(one))
    with running(one) as (child,):
        here.until(lambda: here.pids == [child.pid])
        here.supervisor.release(child.pid)
        here.look()
        client = _Client(here, child.pid)
        assert here.pids == [child.pid]
        here.supervisor.release(child.pid)
        here.look()
        assert here.pids == []
        assert client.states == ["attached", "released"]


def test_a_process_that_has_ended_or_is_another_now(
    tmp_path: Path, house: Build
) -> None:
    one = program(tmp_path, "one")
    here = house("")
    with running(one) as (child,):
        found = identify(child.pid)
        with pytest.raises(UbError, match="has already exited"):
            here.supervisor.grant(Lease([replace(found, start=found.start + 1)]))
    with pytest.raises(UbError, match="has already exited"):
        here.supervisor.grant(Lease([found]))
    assert len(here.supervisor._leases) == 0


def test_a_refused_attachment_is_an_error_and_changes_nothing(
    tmp_path: Path, house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(tmp_path, "one")
    here = house("")
    attach = here.device.attach
    with running(one, 2) as (first, second):

        def refuse(pid: int, *, children: bool = False, trusted: bool = False) -> int:
            if pid == second.pid:
                raise UbError(f"process {pid} is already attached")
            return attach(pid, children=children, trusted=trusted)

        monkeypatch.setattr(here.device, "attach", refuse)
        with pytest.raises(UbError, match=f"{second.pid} is already attached"):
            _Client(here, first.pid, second.pid)
        assert here.pids == []
        assert len(here.supervisor._leases) == 0
        here.look()
        assert here.pids == []


@pytest.mark.parametrize("children", [True, False])
def test_descendants_are_boosted_if_the_client_wants_them(
    tmp_path: Path, house: Build, children: bool
) -> None:
    other = program(tmp_path, "other")
    here = house("")
    with _shell(f"{other} 60 & wait; true") as shell:
        while not any(_runs(pid, other) for pid in descendants(shell.pid)):
            time.sleep(0.01)
        client = _Client(here, shell.pid, children=children)
        here.until(lambda: len(here.pids) == 1 + children)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            here.engine.step(0.02)
            here.look()
        here.supervisor.reload()
        assert len(here.pids) == 1 + children
        here.supervisor.withdraw(client.lease)
        assert here.pids == []
        assert len(client.pids) == 1 + children


def test_descendants_that_outlive_the_process_keep_the_lease(
    tmp_path: Path, house: Build
) -> None:
    other = program(tmp_path, "other")
    here = house("")
    with _shell(f"{other} 60 & wait; true") as shell:
        while not any(_runs(pid, other) for pid in descendants(shell.pid)):
            time.sleep(0.01)
        (orphan,) = descendants(shell.pid)
        client = _Client(here, shell.pid, children=True)
        here.until(lambda: len(here.pids) == 2)
        shell.kill()
        here.until(lambda: here.pids == [orphan])
        here.look()
        here.look()
        assert client.told[-1] == {"state": "attached", "attached": 1, "requested": 0}
        os.kill(orphan, signal.SIGKILL)
        here.until(lambda: client.states[-1] == "ended")


def test_a_thousand_requests_keep_nothing(tmp_path: Path, house: Build) -> None:
    one = program(tmp_path, "one")
    here = house("")
    with running(one) as (child,):
        before = open_files()
        for _ in range(1000):
            here.supervisor.withdraw(_Client(here, child.pid).lease)
        own = here.supervisor
        here.look()
        assert [len(own._wanted), len(own._attached), len(own._leases)] == [0, 0, 0]
        assert not own._leases._by_pid
        assert not open_files() - before
