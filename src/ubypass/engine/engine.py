# SPDX-License-Identifier: GPL-2.0-only
"""The event loop: one thread, one device, any number of processes.

Waits for the device's events, for the ends of processes, for questions on the
control socket and for time to pass; hands each to the :class:`Target` it is about.
Follows processes to their children if asked to.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace

from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built
from ubypass.engine.children import Children
from ubypass.engine.policy import Policy
from ubypass.engine.ports import DeviceLike, MemoryLike, SamplerLike
from ubypass.engine.profile import Profile
from ubypass.engine.regions import Caps
from ubypass.engine.summary import Summary
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.memory import ProcessMemory
from ubypass.process.sampler import Sampler
from ubypass.process.status import ProcessId, descendants, identify, is_alive

__all__ = ["Engine"]

#: Attachments in all above which no child is attached.
_PROCESSES = 64


class Engine:
    """Boosts the processes attached to it, until it is closed.

    ``build``: a :class:`~ubypass.engine.build.Builder`; ``build_trusted``: one for
    trusted programs, without it none is attached as such (:meth:`trust_if`); ``log``
    takes lines for people. The caller closes the device.
    """

    def __init__(
        self,
        device: DeviceLike,
        *,
        build: Callable[[Profile, MemoryLike], Built],
        build_trusted: Callable[[Profile, MemoryLike], Built] | None = None,
        open_memory: Callable[[int], MemoryLike] = ProcessMemory,
        open_sampler: Callable[[int], SamplerLike] | None = Sampler,
        policy: Policy | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._device = device
        self._build = build
        self._build_trusted = build_trusted
        self._open_memory = open_memory
        self._open_sampler = open_sampler
        self._policy = policy or Policy()
        self._log = log
        self._targets: dict[int, Target] = {}
        self._finished: list[Summary] = []
        self._pidfds: dict[int, int] = {}  # by attachment
        self._parents: dict[int, int] = {}  # attachments that follow children
        self._children = Children(self._attach_child)
        self._processes = _PROCESSES
        self._admit: Callable[[int], bool] = lambda pid: True
        self._trust: Callable[[int], bool] = lambda pid: False
        self._selector = selectors.DefaultSelector()
        self._selector.register(device.fileno(), selectors.EVENT_READ, self._drain)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The processes attached now."""
        return tuple(self._targets.values())

    @property
    def timeout(self) -> float | None:
        """Seconds until something is due; None: nothing is, before an event."""
        deadlines = [target.deadline for target in self.targets]
        deadlines.append(self._children.due)
        first = min((d for d in deadlines if d is not None), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def admit_if(self, admit: Callable[[int], bool]) -> None:
        """From now on ask ``admit(pid)`` before a child is attached."""
        self._admit = admit

    def trust_if(self, trust: Callable[[int], bool]) -> None:
        """From now on ask ``trust(pid)`` whether a process about to be attached, child
        or not, is a trusted program (docs/security.md). Until then none is.
        """
        self._trust = trust

    def limit(self, caps: Caps, processes: int) -> None:
        """Set the bounds of attachments from now on.

        ``caps``: of each process; ``processes``: the number of attachments from which
        on no child is attached.
        """
        self._policy = replace(self._policy, caps=caps)
        self._processes = processes

    def attach(
        self,
        process: ProcessId,
        *,
        started_ns: int = 0,
        children: bool = False,
        profile: Profile | None = None,
    ) -> Target:
        """Attach ``process``, which is not stopped for it.

        ``started_ns``: when it started (CLOCK_MONOTONIC), for the time to the first
        boost; 0: now. ``children``: its present and future descendants are attached as
        well, and again when they run another program. ``profile``: of a process that
        has the same code at the same addresses. Raises ``UbError`` if it cannot be
        attached.
        """
        return self._attach(
            process, started_ns, parent=0 if children else None, profile=profile
        )

    def detach(self, target: Target) -> None:
        """Detach a running process, which goes on natively."""
        if self._targets.get(target.proc) is target:
            self._parents.pop(target.proc, None)
            self._finish(target)

    def forget_finished(self) -> None:
        """Drop the figures of processes that are not attached any more.

        In a daemon that runs for months they would accumulate.
        """
        self._finished.clear()

    def _attach(
        self,
        process: ProcessId,
        started_ns: int = 0,
        *,
        parent: int | None,
        profile: Profile | None = None,
        relative: Target | None = None,
    ) -> Target:
        """Attach; ``parent``: the attachment it is a child of, 0: of none.

        None: its children are not followed. ``relative``: a target with the same code.
        """
        build, trusted = self._build, False
        if self._build_trusted is not None and self._trust(process.pid):
            build, trusted = self._build_trusted, True
        proc = self._device.attach(
            process.pid, children=parent is not None, trusted=trusted
        )
        try:
            # Not before: until its exec it has the memory of its parent.
            memory = self._open_memory(process.pid)
        except BaseException:
            self._device.detach(proc)
            raise
        target = Target(
            process,
            proc,
            self._device,
            memory,
            build,
            trusted=trusted,
            open_sampler=self._open_sampler,
            started_ns=started_ns or time.monotonic_ns(),
            profile=relative.profile.inherited() if relative else profile,
            history=relative.history if relative else None,
            policy=self._policy,
            log=self._log,
        )
        target.attached(time.monotonic())
        self._targets[proc] = target
        if parent is not None:
            self._parents[proc] = parent
            # Those that it has already; of later ones there will be events.
            self._children.add(descendants(process.pid), proc, time.monotonic())
        return target

    def _attach_child(self, pid: int, parent: int) -> None:
        """Attach a child of the attachment ``parent``, if it is admitted."""
        if any(target.process.pid == pid for target in self.targets):
            return
        if not self._admit(pid):
            return
        if len(self._targets) >= self._processes:
            self._log(
                f"process {pid} runs natively: limit of {self._processes} "
                "processes reached"
            )
            return
        try:
            target = self._attach(
                identify(pid, patience=0.05),
                parent=parent,
                relative=self._relative(parent),
            )
        except UbError:
            return  # it has ended, or cannot be boosted
        self.watch_end(target)
        self._log(f"attached to its child {pid} ({target.process.name})")

    def _relative(self, parent: int) -> Target | None:
        """The parent of a child, or another child of it, with the most branch targets.

        Addresses are the same in a forked child. After exec they differ, but a profile
        with them is harmless: they are no code, or are never executed.
        """
        relatives = [
            target
            for proc, target in self._targets.items()
            if parent and parent in (proc, self._parents.get(proc))
        ]
        return max(
            relatives,
            key=lambda target: len(target.profile.branch_targets),
            default=None,
        )

    def watch(
        self,
        fd: int,
        callback: Callable[[], None],
        events: int = selectors.EVENT_READ,
    ) -> None:
        """Call ``callback`` from the loop whenever ``fd`` is readable.

        ``events``: of ``selectors``; another call for the same ``fd`` changes them.
        """
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, callback)
        else:
            self._selector.register(fd, events, callback)

    def unwatch(self, fd: int) -> None:
        """Undo :meth:`watch`."""
        self._selector.unregister(fd)

    def watch_end(self, target: Target) -> None:
        """Notice the end of a process even without an event of the device."""
        try:
            fd = os.pidfd_open(target.process.pid)
        except ProcessLookupError:
            target.on_end()
            return

        def ended() -> None:
            self._unwatch_end(target)
            target.on_end()

        self._pidfds[target.proc] = fd
        self.watch(fd, ended)

    def _unwatch_end(self, target: Target) -> None:
        fd = self._pidfds.pop(target.proc, None)
        if fd is not None:
            self.unwatch(fd)
            os.close(fd)

    def run(self, until: Callable[[], bool]) -> None:
        """Run the loop until ``until()`` is true, evaluated after each round."""
        while not until():
            self.step(self.timeout)

    @property
    def is_over(self) -> bool:
        """Whether nothing is attached, and no child waits to be.

        A server that restarts itself may end before its successor is attached.
        """
        return not self._targets and self._children.due is None

    def step(self, timeout: float | None) -> None:
        """One round: wait at most ``timeout`` seconds, then do what is due."""
        for key, _ in self._selector.select(timeout):
            key.data()
        now = time.monotonic()
        self._children.tick(now)
        for target in self.targets:
            self._tick(target, now)
            if target.gone:
                self._finish(target)

    def serve(self, seconds: float) -> None:
        """Only what :meth:`watch` is for, until something came or ``seconds`` are over.

        Nothing is built, and events of the module wait for the next :meth:`step`.
        """
        self._selector.unregister(self._device.fileno())
        try:
            for key, _ in self._selector.select(seconds):
                key.data()
        finally:
            device = self._device.fileno()
            self._selector.register(device, selectors.EVENT_READ, self._drain)

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
                # Also children of a process that has ended meanwhile.
                self._children.add([event.target], self._origin(event), now)
                continue
            target = self._targets.get(event.proc)
            if target is not None:
                with self._left_native(target):
                    target.on_event(event, now)

    def _recover(self, now: float) -> None:
        """Events were lost: ask for the state of all targets, and for children."""
        for target in self.targets:
            with self._left_native(target):
                target.recover(now)
            if target.proc in self._parents:
                pids = descendants(target.process.pid)
                self._children.add(pids, target.proc, now)

    def _origin(self, event: Event) -> int:
        """The parent; 0 for a new program, which has other code than the parent."""
        return event.proc if event.type is EventType.FORK else 0

    def _tick(self, target: Target, now: float) -> None:
        with self._left_native(target):
            target.tick(now)

    @contextlib.contextmanager
    def _left_native(self, target: Target) -> Iterator[None]:
        """An exception within leaves the process native; the engine goes on."""
        try:
            yield
        except Exception as error:
            if os.environ.get("UBYPASS_DEBUG"):
                traceback.print_exc()
            target.stop(f"internal error, detached: {_describe(error)}")

    def _finish(self, target: Target) -> None:
        self._targets.pop(target.proc, None)
        self._unwatch_end(target)
        followed = self._parents.pop(target.proc, None) is not None
        target.close()
        if followed and is_alive(target.process):
            # It runs another program now: attach it anew.
            self._children.add([target.process.pid], 0, time.monotonic())
        self._finished.append(target.summary())


def _describe(error: Exception) -> str:
    if isinstance(error, UbError):
        return error.message
    return f"{type(error).__name__}: {error}"
