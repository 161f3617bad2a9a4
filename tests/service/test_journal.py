# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import json

from ubypass.service.journal import Journal, Level


def _journal(**options: object) -> tuple[Journal, io.StringIO]:
    out = io.StringIO()
    return Journal(out, **options), out  # type: ignore[arg-type]


def test_lines_are_words_with_keys() -> None:
    journal, out = _journal()
    journal.say("attached", pid=7, name="nginx", rate=0.5, paused=True, note=None)
    assert out.getvalue() == ("event=attached pid=7 name=nginx rate=0.5 paused=yes\n")


def test_names_make_up_neither_lines_nor_keys() -> None:
    journal, out = _journal()
    journal.say("attached", name='a b\nevent=x "y" \x1b[2J é')
    (line,) = out.getvalue().splitlines()
    assert line == r'event=attached name="a b\nevent=x \"y\" \u001b[2J \u00e9"'


def test_levels_are_for_journald() -> None:
    journal, out = _journal(levels=True)
    journal.say("a")
    journal.say("b", Level.ERROR)
    assert out.getvalue() == "<6>event=a\n<3>event=b\n"


def test_json() -> None:
    journal, out = _journal(as_json=True)
    journal.say("attached", pid=7, note=None)
    assert json.loads(out.getvalue()) == {
        "version": 1,
        "event": "attached",
        "level": "info",
        "pid": 7,
        "note": None,
    }


def test_many_of_a_kind_are_counted() -> None:
    now = 0.0
    journal, out = _journal(clock=lambda: now)
    for _ in range(50):
        journal.say("attached")
    journal.say("paused")
    assert len(out.getvalue().splitlines()) == 21
    now = 11.0
    journal.say("attached")
    assert out.getvalue().splitlines()[-1] == "event=attached suppressed=30"


def test_a_terminal_that_is_gone_hurts_nobody() -> None:
    journal, out = _journal()
    out.close()
    journal.say("attached")
