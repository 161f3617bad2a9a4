# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from tests.page.samples import section
from ubypass.page.content import Column, Table, plots


def test_a_row_that_does_not_fit_its_columns() -> None:
    columns = (Column("a"), Column("b"))
    assert Table("t", columns, (("1", "2"),)).rows == (("1", "2"),)
    with pytest.raises(ValueError, match="does not fit"):
        Table("t", columns, (("1",),))


def test_cells_are_text() -> None:
    cell: Any = None
    with pytest.raises(TypeError, match="None is no text"):
        Table("t", (Column("a"),), ((cell,),))


def test_plots_in_all_depths() -> None:
    assert len(list(plots([section(), section()]))) == 6
