# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ubypass.bench import handler
from ubypass.bench.workloads import build_program
from ubypass.errors import UbError
from ubypass.places import kernel_sources

_PROGRAM = """
#include <stddef.h>
#include <stdio.h>
#include "ub_bench.h"
#define FIELD(f) printf(#f " %zu\\n", offsetof(struct ub_bench_run, f));
int main(void)
{
    FIELDS
    printf("size %zu\\nioctl %lu\\nno_advance %u\\nmax_count %u\\n",
           sizeof(struct ub_bench_run), (unsigned long)UB_BENCH_IOC_RUN,
           UB_BENCH_NO_ADVANCE, UB_BENCH_MAX_COUNT);
    return 0;
}
"""


def test_mirrors_the_header(tmp_path: Path) -> None:
    names = [field[0] for field in handler.UbBenchRun._fields_]
    fields = "".join(f"FIELD({name})" for name in names)
    source = tmp_path / "layout.c"
    source.write_text(_PROGRAM.replace("FIELDS", fields))
    include = f"-I{kernel_sources() / 'bench'}"
    program = build_program(source, tmp_path / "layout", include)
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    said = dict(line.split() for line in out.splitlines())
    expected = {name: getattr(handler.UbBenchRun, name).offset for name in names}
    expected |= {
        "size": handler.ctypes.sizeof(handler.UbBenchRun),
        "ioctl": handler.IOC_RUN,
        "no_advance": handler.NO_ADVANCE,
        "max_count": handler.MAX_COUNT,
    }
    assert {name: int(value) for name, value in said.items()} == expected


def test_bookkeeping_is_taken_off() -> None:
    assert handler.HandlerTime(loop=101.0, empty=19.0, last=1, sum=5).handler == 82.0


def test_without_the_module(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot open") as caught:
        handler.run(110, (), 10, path=str(tmp_path / "none"))
    assert "make demo" in caught.value.hint


def test_a_device_that_is_another() -> None:
    with pytest.raises(UbError, match="cannot run the handler of system call 110"):
        handler.run(110, (), 10, path="/dev/null")
