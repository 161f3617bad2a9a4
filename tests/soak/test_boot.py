# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Sequence

from tests.soak.boot import RESULT, boot
from ubypass.lab.options import LabOptions, LabResult


def test_the_guest_has_two_processors_and_time_to_end() -> None:
    asked: list[tuple[Sequence[str], LabOptions]] = []

    def run(command: Sequence[str], options: LabOptions) -> LabResult:
        asked.append((command, options))
        return LabResult(0, b"", b"", ("BUG: x",), "", 1.0)

    # Complaints of the kernel count, whatever the programs say.
    assert boot(run, 90.0, "word", pti=True, cpu="Nehalem").exit_status == 70
    ((command, options),) = asked
    assert command[1:] == ["-m", "tests.soak.inside", "90", "word", str(RESULT)]
    assert options.cpu_count == 2
    assert options.log_check
    assert "pti=on" in options.parameters
    assert options.cpu_model == "Nehalem"
    assert options.timeout > 90 + 600
