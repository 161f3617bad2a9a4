# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.bench.documents.samples import RECORDS
from tests.page.wellformed import problems
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.table import KINDS
from ubypass.page import html, markdown
from ubypass.page.content import plots


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.command)
def test_each_kind_can_be_shown(kind: Kind) -> None:
    records = RECORDS[kind]
    section = kind.section(records)
    assert problems(html.section(section, "s")) == []
    assert kind.command in markdown.section(section)
    assert kind.findings(records)
    for origin in kind.origins(records):
        assert origin.command.startswith(kind.command)
        assert section.label == origin.standard.value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.command)
def test_each_plot_of_a_record_says_how_to_repeat_it(kind: Kind) -> None:
    for plot in plots([kind.section(RECORDS[kind])]):
        assert plot.command.startswith(kind.command)


def test_no_kind_is_taken_for_another() -> None:
    for kind in KINDS:
        for other in KINDS:
            assert kind is other or not kind.keys <= other.keys
