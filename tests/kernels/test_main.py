# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.kernels import __main__ as main
from tests.kernels.checks import Check, Result


def test_the_counted_boot_keeps_what_the_kernel_says_against_attacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def capture(command: list[str], *_: object, **__: object) -> SimpleNamespace:
        check, found = Check.BOOTED, "meltdown: PTI"
        if Check.COST.value in command:
            check, found = Check.COST, "getppid 347 → 135"
        line = json.dumps({"check": check.value, "good": True, "found": found})
        return SimpleNamespace(
            status=0, stdout=line.encode(), stderr=b"", log_problems=()
        )

    monkeypatch.setattr(main, "capture", capture)
    result = Result("trixie-skylake", "6.12", "gcc-14")
    main._boot(result, lambda phrase: None)
    main._boot(result, lambda phrase: None, counted=True)
    assert result.found[Check.BOOTED] == "meltdown: PTI"
    assert result.found[Check.COST] == "getppid 347 → 135"
    assert result.good == {"booted": True, "log": True, "counted": True}
