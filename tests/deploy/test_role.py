# SPDX-License-Identifier: GPL-2.0-only
"""The Ansible role, read; it runs in ``make test-deploy``."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.usage import documents, parse, table
from tests.places import ROOT
from ubypass.service import config
from ubypass.version import VERSION

_PLAYS = ROOT / "deploy" / "ansible"
_ROLE = _PLAYS / "roles" / "ubypass"
_README = (_PLAYS / "README.md").read_text("utf-8")
_FILES = sorted(_PLAYS.rglob("*.yml"))
_UNIT = "/usr/lib/systemd/system/ubypass.service"


def _load(path: Path) -> Any:
    (found,) = documents(path)
    return found


_DEFAULTS = _load(_ROLE / "defaults" / "main.yml")
_OPTIONS = _load(_ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"][
    "options"
]


def _tasks(path: Path) -> Iterator[dict[str, Any]]:
    """All tasks of a file, those of blocks as well."""
    todo = list(_load(path) or [])
    while todo:
        task = todo.pop(0)
        yield task
        for part in "block", "rescue", "always":
            todo += task.get(part, [])


_ALL = [
    (path, task)
    for part in ("tasks", "handlers")
    for path in sorted((_ROLE / part).glob("*.yml"))
    for task in _tasks(path)
]


@pytest.mark.parametrize("path", _FILES, ids=lambda p: str(p.relative_to(_PLAYS)))
def test_it_is_yaml(path: Path) -> None:
    assert _load(path) is not None


def test_variables_are_documented_with_their_defaults() -> None:
    rows = table(_README, "variable | default")
    assert list(rows) == list(_DEFAULTS) == list(_OPTIONS)
    for name, value in _DEFAULTS.items():
        assert _OPTIONS[name]["default"] == value
        assert len(_OPTIONS[name]["description"]) > 20
        (line,) = re.findall(rf"^\| `{name}` \| (.*?) \|", _README, re.MULTILINE)
        if name == "ubypass_verify":
            assert value == "{{ ubypass_enabled }}"
        else:
            assert yaml.safe_load(line.strip("`")) == value


def test_it_is_off_by_default() -> None:
    assert _DEFAULTS["ubypass_enabled"] is False
    assert _DEFAULTS["ubypass_config"] == {}


def test_no_variable_is_unknown() -> None:
    """A name that is set nowhere would be an error on somebody's machine."""
    made = set(_DEFAULTS)
    used = set()
    for path in (*_FILES, *(_ROLE / "templates").iterdir()):
        text = path.read_text("utf-8")
        used |= set(re.findall(r"(?<![/\w])ubypass_\w+", text))
        made |= set(re.findall(r"(?:register|loop_var): (ubypass_\w+)", text))
        made |= set(re.findall(r"^ +(ubypass_\w+):", text, re.MULTILINE))
    assert used <= made


def test_it_needs_no_collection() -> None:
    keywords = {
        *("name", "when", "loop", "loop_control", "register", "notify", "vars"),
        *("block", "rescue", "changed_when", "failed_when", "until", "retries"),
        *("delay", "listen"),
    }
    modules = {key for _, task in _ALL for key in task if key not in keywords}
    assert modules
    assert {
        name for name in modules if not name.startswith("ansible.builtin.")
    } == set()


def test_what_is_named_is_there() -> None:
    names = {path.name for path in (_ROLE / "tasks").iterdir()}
    parts = next(task["loop"] for _, task in _ALL if "ubypass_part" in str(task))
    included = {f"{part}.yml" for part in parts}
    listens = {task["listen"] for _, task in _ALL if "listen" in task}
    for _, task in _ALL:
        found = task.get("ansible.builtin.include_tasks", "")
        included |= {found} if found and "{{" not in found else set()
        assert task.get("notify") is None or task["notify"] in listens
        for kind, place in (("copy", "files"), ("template", "templates")):
            source = task.get(f"ansible.builtin.{kind}", {}).get("src", "")
            assert not source or "{{" in source or (_ROLE / place / source).is_file()
    assert included == names - {"main.yml"}


def test_ub_understands_what_it_is_told() -> None:
    told = []
    for _, task in _ALL:
        command = task.get("ansible.builtin.command", {}).get("cmd", "")
        validate = task.get("ansible.builtin.template", {}).get("validate", "")
        for text in command, validate:
            if text.startswith("/usr/bin/ub "):
                words = shlex.split(re.sub(r"\{\{.*?\}\}", "1", text))
                parse(words[1:])
                told.append(" ".join(words[1:3]))
    assert set(told) == {
        *("module load", "module unload", "selftest --json"),
        *("service status", "service check"),
    }


def test_what_is_written_is_removed() -> None:
    """By the role or at its word, and not by the packages."""
    (removed,) = (
        task["loop"]
        for path, task in _ALL
        if path.name == "absent.yml" and "ansible.builtin.file" in task
    )
    for path, task in _ALL:
        if path.name == "absent.yml":
            continue
        for module in "copy", "template", "file":
            about = task.get(f"ansible.builtin.{module}", {})
            place = about.get("dest") or about.get("path") or ""
            if "{{" not in place.partition("/")[0] and place:
                assert place.startswith(tuple(removed)), place


