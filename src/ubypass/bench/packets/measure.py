# SPDX-License-Identifier: GPL-2.0-only
"""Measures each way to receive packets, one after another, over one wire in one boot.

The measuring process sleeps during the runs. A time is that of the one processor that
does all the work: it includes the kernel's work on behalf of the sender, in interrupts,
and for wake-ups.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ubypass.bench.packets.network import Network, network
from ubypass.bench.packets.receivers import RECEIVERS, Case, Kind, Receiver
from ubypass.bench.packets.record import PacketRecord
from ubypass.bench.records import Machine, today
from ubypass.bench.server.attachment import Attachment
from ubypass.bench.server.measure import Plan as Settling
from ubypass.bench.server.measure import settle
from ubypass.device.client import DEVICE_PATH
from ubypass.errors import UbError

__all__ = ["Plan", "measure_all"]


@dataclass(frozen=True, slots=True)
class Plan:
    """``runs`` of ``packets`` each; ``settling``: the wait before boosted runs."""

    packets: int = 10_000
    runs: int = 5
    settling: Settling = field(default_factory=Settling)


@dataclass(frozen=True, slots=True)
class _Found:
    """Loads of a receiver, and the share of its calls dispatched; or the failure."""

    runs: tuple[float, ...] = ()
    wrong: int = 0
    dispatched: float | None = None
    why_not: str = ""


def measure_all(
    cases: Sequence[Case],
    machine: Machine,
    plan: Plan,
    command: str,
    progress: Callable[[str], None] = lambda step: None,
    receivers: Sequence[Kind] = RECEIVERS,
) -> Iterator[PacketRecord]:
    """Measure all receivers in each case; yields each record at once.

    A receiver that cannot be started, or that fails later, has a record with the
    reason; in the second case the record is also wrong. Needs root; raises UbError
    without the wire.
    """
    with _one_processor(), network() as wire:
        for case in cases:
            for kind in receivers:
                progress(f"{case}: {kind.name}")
                found = _measured(kind, wire, case, plan)
                yield PacketRecord(
                    receiver=kind.name,
                    kind=kind.key,
                    size=case.size,
                    sum=case.sum,
                    runs=found.runs,
                    packets=plan.packets,
                    wrong=found.wrong,
                    not_run=found.why_not,
                    dispatched=found.dispatched,
                    command=command,
                    date=today(),
                    machine=machine,
                )


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """Run this process and its children on one processor.

    Otherwise sender and receiver would run in parallel, and the time would be no sum.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _measured(kind: Kind, wire: Network, case: Case, plan: Plan) -> _Found:
    """The findings for one receiver; a failure after its start is wrong."""
    if kind.boosted and not Path(DEVICE_PATH).exists():
        return _Found(why_not="the module ub is not loaded")
    with contextlib.ExitStack() as stack:
        try:
            receiver = stack.enter_context(kind.open(wire, case))
        except UbError as error:
            return _Found(why_not=_line(error))
        try:
            # Page faults, lazy binding and routes are not measured.
            first = receiver.load(plan.packets)
            found = _boosted(receiver, plan) if kind.boosted else _run(receiver, plan)
        except UbError as error:
            return _Found(wrong=1, why_not=_line(error))
    return replace(found, wrong=found.wrong + first.checked.wrong)


def _line(error: UbError) -> str:
    return " ".join(error.message.split())


def _run(receiver: Receiver, plan: Plan) -> _Found:
    loads = [receiver.load(plan.packets) for _ in range(plan.runs)]
    return _Found(
        tuple(load.elapsed_ns / load.requests for load in loads),
        sum(load.checked.wrong for load in loads),
    )


def _boosted(receiver: Receiver, plan: Plan) -> _Found:
    pids = receiver.serving()
    with Attachment(pids) as boost:
        settle(receiver, boost, plan.settling)
        before = boost.figures(pids)
        found = _run(receiver, plan)
        after = boost.figures(pids)
    time.sleep(plan.settling.unhook)
    calls = after.calls - before.calls
    dispatched = after.dispatched - before.dispatched
    return _Found(found.runs, found.wrong, dispatched / calls if calls else 0.0)
