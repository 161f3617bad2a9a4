# SPDX-License-Identifier: GPL-2.0-only
"""Random regions with branches, loops, calls and system calls.

The programs come from :mod:`tests.translate.programs`; here they also grow, as under
``ub``: what was missing is added and all is translated anew.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.fuzz.subject import Subject, layout_for
from tests.translate.assemble import assemble
from tests.translate.programs import Program
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader

__all__ = ["region_subject"]


def region_subject(seed: int) -> Subject:
    """Program number ``seed``, of which some or all is known."""
    rng = random.Random(seed)
    text, layout = layout_for(rng)
    program = Program(seed, layout.data, gate=seed % 3 == 2)
    code, labels = assemble(program.text(), text)
    hot = tuple(HotEntry(labels[name], nr) for name, nr in program.resumes)
    if rng.random() < 0.5:
        # In the order in which they are met, or in any other.
        hot = tuple(rng.sample(hot, len(hot)))
    count = rng.choice((1, len(hot), rng.randint(1, len(hot))))
    region = discover(RegionSpec(hot[:count]), BytesReader({text: code}))
    if rng.random() < 0.5:
        # As if ways through it had been traced.
        share = rng.random()
        known = (start for start in region.blocks if rng.random() < share)
        region = replace(region, traced=frozenset(known))
    return Subject(
        name=f"program {seed}",
        code={text: code},
        region=region,
        layout=layout,
        blocks=len(region.blocks),
    )
