# SPDX-License-Identifier: GPL-2.0-only
"""Attaches the processes that match a rule, within the limits.

Drives an engine. Scans for processes at intervals, and decides for the engine about
each child of an attached process. On any error programs stay native.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ubypass.engine.engine import Engine
from ubypass.engine.regions import Caps
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.status import identify, is_alive
from ubypass.service.config import Config
from ubypass.service.figures import RuleFigures, Snapshot, Totals
from ubypass.service.journal import Journal, Level
from ubypass.service.labels import Labels
from ubypass.service.leases import REQUEST_RULE, Lease, Leases
from ubypass.service.rules import Facts, Rule, first_match
from ubypass.service.scan import Scanner, parent_of, read_facts
from ubypass.service.throttle import Throttle

__all__ = ["Supervisor", "resident_bytes"]

_RETRY = 2.0  # seconds after a refused attachment; four times as long after the next
_RETRY_MOST = 600.0
_TOLD = 2  # refusals before a journal entry: the first may come from a starting program
_ANCESTORS = 32  # levels; bounds the search
_REST = 0.2  # seconds until the next look at the stop, at most
_REST_MOST = 10.0


@dataclass(slots=True)
class _Wish:
    """A process that should be boosted, attached or not.

    ``error``: why the last attempt to attach it failed.
    """

    facts: Facts
    rule: Rule
    retry: float = 0.0
    refusals: int = 0
    error: UbError | None = None


@dataclass(slots=True)
class _Attachment:
    """An attached process. ``inherited``: it is only a descendant of a matching one."""

    target: Target
    rule: Rule
    inherited: bool


class Supervisor:
    """Keeps ``engine`` in agreement with ``config`` while :meth:`run` runs.

    ``read_config`` reads the configuration again, or raises ``UbError``; ``apply`` is
    called with a new configuration before it comes into force. ``publish`` gets the
    figures at intervals. ``pause_file`` stores a pause for the next daemon; None: a
    pause is not stored. ``memory`` returns the resident memory of the daemon in bytes,
    ``store_figures`` the counters of the store, or None without one. ``labels``: of
    containers.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        journal: Journal,
        *,
        read_config: Callable[[], Config],
        apply: Callable[[Config], None] = lambda config: None,
        publish: Callable[[Snapshot], None] = lambda snapshot: None,
        pause_file: Path | None = None,
        scanner: Scanner | None = None,
        memory: Callable[[], int] | None = None,
        store_figures: Callable[[], Mapping[str, int] | None] = lambda: None,
        labels: Labels | None = None,
    ) -> None:
        self._engine = engine
        self._config = config
        self._journal = journal
        self._read_config = read_config
        self._apply = apply
        self._publish = publish
        self._pause_file = pause_file
        self._held = pause_file is not None and pause_file.exists()
        self._scanner = scanner or Scanner()
        self._memory = memory or resident_bytes
        self._store_figures = store_figures
        self._labels = labels or Labels()
        self._wanted: dict[int, _Wish] = {}
        self._attached: dict[int, _Attachment] = {}
        self._admitted: dict[int, tuple[Rule, bool]] = {}
        self._leases = Leases()
        self._leases_due = False  # clients have to be told of a change
        self._waiting = 0
        self._limit = ""  # the limit that keeps processes waiting
        self._stopped = False
        self._totals: dict[str, Totals] = {}
        self._past = Totals()
        self._attachments: Counter[str] = Counter()
        self._ended: dict[str, Counter[str]] = {}
        self._refused: Counter[str] = Counter()
        self._reloads: Counter[str] = Counter({"success": 0, "failure": 0})
        self._reload_error = ""
        self._started = self._reloaded = time.time()
        self._looks = 0
        self._throttled = 0.0
        now = time.monotonic()
        self._next_look = self._next_figures = now
        share = config.limits.cpu_percent / 100
        self._throttle = Throttle(share, now, time.process_time())
        engine.admit_if(self._admit)
        engine.trust_if(self._trusts)
        self._take_effect()

    # ---- operators' requests ----------------------------------------------------

    @property
    def paused(self) -> str:
        """The cause of a pause: "operator" or "configuration"; "" without a pause."""
        if self._held:
            return "operator"
        return "configuration" if self._config.paused else ""

    def pause(self) -> None:
        """Detach everything, and attach nothing before :meth:`resume`.

        Raises ``UbError`` if the pause is in effect but could not be stored.
        """
        self._held = True
        self._let_go("paused")
        self._journal.say("paused", by="operator")
        if self._pause_file is not None:
            try:
                self._pause_file.touch()
            except OSError as error:
                raise UbError(
                    "paused only until the next start: cannot write "
                    f"{self._pause_file}: {error.strerror}"
                ) from error

    def resume(self) -> None:
        """End an operator's pause; the next scan is due at once.

        Raises ``UbError`` if the configuration has paused the service too.
        """
        self._held = False
        if self._pause_file is not None:
            self._pause_file.unlink(missing_ok=True)
        if self._config.paused:
            raise UbError(
                "the configuration sets paused = true",
                "change it, then: ub service reload",
            )
        self._next_look = time.monotonic()
        self._journal.say("resumed", by="operator")

    def reload(self) -> None:
        """Read the configuration again; a wrong one is not applied.

        Raises ``UbError`` with file, line and reason.
        """
        try:
            config = self._read_config()
            self._apply(config)
        except UbError as error:
            self._reloads["failure"] += 1
            self._reload_error = error.message
            self._journal.say(
                "reload-refused",
                Level.ERROR,
                reason=error.message,
                in_force="the old configuration",
            )
            raise
        self._config = config
        self._reloads["success"] += 1
        self._reload_error = ""
        self._reloaded = time.time()
        self._throttle.change(config.limits.cpu_percent / 100)
        self._take_effect()
        if config.paused:
            self._let_go("paused")
        else:
            self._rejudge()
        self._journal.say("reloaded", rules=len(config.rules), paused=config.paused)
        self._warn()

    def release(self, pid: int) -> None:
        """Keep a process native until it ends or runs another program.

        Raises ``UbError`` if the process is not attached.
        """
        self._account()
        for each in list(self._attached.values()):
            if each.target.process.pid == pid:
                if (wish := self._wanted.get(pid)) is not None:
                    wish.retry = math.inf
                self._detach(each, "released")
                return
        raise UbError(f"process {pid} is not attached")

    # ---- clients' requests ------------------------------------------------------

    def grant(self, lease: Lease) -> None:
        """Boost its processes until :meth:`withdraw`, under all limits and pauses.

        The client is told the state now and whenever it changes, as a message with the
        key ``state`` (docs/service.md). Raises ``UbError`` if a process has ended, is
        excluded by a rule, has a lease already, or cannot be attached; then nothing has
        changed.
        """
        facts = [
            self._requested(process.pid, process.start) for process in lease.processes
        ]
        self._leases.add(lease)
        for each in facts:
            if (old := self._wanted.get(each.pid)) is not None:
                # Also if an operator has released it; what failed is tried anew.
                old.retry, old.error = 0.0, None
            self._judge(each)
        self._settle(time.monotonic(), "unmatched")
        wishes = [self._wanted.get(each.pid) for each in facts]
        for error in (wish.error for wish in wishes if wish is not None):
            if error is not None:
                self.withdraw(lease)
                raise error
        self._leases_due = True
        self._tell_clients(looked=False)

    def withdraw(self, lease: Lease) -> None:
        """End a lease; its figures are complete then.

        Its processes continue natively, unless a rule covers them. Nothing happens if
        it has ended.
        """
        if lease.ended:
            return
        lease.ended = True
        self._account()
        for process in lease.processes:
            wish = self._wanted.get(process.pid)
            if wish is not None and wish.facts.start == process.start:
                self._judge(wish.facts)
        covered = [each for each in self._attached.values() if self._is_of(each, lease)]
        for each in covered:
            if each.inherited and each.rule is lease.rule:
                self._detach(each, "withdrawn")
        self._settle(time.monotonic(), "withdrawn")
        for each in covered:
            if self._attached.get(each.target.proc) is each:
                each.target.refresh_stats()
                lease.add(each.target.summary())
        self._leases.remove(lease)

    def _requested(self, pid: int, start: int) -> Facts:
        """The facts of a process that a client names; raises ``UbError``."""
        facts = read_facts(pid)
        if facts is None or facts.start != start:
            raise UbError(f"process {pid} has already exited")
        rule = self._match(facts)
        if rule is not None and not rule.boost:
            raise UbError(
                f"the rule {rule.name!r} of the service keeps process {pid} native",
                "change the rule, or use --own-engine",
            )
        return facts

    def _is_of(self, each: _Attachment, lease: Lease) -> bool:
        return self._leases.covering(each.target.process, each.rule) is lease

    def _tell_clients(self, *, looked: bool) -> None:
        """Tell clients of changes; ``looked``: after a scan, when ends are certain."""
        if not self._leases_due and not looked:
            return
        self._leases_due = False
        for lease in self._leases:
            lease.tell(self._state(lease, looked=looked))

    def _state(self, lease: Lease, *, looked: bool) -> dict[str, Any]:
        """The state of a lease, as a message for its client."""
        mine = [each for each in self._attached.values() if self._is_of(each, lease)]
        if mine:
            pids = {process.pid for process in lease.processes}
            return {
                "state": "attached",
                "attached": len(mine),
                "requested": sum(each.target.process.pid in pids for each in mine),
            }
        alive = [process for process in lease.processes if is_alive(process)]
        wishes = [self._wanted.get(process.pid) for process in alive]
        known = [wish for wish in wishes if wish is not None]
        if not alive:
            # A server that restarts itself may end before its successor is attached.
            over = not lease.rule.children or (looked and lease.last_state == "native")
            return {"state": "ended" if over else "native"}
        if known and all(wish.retry == math.inf for wish in known):
            return {"state": "released"}
        if self.paused:
            return {"state": "paused", "by": self.paused}
        if not known:
            return {"state": "excluded"}
        if error := next((wish.error for wish in known if wish.error), None):
            return {"state": "native", "why": error.message}
        if limit := self._exceeded():
            return {"state": "waiting", "limit": limit}
        return {"state": "native"}

    # ---- the loop ---------------------------------------------------------------

    def run(self, stopped: Callable[[], bool]) -> None:
        """Run until ``stopped()``, which is called after each event.

        From then on nothing is attached, even if what is withdrawn makes room for it.
        """
        self._warn()
        while not stopped():
            due = self._throttle.wait(time.monotonic(), time.process_time())
            if due > 0:
                self._rest(min(due, _REST_MOST), stopped)
            else:
                self.step()
        self._stopped = True

    def step(self) -> None:
        """Wait for the next event or deadline, and handle it."""
        self._engine.step(self._timeout())
        self._account()
        now = time.monotonic()
        if now >= self._next_look:
            try:
                self.look(now)
            except OSError as error:
                # For example too many open files: attached processes stay attached.
                self._journal.say("look-failed", Level.ERROR, reason=str(error))
        self._tell_clients(looked=False)
        if now >= self._next_figures:
            self._next_figures = now + self._config.metrics.interval
            self._publish(self.snapshot())

    def look(self, now: float) -> None:
        """Scan; attach processes that match a rule, and detach others."""
        self._next_look = now + self._config.scan_seconds
        self._account()
        self._admitted.clear()
        if self.paused:
            self._let_go("paused")
            self._tell_clients(looked=True)
            return
        self._looks += 1
        changes = self._scanner.look()
        for pid in changes.gone:
            self._wanted.pop(pid, None)
        for facts in changes.seen:
            self._judge(facts)
        self._settle(now, "unmatched")
        self._tell_clients(looked=True)

    def _timeout(self) -> float:
        now = time.monotonic()
        times = [self._next_look - now, self._next_figures - now]
        engine = self._engine.timeout
        if engine is not None:
            times.append(engine)
        return max(0.0, min(times))

    def _rest(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Only answer requests, after too much CPU time was used.

        An operator who pauses the service, or unloads the module, need not wait.
        """
        began = time.monotonic()
        while not stopped() and time.monotonic() - began < seconds:
            self._engine.serve(min(_REST, seconds))
        self._throttled += time.monotonic() - began

    # ---- wanted processes -------------------------------------------------------

    def _judge(self, facts: Facts) -> None:
        if facts.pid == os.getpid():
            return
        rule = self._rule(facts)
        if rule is None or not rule.boost:
            self._wanted.pop(facts.pid, None)
            return
        old = self._wanted.get(facts.pid)
        same = old is not None and old.facts.start == facts.start
        if old is not None and same and old.facts.exe == facts.exe:
            old.facts, old.rule = facts, rule
        else:
            self._wanted[facts.pid] = _Wish(facts, rule)

    def _match(self, facts: Facts) -> Rule | None:
        """The first rule that matches; labels are read only if a rule needs them."""
        rules = self._config.rules
        if facts.containers and any(rule.label for rule in rules):
            facts = replace(facts, labels=self._labels.of(facts.containers))
        return first_match(rules, facts)

    def _rule(self, facts: Facts) -> Rule | None:
        """The rule for a process; without one, that of its lease."""
        return self._match(facts) or self._leases.rule(facts)

    def _rejudge(self) -> None:
        """Apply new rules to all processes."""
        for facts in self._scanner.facts:
            self._judge(facts)
        rules = {rule.name: rule for rule in self._config.rules}
        for each in list(self._attached.values()):
            if each.inherited and not self._leases.is_live(each.rule):
                rule = rules.get(each.rule.name)
                if rule is None or not rule.children:
                    self._detach(each, "reload")
                else:
                    each.rule = rule
        self._settle(time.monotonic(), "reload")
        # Drop the counters of removed rules without attached processes.
        used = {each.rule.name for each in self._attached.values()} | rules.keys()
        used.add(REQUEST_RULE)
        for counts in (
            self._totals,
            self._attachments,
            self._ended,
            self._refused,
        ):
            for name in counts.keys() - used:
                del counts[name]

    def _settle(self, now: float, why: str) -> None:
        """Attach wanted processes, and detach others with the reason ``why``."""
        self._account()
        attached = set()
        for each in list(self._attached.values()):
            process = each.target.process
            wish = self._wanted.get(process.pid)
            if wish is not None and wish.facts.start == process.start:
                if wish.rule.trust != each.target.trusted:
                    # That cannot change while it is attached.
                    self._detach(each, why)
                    continue
                each.rule, each.inherited = wish.rule, False
            elif not each.inherited:
                # A scan may notice an end before the engine does.
                self._detach(each, why if is_alive(process) else "ended")
                continue
            attached.add(process.pid)
        todo = [w for pid, w in self._wanted.items() if pid not in attached]
        if self.paused or self._stopped:
            todo = []
        self._waiting = 0
        limit = ""
        for wish in todo:
            if wish.retry > now:
                continue
            limit = limit or self._exceeded()
            if limit:
                self._waiting += 1
            else:
                self._attach(wish, now)
        if limit and limit != self._limit:
            self._journal.say(
                "limit", Level.WARNING, reached=limit, waiting=self._waiting
            )
        self._limit = limit

    def _exceeded(self) -> str:
        """The name of the limit that prevents further attachments; "" if none does."""
        limits = self._config.limits
        if len(self._engine.targets) >= limits.processes:
            return "processes"
        if self._memory() > limits.memory_mib << 20:
            return "memory_mib"
        return ""

    def _attach(self, wish: _Wish, now: float) -> None:
        facts = wish.facts
        try:
            process = identify(facts.pid, patience=0.05)
            if process.start != facts.start:
                return  # a later process with this PID, for the next scan
            lease = self._leases.of(process.pid, process.start)
            began = lease.started_ns if lease is not None else 0
            target = self._engine.attach(process, started_ns=began, children=True)
        except UbError as error:
            if read_facts(facts.pid) is None:
                self._wanted.pop(facts.pid, None)  # the process has just ended
                return
            wish.error = error
            wish.refusals += 1
            wish.retry = now + min(_RETRY * 4 ** (wish.refusals - 1), _RETRY_MOST)
            self._refused[wish.rule.name] += 1
            if wish.refusals == _TOLD:
                self._journal.say(
                    "refused",
                    Level.WARNING,
                    pid=facts.pid,
                    rule=wish.rule.name,
                    reason=error.message,
                )
            return
        wish.error = None
        self._engine.watch_end(target)
        if target.trusted and not self._still_trusts(facts.pid):
            self._engine.detach(target)
            return
        self._enter(target, wish.rule, inherited=False)

    def _admit(self, pid: int) -> bool:
        """Called by the engine: whether to attach a child of an attached process."""
        if self.paused or self._exceeded():
            return False
        facts = read_facts(pid)
        if facts is None:
            return False
        rule = self._rule(facts)
        inherited = rule is None
        if rule is None:
            rule = self._inherited(pid)
        if rule is None or not rule.boost:
            return False
        if not inherited:
            self._judge(facts)
        self._admitted[pid] = (rule, inherited)
        return True

    def _trusts(self, pid: int) -> bool:
        """Called by the engine: whether a process about to be attached is trusted.

        Only if it matches a trusting rule itself, not as a child.
        """
        if pid in self._admitted:
            rule, inherited = self._admitted[pid]
            return rule.trust and not inherited
        wish = self._wanted.get(pid)
        return wish is not None and wish.rule.trust

    def _still_trusts(self, pid: int) -> bool:
        """Whether a process that has just been attached is still trusted: before, it
        may have executed another program since its facts were read.
        """
        facts = read_facts(pid)
        rule = None if facts is None else self._match(facts)
        return rule is not None and rule.boost and rule.trust

    def _inherited(self, pid: int) -> Rule | None:
        """The rule of the nearest attached ancestor, if the rule covers children."""
        rules = {a.target.process.pid: a.rule for a in self._attached.values()}
        for _ in range(_ANCESTORS):
            pid = parent_of(pid)
            if pid in rules and (rule := self._leases.inheritable(pid)) is not None:
                return rule
            if pid in rules:
                return rules[pid] if rules[pid].children else None
            if pid <= 1:
                break
        return None

    # ---- attached processes -----------------------------------------------------

    def _account(self) -> None:
        """Process the attachments and ends that the engine has made."""
        live = {target.proc: target for target in self._engine.targets}
        for proc in self._attached.keys() - live.keys():
            self._leave(self._attached[proc], "ended")
        for proc in live.keys() - self._attached.keys():
            target = live[proc]
            rule, inherited = self._admitted.pop(target.process.pid, (None, False))
            pid = target.process.pid
            if rule is None or (target.trusted and not self._still_trusts(pid)):
                self._engine.detach(target)
            else:
                self._enter(target, rule, inherited=inherited)
        self._engine.forget_finished()

    def _enter(self, target: Target, rule: Rule, *, inherited: bool) -> None:
        self._attached[target.proc] = _Attachment(target, rule, inherited)
        self._leases_due = True
        self._attachments[rule.name] += 1
        process = target.process
        self._journal.say(
            "attached",
            pid=process.pid,
            name=process.name,
            rule=rule.name,
            trusted=target.trusted or None,
        )

    def _leave(self, each: _Attachment, why: str) -> None:
        del self._attached[each.target.proc]
        rule, summary = each.rule.name, each.target.summary()
        self._totals.setdefault(rule, Totals()).add(summary)
        self._past.add(summary)
        lease = self._leases.covering(each.target.process, each.rule)
        if lease is not None:
            lease.add(summary)
        self._leases_due = True
        self._ended.setdefault(rule, Counter())[why] += 1
        self._journal.say(
            "detached",
            pid=summary.pid,
            name=summary.name,
            rule=rule,
            reason=why,
            dispatched=summary.stats.dispatched,
            bypass_rate=summary.bypass_rate,
            note=summary.notes[-1] if summary.notes else None,
        )

    def _detach(self, each: _Attachment, why: str) -> None:
        self._engine.detach(each.target)
        self._leave(each, why)

    def _let_go(self, why: str) -> None:
        """Detach all processes, which continue natively."""
        self._account()
        for each in list(self._attached.values()):
            self._detach(each, why)
        self._waiting = 0
        self._engine.forget_finished()

    def _take_effect(self) -> None:
        limits = self._config.limits
        caps = Caps(regions=limits.regions, code_bytes=limits.code_kib << 10)
        self._engine.limit(caps, limits.processes)

    def _warn(self) -> None:
        for warning in self._config.warnings:
            self._journal.say("warning", Level.WARNING, reason=warning)

    # ---- figures ----------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All figures now, with fresh counters of the attached processes."""
        self._account()
        live: dict[str, list[Target]] = {}
        for each in self._attached.values():
            each.target.refresh_stats()
            live.setdefault(each.rule.name, []).append(each.target)
        totals = self._past.copy()
        for each in self._attached.values():
            totals.add(each.target.summary())
        names = [rule.name for rule in self._config.rules if rule.boost]
        names += [name for name in live if name not in names]
        if self._attachments[REQUEST_RULE] and REQUEST_RULE not in names:
            names.append(REQUEST_RULE)
        return Snapshot(
            time=time.time(),
            started=self._started,
            paused=self.paused,
            rules=tuple(
                RuleFigures.of(
                    name,
                    self._totals.get(name, Totals()),
                    (target.summary() for target in live.get(name, ())),
                    attached=self._attachments[name],
                    ended=self._ended.get(name, {}),
                )
                for name in names
            ),
            totals=totals,
            waiting=self._waiting,
            refused=dict(self._refused),
            reloads=dict(self._reloads),
            reloaded=self._reloaded,
            reload_error=self._reload_error,
            cpu_seconds=time.process_time(),
            memory_bytes=self._memory(),
            throttled_seconds=self._throttled,
            looks=self._looks,
            store=self._store_figures(),
        )


def resident_bytes() -> int:
    """Resident memory of this process in bytes; 0 if unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
