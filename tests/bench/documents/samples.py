# SPDX-License-Identifier: GPL-2.0-only
"""Made-up records of each kind, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.bench.chains.samples import made_up, replayed
from tests.bench.packets.samples import table_of_records
from tests.bench.samples import ICOUNT, record
from tests.bench.server.samples import server_record
from tests.bench.test_functions import timing
from tests.bench.uring.samples import comparison
from ubypass.bench.chains.decisions import Decision, Decisions
from ubypass.bench.chains.figures import figures
from ubypass.bench.documents.chains import CHAINS, Chain
from ubypass.bench.documents.functions import FUNCTIONS
from ubypass.bench.documents.gaps import GAPS
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.packets import PACKETS
from ubypass.bench.documents.replayed import REPLAYED
from ubypass.bench.documents.rivals import RIVALS
from ubypass.bench.documents.servers import SERVERS
from ubypass.bench.replay import Replayed
from ubypass.bench.server.gaps import Gap
from ubypass.cost.model import Range
from ubypass.page.content import Words

ISOLATED = replace(ICOUNT, page_table_isolation=True)
SKYLAKE = replace(
    ISOLATED,
    cpu="Intel Xeon Processor (Skylake)",
    mitigations=(
        "mds: Vulnerable: Clear CPU buffers attempted, no microcode",
        "meltdown: PTI",
        "spectre_v2: Retpolines; STIBP: disabled; RSB filling",
    ),
)
MILAN = replace(
    ICOUNT,
    cpu="AMD EPYC-Milan Processor",
    mitigations=("spec_rstack_overflow: Safe RET",),
)
XEON = "Intel(R) Xeon(R) Processor (GenuineIntel, family 6, model 207)"

__all__ = [
    "ICOUNT",
    "ISOLATED",
    "MILAN",
    "RECORDS",
    "SKYLAKE",
    "XEON",
    "chain",
    "gap",
    "made_up",
    "said",
    "sentences",
]


def chain(wrong: int = 0, model: str = "zen4") -> Chain:
    gaps = (
        Decision("read", "write", 1, Range(-9, 40, 99), 55),
        Decision("write", "read", 1, Range(-99, -30, 9), -50),
    )
    found = figures(replayed(wrong=wrong), XEON)
    return Chain(found, None if wrong else Decisions(model, gaps))


def gap(**changes: Any) -> Gap:
    values: dict[str, Any] = {
        "server": "loop",
        "case": "pread 64",
        "site": "libc.so.6+0x10",
        "call": "pread64",
        "following": "pread64",
        "share": 1.0,
        "least": 22,
        "median": 22,
        "most": 23,
        "translated": 35,
        "growth": 1.59,
    }
    return Gap(**(values | changes))


#: A record of each kind.
RECORDS: Mapping[Kind, Sequence[Any]] = {
    LOOPS: (record(),),
    SERVERS: (server_record(),),
    PACKETS: tuple(table_of_records()),
    RIVALS: tuple(comparison()),
    CHAINS: (chain(),),
    GAPS: (gap(),),
    REPLAYED: (Replayed("redis", 4, 1, 500, 0.5, 0.2, XEON),),
    FUNCTIONS: (timing(),),
}


def said(words: Words) -> str:
    return "".join(
        piece if isinstance(piece, str) else f"<{piece.text}>" for piece in words
    )


def sentences(kind: Kind, *records: Any) -> str:
    """What is found, a line each."""
    return "\n".join(said(words) for words in kind.findings(records))
