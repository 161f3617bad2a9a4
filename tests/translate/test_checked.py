# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.places import ROOT
from tests.translate.checked import checking, compiled
from tests.translate.test_golden import GOLDEN, build, cases
from ubypass.errors import UbError
from ubypass.translate import block
from ubypass.translate.context import Context


def test_states_agree_with_themselves_everywhere() -> None:
    environment = {**os.environ, "UBYPASS_PURE": "1"}
    command = [sys.executable, "-m", "tests.translate.checked"]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = ast.literal_eval(done.stdout)
    assert min(counts[place] for place in ("instruction", "block", "edge")) > 1000


@pytest.mark.skipif(compiled(), reason="compiled modules cannot be wrapped")
def test_a_contradiction_is_found_where_it_arises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower_one = block._lower_one

    def wrong(context: Context, *rest: object) -> None:
        lower_one(context, *rest)
        context.state.loc[3] = 3

    monkeypatch.setattr(block, "_lower_one", wrong)
    counts: Counter[str] = Counter()
    checking(monkeypatch.setattr, counts)
    _, source, _ = cases(sorted(GOLDEN.glob("*.txt"))[0])[0]
    with pytest.raises(UbError, match="contradicts itself"):
        build(source)
    assert counts["instruction"] == 0
