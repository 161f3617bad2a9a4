# SPDX-License-Identifier: GPL-2.0-only
"""The meaning of packet records in sentences, for terminals and documents.

Each sentence holds for all possible figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.bench.packets.record import PacketRecord, added

__all__ = [
    "MEANING",
    "bypassed",
    "not_run",
    "price",
    "prices",
    "received",
    "wrong",
]

MEANING = (
    "A figure covers all work of the machine for one packet, with the sender and the "
    "network stack; without a receiver, these alone. XDP sees a packet before the "
    "stack, and suits tasks that fit into such a program completely: there it is "
    "much faster than a socket and its reader, and a dropped packet skips the stack. "
    "Here it runs after the driver (generic mode); the veth driver would first copy "
    "each packet into a page, as two rows show, while the driver of a network card "
    "needs no copy. AF_XDP passes packets to a user program, past the stack. A ring "
    "and a raw socket get copies of packets that the stack continues to process; a "
    "ring needs no system call per packet, but a program written for it. Any "
    "unmodified program can read a raw socket, boosted or not."
)


def prices(records: Sequence[PacketRecord]) -> list[str]:
    """For each size and sum, one sentence about the costs of the receivers."""
    cases = dict.fromkeys((record.size, record.sum) for record in records)
    return [line for case in cases if (line := _prices(records, *case))]


def _prices(records: Sequence[PacketRecord], size: int, add: bool) -> str:
    of = {r.kind: r for r in records if (r.size, r.sum) == (size, add)}
    costs = [
        (words, figure)
        for kind, words in (
            ("xdp-pass", "XDP that counts"),
            ("ring", "a ring and its reader"),
            ("raw", "a raw socket and its reader"),
            ("raw-boosted", "the same boosted"),
        )
        if kind in of and (figure := added(of[kind], records)) is not None
    ]
    if "stack" not in of or of["stack"].cost is None or not costs:
        return ""
    return (
        f"{size} bytes{', summed' if add else ''}: sending and the stack take "
        f"{of['stack'].cost:,.0f} {of['stack'].machine.short_unit}; "
        + ", ".join(f"{words} {figure:+,.0f}" for words, figure in costs)
        + "."
    )


def price(
    of: Sequence[PacketRecord], records: Sequence[PacketRecord]
) -> tuple[str, float | None]:
    """The cost and the added cost of the first of ``of``, for tables.

    The cost is a number, "not run", or "" without a record; the added cost is None
    where there is none.
    """
    if not of or of[0].cost is None:
        return "not run" if of else "", None
    more = None if of[0].kind == "stack" else added(of[0], records)
    return f"{of[0].cost:,.0f}", more


def not_run(records: Sequence[PacketRecord]) -> list[str]:
    """A line for each receiver that was not run, with the reason."""
    lines = [
        f"{r.receiver}: not run: {r.not_run}"
        for r in records
        if r.not_run and not r.wrong
    ]
    return list(dict.fromkeys(lines))


def wrong(records: Sequence[PacketRecord]) -> list[str]:
    """A line for each receiver that failed or received wrong data."""
    return [
        f"{r.receiver}, {r.size} bytes{', sum' if r.sum else ''}: "
        + (
            f"FAILED: {r.not_run}"
            if r.not_run
            else f"WRONG number, size or sum in {r.wrong} runs"
        )
        for r in records
        if r.wrong
    ]


def bypassed(records: Sequence[PacketRecord]) -> str:
    """The smallest share of calls dispatched; "" if no receiver was boosted."""
    shares = [r.dispatched for r in records if r.dispatched is not None]
    # Never rounded up: 99.96 % is not all.
    return f"{int(min(shares) * 1000) / 10:.1f}%" if shares else ""


def received(records: Sequence[PacketRecord]) -> str:
    """The data received are "right" or "WRONG"; "" if nothing was run."""
    if any(record.wrong for record in records):
        return "WRONG"
    return "right" if any(record.runs for record in records) else ""
