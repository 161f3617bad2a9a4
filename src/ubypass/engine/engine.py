# SPDX-License-Identifier: GPL-2.0-only
"""The event loop: one thread, one device, any number of processes.

Waits for the device's events, for the ends of processes, for questions on the
control socket and for time to pass; hands each to the :class:`Target` it is about.
Follows processes to their children if asked to.
"""

from __future__ import annotations

import os
import selectors
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built
from ubypass.engine.family import Family
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.ports import DeviceLike, MemoryLike, SamplerLike
from ubypass.engine.regions import Caps
from ubypass.engine.summary import Summary
from ubypass.engine.target import Policy, Target
from ubypass.errors import UbError
from ubypass.process.memory import ProcessMemory
from ubypass.process.sampler import Sampler
from ubypass.process.status import ProcessId, descendants, identify, is_alive

__all__ = ["Engine"]

#: Processes that are followed to their children are so many at most, in all.
_PROCESSES = 64


class Engine:
    """Boosts the processes attached to it for as long as it runs.

    ``build`` is a :class:`~ubypass.engine.build.Builder`; ``log`` takes lines for
    people. The device stays the caller's.
    """

    def __init__(
        self,
        device: DeviceLike,
        *,
        build: Callable[[Knowledge, MemoryLike], Built],
        open_memory: Callable[[int], MemoryLike] = ProcessMemory,
        open_sampler: Callable[[int], SamplerLike] | None = Sampler,
        policy: Policy | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._device = device
        self._build = build
        self._open_memory = open_memory
        self._open_sampler = open_sampler
        self._policy = policy or Policy()
        self._log = log
        self._targets: dict[int, Target] = {}
        self._finished: list[Summary] = []
        self._pidfds: dict[int, int] = {}  # by attachment
        self._parents: dict[int, int] = {}  # attachments that follow children
        self._family = Family(self._adopt)
        self._processes = _PROCESSES
        self._admit: Callable[[int], bool] = lambda pid: True
        self._selector = selectors.DefaultSelector()
        self._selector.register(device.fileno(), selectors.EVENT_READ, self._drain)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The processes attached now."""
        return tuple(self._targets.values())

    @property
    def timeout(self) -> float | None:
        """Seconds until something is due; None: not before an event."""
        deadlines = [target.deadline for target in self.targets]
        deadlines.append(self._family.due)
        first = min((d for d in deadlines if d is not None), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def admit_if(self, admit: Callable[[int], bool]) -> None:
        """From now on ask ``admit(pid)`` before a child is attached."""
        self._admit = admit

    def limit(self, caps: Caps, processes: int) -> None:
        """Bounds for what is attached from now on.

        ``caps``: of each process; ``processes``: as many may be attached when a child
        is to be attached as well.
        """
        self._policy = replace(self._policy, caps=caps)
        self._processes = processes

    def attach(
        self,
        process: ProcessId,
        *,
        started_ns: int = 0,
        children: bool = False,
        knowledge: Knowledge | None = None,
    ) -> Target:
        """Attach ``process``; it runs on all the while.

        ``started_ns`` (CLOCK_MONOTONIC) is where the time to the first boost is
        counted from; 0: from now. ``children``: its descendants are attached as well,
        those there are and those to come, and each again when it runs another
        program. ``knowledge``: what is known from a process that has the same code at
        the same addresses. Raises ``UbError`` if it cannot be attached.
        """
        return self._attach(
            process, started_ns, parent=0 if children else None, knowledge=knowledge
        )

    def detach(self, target: Target) -> None:
        """Let an attached process go on natively, though it runs on."""
        if self._targets.get(target.proc) is target:
            self._parents.pop(target.proc, None)
            self._finish(target)

    def forget_finished(self) -> None:
        """Do without the figures of processes that are not attached any more.

        Whoever runs for months would collect them without end.
        """
        self._finished.clear()

    def _attach(
        self,
        process: ProcessId,
        started_ns: int = 0,
        *,
        parent: int | None,
        knowledge: Knowledge | None = None,
        kin: Target | None = None,
    ) -> Target:
        """``parent``: attachment that it comes from, 0: none, None: not followed;
        ``kin``: another one with the same code.
        """
        memory = self._open_memory(process.pid)
        try:
            proc = self._device.attach(process.pid, children=parent is not None)
        except BaseException:
            memory.close()
            raise
        target = Target(
            process,
            proc,
            self._device,
            memory,
            self._build,
            open_sampler=self._open_sampler,
            started_ns=started_ns or time.monotonic_ns(),
            knowledge=kin.knowledge.inherited() if kin else knowledge,
            experience=kin.experience if kin else None,
            policy=self._policy,
            log=self._log,
        )
        target.attached(time.monotonic())
        self._targets[proc] = target
        if parent is not None:
            self._parents[proc] = parent
            # Those born before: from now on there are events.
            self._family.born(descendants(process.pid), proc, time.monotonic())
        return target

    def _adopt(self, pid: int, parent: int) -> None:
        """Attach a child of the attachment ``parent``, if it is worth it."""
        if any(target.process.pid == pid for target in self.targets):
            return
        if not self._admit(pid):
            return
        if len(self._targets) >= self._processes:
            self._log(
                f"process {pid} runs natively: {self._processes} are boosted already"
            )
            return
        try:
            target = self._attach(
                identify(pid, patience=0.05), parent=parent, kin=self._kin(parent)
            )
        except UbError:
            return  # it is gone, or of a kind that cannot be boosted
        self.watch_end(target)
        self._log(f"attached to its child {pid} ({target.process.name})")

    def _kin(self, parent: int) -> Target | None:
        """Of a child's parent and its other children, the one that knows the most.

        Addresses mean the same in a forked child. After exec they do not, and what
        is learned of them does no harm: they are no code, or never come up.
        """
        kin = [
            target
            for proc, target in self._targets.items()
            if parent and parent in (proc, self._parents.get(proc))
        ]
        return max(kin, key=lambda target: len(target.knowledge.targets), default=None)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` from the loop whenever ``fd`` is readable."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Stop that."""
        self._selector.unregister(fd)

    def watch_end(self, target: Target) -> None:
        """Notice the end of a process even if the device is silent about it."""
        try:
            fd = os.pidfd_open(target.process.pid)
        except ProcessLookupError:
            target.gone = True
            return

        def ended() -> None:
            self._unwatch_end(target)
            target.gone = True

        self._pidfds[target.proc] = fd
        self.watch(fd, ended)

    def _unwatch_end(self, target: Target) -> None:
        fd = self._pidfds.pop(target.proc, None)
        if fd is not None:
            self.unwatch(fd)
            os.close(fd)

    def run(self, until: Callable[[], bool]) -> None:
        """Run the loop until ``until()`` is true, asked after each round."""
        while not until():
            self.step(self.timeout)

    @property
    def is_over(self) -> bool:
        """Is nothing attached, and no child about to be?

        A server that replaces itself ends while what replaces it is waiting.
        """
        return not self._targets and self._family.due is None

    def step(self, timeout: float | None) -> None:
        """One round: wait at most ``timeout`` seconds, then do what is due."""
        for key, _ in self._selector.select(timeout):
            key.data()
        now = time.monotonic()
        self._family.tick(now)
        for target in self.targets:
            self._tick(target, now)
            if target.gone:
                self._finish(target)

    def summaries(self) -> tuple[Summary, ...]:
        """Figures of every process attached so far, with fresh counters."""
        for target in self.targets:
            target.refresh_stats()
        return (*self._finished, *(target.summary() for target in self.targets))

    def close(self) -> None:
        """Detach everything; the processes go on natively."""
        for target in self.targets:
            self._finish(target)
        self._selector.close()

    def _drain(self) -> None:
        now = time.monotonic()
        for event in self._device.events():
            if event.type is EventType.LOST:
                self._recover(now)
                continue
            if event.type in (EventType.FORK, EventType.EXEC):
                # Also below a process that has ended meanwhile.
                self._family.born([event.target], self._origin(event), now)
                continue
            target = self._targets.get(event.proc)
            if target is not None:
                target.on_event(event, now)

    def _recover(self, now: float) -> None:
        """Events were lost: find out what has happened."""
        for target in self.targets:
            target.recover(now)
            if target.proc in self._parents:
                pids = descendants(target.process.pid)
                self._family.born(pids, target.proc, now)

    def _origin(self, event: Event) -> int:
        """A new program has nothing in common with who started it."""
        return event.proc if event.type is EventType.FORK else 0

    def _tick(self, target: Target, now: float) -> None:
        try:
            target.tick(now)
        except Exception as error:
            # Ours to fix, but never the program's problem: it goes on natively.
            if os.environ.get("UBYPASS_DEBUG"):
                traceback.print_exc()
            target.stop(f"internal error, left native: {_describe(error)}")

    def _finish(self, target: Target) -> None:
        self._targets.pop(target.proc, None)
        self._unwatch_end(target)
        followed = self._parents.pop(target.proc, None) is not None
        target.close()
        if followed and is_alive(target.process):
            # It runs another program now.
            self._family.born([target.process.pid], 0, time.monotonic())
        self._finished.append(target.summary())


def _describe(error: Exception) -> str:
    if isinstance(error, UbError):
        return error.message
    return f"{type(error).__name__}: {error}"
