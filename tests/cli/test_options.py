# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import pytest

from ubypass.cli.main import parser
from ubypass.cli.options import number, seconds, whole
from ubypass.errors import UbError


def test_numbers() -> None:
    assert number("42") == 42
    for word in ("0x", "", "--1", "1_0", "\u0663", "9" * 50):
        with pytest.raises(UbError) as caught:
            number(word)
        assert caught.value.exit_code == 2


def _said(parse: Callable[[str], object], word: str) -> str:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse(word)
    return str(caught.value)


def test_types_say_what_they_want_without_names_from_the_source() -> None:
    assert whole()("0") == 0
    assert whole(-5)("-5") == -5
    assert _said(whole(), "x") == "'x' is not a whole number"
    assert _said(whole(1, 8), "0") == "0 is less than 1"
    assert _said(whole(1, 8), "9") == "9 is more than 8"
    assert seconds(0.5, 10)("1.5") == 1.5
    assert _said(seconds(0.5, 10), "soon") == "'soon' is not a number of seconds"
    for word in ("0", "11", "nan", "inf"):
        assert "is not between 0.5 and 10 seconds" in _said(seconds(0.5, 10), word)


def _options(
    below: argparse.ArgumentParser, words: str = "ub"
) -> Iterator[tuple[str, argparse.Action]]:
    """The options of all verbs, with the words of the verb."""
    for action in below._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield from _options(verb, f"{words} {name}")
        else:
            yield words, action


def _declared(option: str, metavar: str | None) -> dict[str, argparse.Action]:
    """By verb: what is declared as ``option`` with ``metavar``."""
    return {
        words: action
        for words, action in _options(parser())
        if option in action.option_strings and action.metavar == metavar
    }


@pytest.mark.parametrize(
    ("option", "metavar", "verbs"),
    [("--json", "FILE", 9), ("--html", "FILE", 2), ("--runs", "N", 4)],
)
def test_verbs_declare_the_same_option_alike(
    option: str, metavar: str, verbs: int
) -> None:
    found = _declared(option, metavar)
    assert len(found) >= verbs
    assert len({action.help for action in found.values()}) == 1
    first = next(iter(found.values()))
    assert all(action.default == first.default for action in found.values())


def test_an_option_has_one_metavar_for_one_kind_of_value() -> None:
    for option in ("--model", "--kernel", "--suite", "--interval", "--size"):
        metavars = {
            str(action.metavar)
            for _, action in _options(parser())
            if option in action.option_strings
        }
        assert len(metavars) == 1, option


def test_every_option_has_help() -> None:
    without = [
        f"{words} {'/'.join(action.option_strings) or action.dest}"
        for words, action in _options(parser())
        if not action.help
    ]
    assert without == []
