# SPDX-License-Identifier: GPL-2.0-only
"""The cost of one way to receive packets, and its form as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.bench.records import Machine, write_json
from ubypass.errors import UbError

__all__ = ["PacketRecord", "added", "read_packet_records", "write_packet_records"]


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """One receiver of UDP packets of ``size`` bytes on one machine.

    ``sum``: whether it adds up the payload. ``kind``: the key for comparisons, see
    :data:`ubypass.bench.packets.receivers.RECEIVERS`. ``runs``: time per packet of each
    run of ``packets`` packets, in the machine's unit, all work of the machine included.
    ``wrong``: number of runs in which packets, bytes or sum received differ from those
    sent. ``not_run``: why there is no figure, else ""; together with ``wrong``: the
    receiver failed after its start. ``dispatched``: share of the receiver's system
    calls that were dispatched, None if it was not boosted. ``command`` repeats the
    measurement; ``date`` is its date.
    """

    receiver: str
    kind: str
    size: int
    sum: bool
    runs: tuple[float, ...]
    packets: int
    wrong: int
    not_run: str
    dispatched: float | None
    command: str
    date: str
    machine: Machine

    @property
    def cost(self) -> float | None:
        """Median time per packet; None without runs."""
        return statistics.median(self.runs) if self.runs else None

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        cost = self.cost
        own = dataclasses.asdict(self)
        del own["machine"]
        return {
            **own,
            "unit": self.machine.unit,
            "cost": None if cost is None else round(cost, 1),
            "runs": [round(run, 1) for run in self.runs],
            **dataclasses.asdict(self.machine),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PacketRecord:
        """The inverse of :meth:`as_json`; derived values are recomputed."""
        own, where = (
            {f.name: _frozen(data[f.name]) for f in fields if f.name in data}
            for fields in (dataclasses.fields(cls), dataclasses.fields(Machine))
        )
        return cls(**own, machine=Machine(**where))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def added(record: PacketRecord, records: Sequence[PacketRecord]) -> float | None:
    """The cost of the receiver beyond sending a packet and the kernel's stack.

    The difference to the record among ``records`` of the same size and sum with nothing
    attached; None if one of the two was not run.
    """
    for other in records:
        if (other.kind, other.size, other.sum) == ("stack", record.size, record.sum):
            if record.cost is None or other.cost is None:
                return None
            return record.cost - other.cost
    return None


def write_packet_records(path: Path, records: Sequence[PacketRecord]) -> None:
    """Write an array of records. Raises UbError."""
    write_json(path, [record.as_json() for record in records])


def read_packet_records(data: Sequence[dict[str, Any]]) -> list[PacketRecord]:
    """Parse the array of :func:`write_packet_records`. Raises UbError."""
    try:
        return [PacketRecord.from_json(item) for item in data]
    except (ValueError, TypeError, KeyError) as error:
        raise UbError("these are not records of 'ub bench packets'") from error
