# SPDX-License-Identifier: GPL-2.0-only
"""What a run costs, way in and out, in instructions of the module's own code.

The code is that of the replay program (``ubypass.bench.chains``): compiled for user
mode, for a processor without SMAP and without retpolines. Here it is stepped through,
so the figure is exact, needs no virtual machine, and can be given by functions.
``test_overhead.py`` counts the same in a kernel.
"""

from __future__ import annotations

import subprocess
from bisect import bisect_right
from collections import Counter
from pathlib import Path

import pytest

from ubypass.bench.chains.programs import module_program

_HERE = Path(__file__).parent

#: The code of the program itself, which stands for a handler and its caller.
_OWN = frozenset({"ub_call_body", "ub_step_end"})
_CODE = "ub_arena"

#: Addresses and names, by address.
Symbols = list[tuple[int, str]]


@pytest.fixture(scope="module")
def program() -> Path:
    """The module's code with a program around it that steps through it."""
    return module_program("run_user", (_HERE / "run_user.c").read_bytes())


@pytest.fixture(scope="module")
def symbols(program: Path) -> Symbols:
    """Addresses and names of all symbols, by address."""
    done = subprocess.run(["nm", program], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return sorted((int(row[0], 16), row[2]) for row in rows if len(row) == 3)


def _steps(program: Path, symbols: Symbols, *arguments: str) -> Counter[str]:
    """How many instructions are executed in each function."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    addresses = [address for address, _ in symbols]
    return Counter(
        symbols[bisect_right(addresses, int(line, 16)) - 1][1]
        for line in done.stdout.split()
    )


def _cost(counted: Counter[str]) -> int:
    """All but the handler and its caller, and the code of the region."""
    print(*(f"{n:5} {name}" for name, n in counted.most_common()), sep="\n")
    return sum(n for name, n in counted.items() if name not in _OWN | {_CODE})


def test_a_run(program: Path, symbols: Symbols) -> None:
    counted = _steps(program, symbols, "1")
    assert _cost(counted) <= 230
    # The functions that are enough for it save no registers and call nothing.
    assert set(counted) - _OWN - {_CODE} == {
        *("ub_call", "ub_trampoline", "ub_after", "ub_enter", "ub_leave", "ub_left"),
    }


def test_a_run_without_a_dispatch(program: Path, symbols: Symbols) -> None:
    counted = _steps(program, symbols, "0")
    assert counted[_CODE] == 2  # it is entered, and left
    assert _cost(counted) <= 276


def test_a_dispatch(program: Path, symbols: Symbols) -> None:
    counted = _steps(program, symbols, "1")
    # With the two instructions of the exit; in a kernel two more for SMAP.
    assert counted[_CODE] <= 26


def test_a_parked_site(program: Path, symbols: Symbols) -> None:
    assert _cost(_steps(program, symbols, "2")) <= 21


def test_another_call_at_the_address_of_an_entry(
    program: Path, symbols: Symbols
) -> None:
    """It is another site: nothing of the region runs."""
    assert _CODE not in _steps(program, symbols, "3")
