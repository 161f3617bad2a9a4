# SPDX-License-Identifier: GPL-2.0-only
import subprocess
import sys
from pathlib import Path

import pytest

from ubypass import places
from ubypass.lab import job
from ubypass.lab.kernels import Kernel

_KERNEL = Kernel("6.1.0-1-amd64", Path("/nowhere/image"))


def _files(
    command: list[str], *, cwd: Path = Path("/"), environment: dict[str, str]
) -> dict[str, bytes]:
    files = job.job_files(
        _KERNEL, ["a.ko", "b.ko"], command, cwd=cwd, shares=[], environment=environment
    )
    return dict(files)


def _sourced(text: bytes, name: str) -> str:
    done = subprocess.run(
        ["sh", "-c", f'eval "$1"; printf %s "${name}"', "sh", text],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def test_directories_inside_others_are_shared_once(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    found = job.writable_dirs(inner, [tmp_path / "a", inner])
    assert [p for p in found if p.is_relative_to(tmp_path)] == [tmp_path / "a"]


@pytest.mark.parametrize("system", ["/", "/tmp", "/usr", "/proc", "/etc"])
def test_system_directories_are_never_writable(system: str) -> None:
    assert Path(system) not in job.writable_dirs(Path(system))


def test_a_missing_directory_is_not_shared(tmp_path: Path) -> None:
    assert tmp_path / "no" not in job.writable_dirs(tmp_path / "no")


def test_the_project_is_writable() -> None:
    assert places.checkout() in job.writable_dirs(Path("/usr"))


def test_environment_is_chosen() -> None:
    host = {
        "PATH": "/opt/x:/usr/bin",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "UBYPASS_CACHE": "/c",
        "SECRET_TOKEN": "s",
        "LD_PRELOAD": "x.so",
    }
    found = job.command_environment(host, {"EXTRA": "1", "LANG": "en"})
    assert "SECRET_TOKEN" not in found
    assert "LD_PRELOAD" not in found
    assert found["HOME"] == "/home/me"
    assert found["UBYPASS_CACHE"] == "/c"
    assert found["UBYPASS_LAB"] == "1"
    assert (found["LANG"], found["LC_ALL"], found["EXTRA"]) == ("en", "C", "1")


def test_path_finds_the_interpreter_first_and_system_tools() -> None:
    places = job.command_environment({"PATH": "/opt/x::/opt/x"}, {})["PATH"].split(":")
    assert str(Path(sys.executable).parent) in places[:2]
    assert places.index("/opt/x") < places.index("/usr/sbin")
    assert len(places) == len(set(places))
    assert "" not in places


def test_the_command_script_keeps_every_argument(tmp_path: Path) -> None:
    here = tmp_path / "it's $HOME here"
    here.mkdir()
    argument = "a 'b' \"c\" $d `e` \\ \n*"
    script = _files(
        ["printf", "%s|%s|", argument, ""], cwd=here, environment={"V": "x y"}
    )["job/command.sh"]
    done = subprocess.run(["sh"], input=script, capture_output=True, check=True)
    assert done.stdout.decode() == f"{argument}||"


def test_the_command_sees_directory_and_environment_only(tmp_path: Path) -> None:
    program = ["/bin/sh", "-c", 'pwd; echo "$V,$HOME"']
    script = _files(program, cwd=tmp_path, environment={"V": "x $y"})["job/command.sh"]
    done = subprocess.run(["sh"], input=script, capture_output=True, check=True)
    assert done.stdout.decode() == f"{tmp_path}\nx $y,\n"


def test_variables_survive_the_shell() -> None:
    env = _files(["true"], environment={})["job/env"]
    assert _sourced(env, "MODULES") == "a.ko b.ko"
    assert _sourced(env, "LOG_MARK") == job.LOG_MARK
    assert _sourced(env, "MODE") == "command"
    assert _sourced(env, "STDIN") == ""
    assert _sourced(env, "SHARED_BY") == "9p"
    assert _sourced(env, "MODULE_DIR").endswith("/lib/modules/6.1.0-1-amd64")


def test_init_reads_every_variable_it_is_given() -> None:
    script = (Path(job.__file__).parent / "init.sh").read_text()
    for line in _files(["true"], environment={})["job/env"].decode().splitlines():
        assert f"${line.partition('=')[0]}" in script


def test_a_shell_gets_the_terminal_size() -> None:
    files = dict(
        job.job_files(
            _KERNEL,
            [],
            ["sh"],
            cwd=Path("/"),
            shares=[Path("/srv/a"), Path("/srv/b")],
            environment={},
            shell_size=(132, 50),
        )
    )
    assert _sourced(files["job/env"], "MODE") == "shell"
    assert _sourced(files["job/env"], "COLS $ROWS") == "132 50"
    assert files["job/shares"] == b"/srv/a\n/srv/b\n"


def test_the_environment_of_python_is_shown_unchanging() -> None:
    project = places.checkout()
    assert project is not None
    files = dict(
        job.job_files(
            _KERNEL, [], ["sh"], cwd=project, shares=[project], environment={}
        )
    )
    still = [Path(line) for line in files["job/still"].decode().splitlines()]
    assert all(path.is_relative_to(project) and path != project for path in still)
    if Path(sys.prefix).is_relative_to(project):
        assert Path(sys.prefix) in still
