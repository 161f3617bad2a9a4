# SPDX-License-Identifier: GPL-2.0-only
"""The unit: off by default, what systemd thinks of it, and what its comments say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT
from ubypass.cli.service.run import EX_UNAVAILABLE
from ubypass.service.config import EX_CONFIG, Limits, Metrics, load, parse

_UNIT = ROOT / "debian" / "ubypass.service"
_EXAMPLE = ROOT / "packaging" / "config.toml"


def _settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def _service() -> list[str]:
    """Lines of the section [Service]."""
    text = _UNIT.read_text()
    return text[text.index("[Service]") : text.index("[Install]")].splitlines()[1:]


#: What ``systemd-analyze security`` looks at.
_ASSESSED = re.findall(
    r"\w+",
    """
    AmbientCapabilities CapabilityBoundingSet Delegate DeviceAllow DynamicUser
    IPAddressDeny KeyringMode LockPersonality MemoryDenyWriteExecute NoNewPrivileges
    NotifyAccess PrivateDevices PrivateMounts PrivateNetwork PrivateTmp PrivateUsers
    ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname
    ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc
    ProtectSystem RemoveIPC RestrictAddressFamilies RestrictNamespaces
    RestrictRealtime RestrictSUIDSGID RootDirectory RootImage SupplementaryGroups
    SystemCallArchitectures SystemCallFilter UMask User
    """,
)


def _impossible() -> dict[str, str]:
    """Names of what cannot be set, and why."""
    text = "\n".join(_service())
    reasons = text[text.index("# ---- What cannot be taken away, and why.") :]
    found = {}
    for names, why in re.findall(
        r"^# ((?:\w+=(?:@[\w-]+)?,? )+) +(.*(?:\n# {6,}.*)*)", reasons, re.MULTILINE
    ):
        for word in names.split():
            found[word.strip(",").partition("=")[0]] = why
    return found


def test_each_line_says_what_it_takes_away() -> None:
    """By a comment of its own, directly above it."""
    lines = _service()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line and not line.startswith("#") and not before.startswith("# ")
    ]
    assert [line.partition("=")[0] for line in bare] == ["ExecStart", "ExecReload"]
    comments = [
        before
        for before, line in zip(["", *lines], lines, strict=False)
        if line and not line.startswith("#") and before.startswith("# ")
    ]
    assert len(comments) == len(set(comments)) > 40
    assert not [comment for comment in comments if comment.startswith("# ----")]


def test_what_systemd_assesses_is_set_or_said_to_be_impossible() -> None:
    impossible = _impossible()
    assert all(len(why) > 10 for why in impossible.values())
    known = _settings().keys() | impossible.keys()
    assert [name for name in _ASSESSED if name not in known] == []


def test_systemd_assesses_nothing_else() -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("this machine has no systemd-analyze")
    command = [tool, "security", "--offline=yes", "--no-pager", "--json=short"]
    done = subprocess.run([*command, str(_UNIT)], capture_output=True, text=True)
    if done.returncode and not done.stdout:
        pytest.skip("this version of systemd cannot assess a file")
    rows = json.loads(done.stdout)
    names = {
        name.partition("_")[0].partition("=")[0]
        for row in rows
        for name in (row.get("name") or "").split("/")
    } - {""}
    assert names
    assert sorted(names - set(_ASSESSED)) == []


def test_systemd_accepts_it(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("this machine has no systemd-analyze")
    unit = tmp_path / _UNIT.name
    # Installed or not: the program is not what this is about.
    unit.write_text(_UNIT.read_text().replace("/usr/bin/ub ", "/bin/sh "))
    done = subprocess.run(
        [tool, "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if _UNIT.name in line]
    assert ours == []


def test_it_is_off_where_an_operator_says_so() -> None:
    settings = _settings()
    assert "!noubypass" in settings["ConditionKernelCommandLine"]
    # It starts by itself only if it is enabled.
    assert settings["WantedBy"] == ["multi-user.target"]


def test_exit_statuses_are_those_of_the_daemon() -> None:
    settings = _settings()
    assert settings["SuccessExitStatus"] == [str(EX_UNAVAILABLE)]
    assert settings["RestartPreventExitStatus"] == [f"{EX_UNAVAILABLE} {EX_CONFIG}"]


def test_what_is_said_to_be_impossible_is_not_set() -> None:
    impossible = _impossible().keys()
    assert {"ProtectKernelModules", "ProcSubset", "User"} <= impossible
    allowed = {"SystemCallFilter"}  # of which only one value is meant
    assert not (impossible - allowed) & _settings().keys()


def test_it_keeps_what_the_daemon_needs() -> None:
    settings = _settings()
    (capabilities,) = settings["CapabilityBoundingSet"]
    assert "CAP_SYS_MODULE" in capabilities.split()
    assert "/dev/ub rw" in settings["DeviceAllow"]
    assert settings["RuntimeDirectory"] == ["ubypass"]
    assert settings["RuntimeDirectoryMode"] == ["0700"]
    assert "0022" in settings["UMask"]


def test_the_example_is_right_and_says_what_holds_anyway() -> None:
    example, empty = load(_EXAMPLE), parse("")
    assert example.limits == Limits()
    assert example.metrics.interval == Metrics().interval
    assert (example.rules, example.paused) == ((), False)
    assert example.scan_seconds == empty.scan_seconds


def test_its_rules_are_right_as_well() -> None:
    """Each is there to be copied."""
    text = _EXAMPLE.read_text()
    start = text.index("# [[rule]]")
    rules = parse(re.sub(r"^# ?", "", text[start:], flags=re.MULTILINE)).rules
    assert [rule.name for rule in rules] == [
        "no-debuggers",
        "redis",
        "web",
        "one-pod",
        "compose",
    ]
    for line in ("textfile", "listen", "gap_ns"):
        assert f"\n# {line} = " in text
