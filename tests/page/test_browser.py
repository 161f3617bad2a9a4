# SPDX-License-Identifier: GPL-2.0-only
"""Pages as a real browser shows them, on a phone and on a desk, by day and by night."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import browser
from tests.bench.documents.samples import RECORDS, SKYLAKE
from tests.bench.samples import record
from tests.bench.server.samples import beside, runs, server_record
from tests.cli.live_samples import explained, process, region, site
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.report import report
from ubypass.bench.documents.servers import SERVERS
from ubypass.cli import live_page

pytestmark = pytest.mark.skipif(
    browser.found() is None,
    reason=f"no browser: make test installs {browser.PACKAGE}",
)

_PAGES = ("report", "stats", "explain")
_LONG = "GET 16384, pipeline 16, two workers and a log"
_HUGE = 1 << 40
_VIEWS = [(400, False), (400, True), (1200, False), (1200, True)]

_ENOUGH = 4.5  # contrast of text, as WCAG 2 (AA) has it

#: Pairs of what pictures are called, of all kinds of pictures.
_NAMED = """[...document.querySelectorAll('img, svg')].map(
    e => e.tagName == 'img' ? e.alt : e.getAttribute('aria-label'))"""

#: Words of plots that reach out of their picture by more than two pixels.
_CUT = """[...document.querySelectorAll('svg text')].filter(e => {
    const inner = e.getBoundingClientRect();
    const outer = e.closest('svg').getBoundingClientRect();
    return inner.left < outer.left - 2 || inner.right > outer.right + 2 ||
        inner.top < outer.top - 2 || inner.bottom > outer.bottom + 2;
}).map(e => e.textContent)"""

_SMALLEST = """Math.min(...[...document.querySelectorAll('svg text')].map(
    e => e.getBoundingClientRect().height))"""

#: Colours of all texts.
_COLOURS = """[...new Set([...document.querySelectorAll(
    'h1, h2, h3, p, li, td, th, a, code, strong, figcaption, .label, svg text'
)].map(e => getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color']))]"""

_OVERFLOW = """[...document.querySelectorAll('.box')].map(
    e => getComputedStyle(e).overflowX)"""

_BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A report with all kinds of records, and the pages of live processes; with words
    that are too long.
    """
    folder = tmp_path_factory.mktemp("page")
    files = {name: folder / f"{name}.html" for name in _PAGES}
    files["report"].write_text(report(_batches()), encoding="utf-8")
    many = [process(pid=n, name=_LONG, calls=1000 + n) for n in range(30)]
    stats = {"version": 1, "processes": [*many, process(declined_for="ptrace")]}
    live_page.write_stats(files["stats"], stats)
    sites = [site(), site(symbol=f"{_LONG}+0x10", boosted_ns=99_999)]
    whole = explained(sites=sites, regions=[region(), {**region(), "region": 4}])
    live_page.write_explanation(files["explain"], whole)
    return files


def _batches() -> list[Batch]:
    batches = [
        batch(Path(f"{n}.json"), kind, records, "[]")
        for n, (kind, records) in enumerate(RECORDS.items())
    ]
    others = [record(machine=SKYLAKE), record(machine=SKYLAKE, size=_HUGE)]
    batches.append(batch(Path("io-skylake.json"), LOOPS, others, "[]"))
    many = [
        server_record(
            case=f"{_LONG} {n}", boosted=runs(9_000 + 100 * n), notes=(_LONG,), wrong=n
        )
        for n in range(16)
    ]
    rivals = [beside(), beside(runs=(), not_run=_LONG)]
    return [*batches, batch(Path("many.json"), SERVERS, [*many, *rivals], "[]")]


@pytest.fixture(
    scope="module",
    params=list(itertools.product(_PAGES, _VIEWS)),
    ids=lambda v: f"{v[0]}-{v[1][0]}-{'dark' if v[1][1] else 'light'}",
)
def page(
    request: pytest.FixtureRequest, files: Mapping[str, Path]
) -> Iterator[browser.Page]:
    """Each page in each view, with everything unfolded."""
    name, (width, dark) = request.param
    with browser.opened() as page:
        page.open(files[name], width, dark)
        page.value("document.querySelectorAll('details').forEach(e => e.open = true)")
        yield page


def test_nothing_goes_wrong_and_nothing_is_fetched(page: browser.Page) -> None:
    assert page.told("Log.entryAdded") == []
    assert page.told("Runtime.exceptionThrown") == []
    assert page.told("Runtime.consoleAPICalled") == []
    asked = [
        event["request"]["url"] for event in page.told("Network.requestWillBeSent")
    ]
    assert [url.partition(":")[0] for url in asked if url != "data:,"] == ["file"]


def test_only_boxes_of_their_own_scroll_sideways(page: browser.Page) -> None:
    width = page.value("document.documentElement.scrollWidth")
    assert width <= page.width
    assert set(page.value(_OVERFLOW)) == {"auto"}


def test_pictures_have_alternative_texts_and_cut_no_words(page: browser.Page) -> None:
    names = page.value(_NAMED)
    assert len(names) > 1
    assert all(names)
    assert page.value(_CUT) == []


def test_words_of_plots_are_large_enough(page: browser.Page) -> None:
    assert page.value(_SMALLEST) >= 11


def test_texts_stand_out_from_the_page(page: browser.Page) -> None:
    background = _luminance(page.value(_BACKGROUND))
    colours = page.value(_COLOURS)
    assert len(colours) > 3
    for colour in colours:
        assert _contrast(_luminance(colour), background) >= _ENOUGH, colour


def test_the_scheme_is_the_reader_s(files: Mapping[str, Path]) -> None:
    found = []
    for dark in (False, True):
        with browser.opened() as page:
            page.open(files["report"], 400, dark)
            found.append(_luminance(page.value(_BACKGROUND)))
    assert found[0] > 0.9
    assert found[1] < 0.05


def _luminance(colour: str) -> float:
    """Of ``rgb(r, g, b)``, relative, as WCAG 2 defines it."""
    numbers = colour.removeprefix("rgb(").removesuffix(")").split(",")
    channels = [int(number) / 255 for number in numbers]
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
