# SPDX-License-Identifier: GPL-2.0-only
"""Each verb is a module of its name, and a new one is a new file."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import pytest

from ubypass.cli import main
from ubypass.cli.verbs import Verb, add_verbs, group, verbs_below

_MODULE = """
from ubypass.cli.verbs import Verb
VERB = Verb("{name}", "about {name}", lambda parser: None, lambda args: {status})
"""


def _verb(name: str) -> Verb:
    verb = importlib.import_module(f"ubypass.cli.{name}").VERB
    assert isinstance(verb, Verb)
    return verb


@pytest.mark.parametrize("name", main.VERBS)
def test_a_verb_is_named_as_its_module(name: str) -> None:
    verb = _verb(name)
    assert verb.name == name
    if verb.run is None:
        below = [each.name for each in verbs_below(f"ubypass.cli.{name}")]
        assert below == sorted(below)
        assert below
        for each in below:
            module = importlib.import_module(f"ubypass.cli.{name}.{each}")
            assert module.VERB.name == each
            assert module.VERB.run is not None


def test_a_new_module_is_a_new_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "played"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "second.py").write_text(_MODULE.format(name="second", status=2))
    (package / "first.py").write_text(_MODULE.format(name="first", status=1))
    (package / "helper.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    verb = group("played", "a group")
    assert (verb.name, verb.help, verb.run) == ("played", "a group", None)
    assert [each.name for each in verbs_below("played")] == ["first", "second"]
    parser = argparse.ArgumentParser()
    add_verbs(parser, [verb])
    args = parser.parse_args(["played", "second"])
    assert args.run(args) == 2
    for name in [name for name in sys.modules if name.partition(".")[0] == "played"]:
        monkeypatch.delitem(sys.modules, name)


def test_one_of_them_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_verbs(parser, [Verb("go", "do it", lambda parser: None, lambda args: 0)])
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "required: VERB" in capsys.readouterr().err
