# SPDX-License-Identifier: GPL-2.0-only
"""The maintainer scripts, in a root directory of their own, with played commands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT
from ubypass.service import config

_SCRIPTS = [
    path
    for path in sorted((ROOT / "debian").iterdir())
    if path.suffix in (".preinst", ".postinst", ".prerm", ".postrm")
]
_POSTRM = ROOT / "debian" / "ubypass.postrm"
_PRERM = ROOT / "debian" / "ubypass-dkms.prerm"
_TOOLS_PRERM = ROOT / "debian" / "ubypass.prerm"
_TOOLS = ("rm", "rmdir", "sed", "timeout")
_METRICS = [str(place).lstrip("/") for place in config._NODE_EXPORTER]


def _run(
    script: Path, action: str, root: Path, commands: Path | None = None
) -> subprocess.CompletedProcess[str]:
    tools = root.parent / f"{root.name}-tools"
    tools.mkdir(exist_ok=True)
    for name in _TOOLS:
        found = shutil.which(name)
        assert found is not None
        if not (tools / name).is_symlink():
            (tools / name).symlink_to(found)
    # Without the commands of this machine: they would act on its kernel.
    path = str(tools) if commands is None else f"{commands}:{tools}"
    done = subprocess.run(
        ["/bin/sh", str(script), action],
        capture_output=True,
        text=True,
        env={"PATH": path, "DPKG_ROOT": str(root)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_are_for_every_shell(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\n#DEBHELPER#\n" in script.read_text()
    commands = [["sh", "-n", str(script)]]
    if shutil.which("shellcheck"):
        commands.append(["shellcheck", "--shell=dash", str(script)])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- what the service leaves --------------------------------------------------------


def _system(root: Path) -> dict[str, Path]:
    """A system on which the service has run; its files by a word for each."""
    files = {
        "config": root / "etc/ubypass/config.toml",
        "cache": root / "var/cache/ubypass/builds/x",
        "paused": root / "run/ubypass/service.paused",
        "other": root / "etc/other/config.toml",
        "theirs": root / _METRICS[0] / "apt.prom",
    }
    for number, place in enumerate(_METRICS):
        files[f"metrics{number}"] = root / place / "ubypass.prom"
        files[f"partial{number}"] = root / place / "ubypass.prom.812.140213"
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("# nothing\n")
    return files


def _left(files: dict[str, Path]) -> set[str]:
    return {word for word, file in files.items() if file.exists()}


def test_a_removal_keeps_the_configuration_and_takes_the_metrics(
    tmp_path: Path,
) -> None:
    files = _system(tmp_path / "root")
    _run(_POSTRM, "remove", tmp_path / "root")
    assert _left(files) == {"config", "cache", "paused", "other", "theirs"}


def test_a_purge_leaves_nothing(tmp_path: Path) -> None:
    files = _system(tmp_path / "root")
    _run(_POSTRM, "purge", tmp_path / "root")
    assert _left(files) == {"other", "theirs"}
    root = tmp_path / "root"
    assert [path for path in root.rglob("*") if "ubypass" in path.name] == []
    # Once more, as after a removal by hand.
    _run(_POSTRM, "purge", tmp_path / "root")


def test_an_upgrade_touches_nothing(tmp_path: Path) -> None:
    files = _system(tmp_path / "root")
    for action in "upgrade", "failed-upgrade", "abort-install", "disappear":
        _run(_POSTRM, action, tmp_path / "root")
    assert _left(files) == set(files)


@pytest.mark.parametrize(
    ("line", "removed"),
    [
        ('textfile = "/var/other/my.prom"', True),
        ('  textfile="/var/other/my.prom"  # for node_exporter', True),
        ('# textfile = "/var/other/my.prom"', False),
        ('textfile = ""', False),
        ('textfile = "/var/other/my"', False),
    ],
)
def test_metrics_elsewhere_are_found_by_the_configuration(
    tmp_path: Path, line: str, removed: bool
) -> None:
    files = _system(tmp_path / "root")
    files["config"].write_text(f"[metrics]\n{line}\n\n[limits]\n")
    other = tmp_path / "root/var/other/my.prom"
    other.parent.mkdir(parents=True)
    other.touch()
    other.with_suffix("").touch()
    _run(_POSTRM, "remove", tmp_path / "root")
    assert other.exists() != removed
    assert other.with_suffix("").exists()
    assert files["config"].exists()


# ---- the module that is loaded ------------------------------------------------------


def _command(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f'#!/bin/sh\necho "{name} $*" >> "{directory}/calls"\n{text}\n')
    file.chmod(0o755)


def _calls(commands: Path) -> list[str]:
    file = commands / "calls"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """The directory in /sys of the module."""
    place = tmp_path / "root/sys/module/ub"
    place.mkdir(parents=True)
    return place


_UNLOAD = "ub module unload --seconds 10"
_UNLOADS = 'rmdir "$DPKG_ROOT/sys/module/ub"'
_IN_USE = """
echo "module: in use: 80 (cat) is in read" >&2
echo "ub: cannot unload the module: in use: 80 (cat) is in read" >&2
echo "    run it again once they have ended" >&2
exit 1
"""


def test_a_removal_detaches_programs_and_unloads(tmp_path: Path, loaded: Path) -> None:
    commands = tmp_path / "bin"
    _command(commands, "ub", f"echo unloaded; {_UNLOADS}")
    _command(commands, "rmmod", "exit 1")
    done = _run(_PRERM, "remove", tmp_path / "root", commands)
    assert done.stderr == ""
    assert _calls(commands) == [_UNLOAD]


@pytest.mark.parametrize("broken", [False, True])
def test_without_the_tool_the_module_is_removed_nevertheless(
    tmp_path: Path, loaded: Path, broken: bool
) -> None:
    commands = tmp_path / "bin"
    _command(commands, "rmmod", _UNLOADS)
    if broken:  # or if the tool does not work any more
        _command(commands, "ub", "echo Traceback >&2; exit 1")
    done = _run(_PRERM, "remove", tmp_path / "root", commands)
    assert done.stderr == ""
    assert _calls(commands) == ([_UNLOAD] if broken else []) + ["rmmod ub"]


@pytest.mark.parametrize("tool", [False, True])
def test_a_module_in_use_is_one_line_and_no_failure(
    tmp_path: Path, loaded: Path, tool: bool
) -> None:
    commands = tmp_path / "bin"
    _command(commands, "rmmod", 'echo "rmmod: ERROR: Module ub is in use" >&2; exit 1')
    if tool:
        _command(commands, "ub", _IN_USE)
    done = _run(_PRERM, "remove", tmp_path / "root", commands)
    why = "in use: 80 (cat) is in read" if tool else "it is in use"
    assert done.stderr == (
        f"ubypass: the module ub stays loaded until the next boot: {why}\n"
    )


@pytest.mark.parametrize("script", [_PRERM, _TOOLS_PRERM], ids=lambda path: path.name)
def test_an_upgrade_or_no_module_does_nothing(
    tmp_path: Path, loaded: Path, script: Path
) -> None:
    commands = tmp_path / "bin"
    for name in "ub", "rmmod", "deb-systemd-invoke":
        _command(commands, name, "exit 1")
    for action in "upgrade", "deconfigure", "failed-upgrade":
        assert _run(script, action, tmp_path / "root", commands).stderr == ""
    loaded.rmdir()
    assert _run(script, "remove", tmp_path / "root", commands).stderr == ""
    assert _calls(commands) == []


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("stops", [False, True])
def test_the_tool_is_removed_with_its_service_and_the_module(
    tmp_path: Path, loaded: Path, runs: bool, stops: bool
) -> None:
    """ubypass-dkms may be removed later, and can ask nobody then."""
    commands = tmp_path / "bin"
    _command(commands, "deb-systemd-invoke", "exit 0" if stops else "exit 1")
    _command(commands, "ub", f"echo unloaded; {_UNLOADS}")
    if runs:
        (tmp_path / "root/run/systemd/system").mkdir(parents=True)
    done = _run(_TOOLS_PRERM, "remove", tmp_path / "root", commands)
    assert done.stderr == ""
    stop = ["deb-systemd-invoke stop ubypass.service"] if runs else []
    assert _calls(commands) == [*stop, _UNLOAD]


def test_who_keeps_the_module_is_said_while_there_is_a_tool(
    tmp_path: Path, loaded: Path
) -> None:
    commands = tmp_path / "bin"
    _command(commands, "ub", _IN_USE)
    done = _run(_TOOLS_PRERM, "remove", tmp_path / "root", commands)
    assert done.stderr == (
        "ubypass: the module ub stays loaded: in use: 80 (cat) is in read\n"
    )
