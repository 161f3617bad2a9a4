# SPDX-License-Identifier: GPL-2.0-only
"""All kinds of records that documents can describe."""

from __future__ import annotations

from ubypass.bench.documents.chains import CHAINS
from ubypass.bench.documents.functions import FUNCTIONS
from ubypass.bench.documents.gaps import GAPS
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.packets import PACKETS
from ubypass.bench.documents.replayed import REPLAYED
from ubypass.bench.documents.rivals import RIVALS
from ubypass.bench.documents.servers import SERVERS

__all__ = ["KINDS"]

KINDS: tuple[Kind, ...] = (
    LOOPS,
    RIVALS,
    SERVERS,
    PACKETS,
    CHAINS,
    GAPS,
    REPLAYED,
    FUNCTIONS,
)