def test_the_unit_and_the_tool_are_where_the_packages_have_them() -> None:
    assert (ROOT / "debian" / "ubypass.service").is_file()
    assert "debian/ub usr/bin" in (ROOT / "debian" / "ubypass.install").read_text()
    stats = [t.get("ansible.builtin.stat", {}).get("path") for _, t in _ALL]
    assert _UNIT in stats
    assert "/usr/bin/ub" in stats


def test_the_canary_comes_first_and_ends_the_play() -> None:
    (play,) = _load(_PLAYS / "site.yml")
    assert play["serial"][0] == 1
    assert play["serial"][-1] == "100%"
    assert play["max_fail_percentage"] == 0


def test_nothing_is_tried_in_check_mode() -> None:
    tried = [
        task["when"]
        for _, task in _ALL
        if task.get("ansible.builtin.include_tasks") in ("selftest.yml", "status.yml")
    ]
    assert len(tried) == 2
    assert all("not ansible_check_mode" in condition for condition in tried)


def _rendered(variables: dict[str, Any], template: str = "config.toml.j2") -> str:
    jinja2 = pytest.importorskip("jinja2")
    # Ansible's settings for templates, and its filter.
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["to_json"] = json.dumps
    text = (_ROLE / "templates" / template).read_text("utf-8")
    rendered: str = environment.from_string(text).render(variables)
    return rendered


def test_the_configuration_says_what_the_variable_does() -> None:
    table = {
        "service": {"paused": True, "scan_seconds": 0.5},
        "limits": {"processes": 3},
        "metrics": {"textfile": ""},
        "tune": {"gap_ns": 5000},
        "rule": [
            {"name": "odd", "exe": ["/usr/bin/ä\"\\'*", "/b"], "children": True},
            {"name": "other", "user": [0, "root"], "boost": False},
        ],
    }
    found = config.parse(_rendered({"ubypass_config": table}))
    assert found.paused
    assert found.scan_seconds == 0.5
    assert found.limits.processes == 3
    assert found.metrics.textfile is None
    assert list(found.tune.values()) == [5000]
    assert [rule.name for rule in found.rules] == ["odd", "other"]
    assert found.rules[0].exe == ("/usr/bin/ä\"\\'*", "/b")
    assert found.rules[0].children
    assert (found.rules[1].uids, found.rules[1].boost) == (frozenset({0}), False)


def test_a_configuration_of_nothing_but_rules() -> None:
    rules = [{"name": "a", "unit": "b"}]
    assert config.parse(_rendered({"ubypass_config": {"rule": rules}})).rules


def test_the_repository_is_named_as_apt_reads_it() -> None:
    names = {key: value for key, value in _DEFAULTS.items() if "repository" in key}
    names["ubypass_repository"] = "https://example.org/debian"
    text = _rendered(names, "ubypass.sources.j2")
    fields = dict(line.split(": ") for line in text.splitlines())
    assert fields["Suites"] == "stable"
    assert fields["Components"] == "main"
    key = next(
        task["ansible.builtin.copy"]["dest"]
        for path, task in _ALL
        if path.name == "install.yml" and "ansible.builtin.copy" in task
    )
    assert fields["Signed-By"] == key
    names["ubypass_repository_suite"] = "./"
    assert "Components" not in _rendered(names, "ubypass.sources.j2")


def test_the_example_is_right() -> None:
    found = _load(_PLAYS / "inventory.yml")["ubypass"]["vars"]
    assert set(found) <= set(_DEFAULTS)
    assert len(found["ubypass_debs"]) == 2
    assert all(f"_{VERSION}_" in deb for deb in found["ubypass_debs"])
    text = _rendered({"ubypass_config": found["ubypass_config"]})
    assert [rule.name for rule in config.parse(text).rules] == ["redis", "web"]


#: Of a machine whose ``ub doctor`` gives none.
_NO_FACTS = {"version": 1, "this_kernel": False, "lab": False, "checks": []}


@pytest.mark.parametrize(
    ("says", "fact"),
    [
        # It ends so where programs cannot be boosted.
        ("echo '{\"this_kernel\": false}'; exit 1", {"this_kernel": False}),
        ('echo complaint >&2; echo "{"; echo " }"', {}),
        ("echo Traceback; exit 1", _NO_FACTS),
        ("exit 70", _NO_FACTS),
    ],
)
def test_facts_are_json_whatever_happens(
    tmp_path: Path, says: str, fact: dict[str, Any]
) -> None:
    program = _ROLE / "files" / "ubypass.fact"
    assert program.stat().st_mode & 0o111 == 0o111
    tool = tmp_path / "ub"
    tool.write_text(f"#!/bin/sh\n[ \"$*\" = 'doctor --json' ] || exit 2\n{says}\n")
    tool.chmod(0o755)
    text = program.read_text()
    assert "/usr/bin/ub" in text
    script = text.replace("/usr/bin/ub", str(tool))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout) == fact


def test_truths_are_truths_on_the_command_line_as_well() -> None:
    """``-e ubypass_enabled=false`` is a text, and any text is true."""
    truths = [name for name, about in _OPTIONS.items() if about["type"] == "bool"]
    assert "ubypass_enabled" in truths
    names = "|".join(truths)
    for path in sorted([*(_ROLE / "tasks").iterdir(), *(_ROLE / "handlers").iterdir()]):
        for line in path.read_text("utf-8").splitlines():
            if not line.lstrip().startswith("#"):
                assert not re.search(rf"\b(?:{names})\b(?! \| bool)", line), line
