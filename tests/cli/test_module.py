# SPDX-License-Identifier: GPL-2.0-only
"""``ub module`` where it can be tried without touching this machine's kernel."""

from __future__ import annotations

import ctypes
import errno
import json
import lzma
import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ubypass.cli.module import build, files, load, unload
from ubypass.device import client
from ubypass.device.uapi import Tunable
from ubypass.engine import control
from ubypass.errors import UbError
from ubypass.lab.kernels import default_release
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture
from ubypass.module import loading, restart, users
from ubypass.module.build import build_module
from ubypass.module.users import User

Ub = Callable[..., int]
_ROOT = Path(__file__).parents[2]


class _Kernel:
    """Plays libc: records system calls and fails them with ``error``."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.calls: list[tuple[object, ...]] = []
        self.log: Path | None = None
        self.says = ""  # into its log, at each call

    def syscall(self, *arguments: object) -> int:
        self.calls.append(arguments)
        if self.log:
            with self.log.open("a") as log:
                log.write(self.says)
        ctypes.set_errno(self.error)
        return -1 if self.error else 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Kernel:
    kernel = _Kernel()
    kernel.log = tmp_path / "kmsg"
    kernel.log.write_text("3,1,5,-;ub: something of last week\n")
    monkeypatch.setattr(load, "_KERNEL_LOG", kernel.log)
    monkeypatch.setattr(loading.ctypes, "CDLL", lambda *a, **k: kernel)
    monkeypatch.setattr(files, "_LOADED", tmp_path / "sys" / "ub")
    monkeypatch.setenv("UBYPASS_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return kernel


def _built(tmp_path: Path, release: str = platform.release()) -> Path:
    file = tmp_path / "build" / "kernel" / release / "ub.ko"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x7fELF")
    return file


def test_loading_and_unloading(
    ub: Ub, kernel: _Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _built(tmp_path)
    assert ub("module", "load") == 0
    assert kernel.calls[0][0] == 313
    assert ub("module", "unload") == 0
    assert "not loaded" in capsys.readouterr().out
    (tmp_path / "sys" / "ub").mkdir(parents=True)
    assert ub("module", "load") == 0
    assert "loaded already" in capsys.readouterr().out
    assert ub("module", "unload") == 0
    assert kernel.calls[1][:2] == (176, b"ub")
    assert len(kernel.calls) == 2


def test_a_module_that_is_not_built(
    ub: Ub, kernel: _Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("module", "load") == 1
    err = capsys.readouterr().err
    assert f"ub module build --kernel {platform.release()}" in err
    assert not kernel.calls


def test_an_installed_module_is_loaded_compressed_or_not(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "updates" / "ub.ko.xz"
    file.parent.mkdir()
    file.write_bytes(lzma.compress(b"\x7fELF of a package"))
    monkeypatch.setattr(
        "ubypass.module.installed.installed_module", lambda release: file
    )
    assert ub("module", "status", "--json") == 1
    status = json.loads(capsys.readouterr().out)
    assert (status["built"], status["file"]) == (True, str(file))
    assert ub("module", "load") == 0
    assert kernel.calls == [(175, b"\x7fELF of a package", 17, b"")]
    file.with_suffix("").write_bytes(b"\x7fELF")
    file = file.with_suffix("")
    assert ub("module", "load") == 0
    assert kernel.calls[1][0] == 313


def test_who_has_packages_is_told_which(
    ub: Ub,
    kernel: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(files, "packaged", lambda: True)
    assert ub("module", "load") == 1
    wanted = f"apt install ubypass-dkms linux-headers-{platform.release()}"
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EPERM, "ub doctor"),
        (errno.EKEYREJECTED, "signed"),
        (errno.ENOEXEC, "another kernel"),
        (errno.EOPNOTSUPP, "hook"),
        (errno.EIO, "dmesg"),
    ],
)
def test_refused_loads_say_why(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: int,
    text: str,
) -> None:
    _built(tmp_path)
    kernel.error = error
    assert ub("module", "load") == 1
    assert text in capsys.readouterr().err


def test_the_module_says_itself_why_it_does_not_load(
    ub: Ub, kernel: _Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _built(tmp_path)
    kernel.error = errno.EOPNOTSUPP
    kernel.says = (
        "6,2,6,-;usb: ub: a device\n SUBSYSTEM=usb\n DEVICE=c1:2;ub: 3\n"
        "3,3,7,-;ub: it is too old; boot it with young=1\n4,4,8,-;other\n"
    )
    assert ub("module", "load") == 1
    err = capsys.readouterr().err
    assert "cannot load the module: it is too old\n" in err
    assert "boot it with young=1" in err
    assert "last week" not in err
    # Where the log cannot be read, what the error code says has to do.
    assert kernel.log
    kernel.log.unlink()
    kernel.log = None
    assert ub("module", "load") == 1
    assert "hook" in capsys.readouterr().err


@pytest.mark.guest
def test_a_processor_that_will_not_do_is_named() -> None:
    release = default_release()
    file = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    result = capture(
        ["python", "-m", "ubypass.cli.main", "module", "load", "--file", str(file)],
        LabOptions(
            cpu="max,-lahf_lm",
            environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT / "src")},
        ),
    )
    assert result.exit_status == 1, result.dmesg
    said = result.stderr.decode()
    assert (
        "cannot load the module: this processor has no lahf instruction in 64-bit mode"
        in said
    )


@pytest.fixture
def busy(kernel: _Kernel, tmp_path: Path) -> _Kernel:
    """The module is loaded, and in use."""
    (tmp_path / "sys" / "ub").mkdir(parents=True)
    kernel.error = errno.EWOULDBLOCK
    return kernel


def test_a_busy_module_is_not_unloaded(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = [User(n, "cat", "is in read") for n in range(7, 12)]
    monkeypatch.setattr(users, "openers", lambda: iter(()))
    monkeypatch.setattr(users, "threads_inside", lambda: iter(inside))
    monkeypatch.setattr(control, "ask_all", lambda question: ([], []))
    assert ub("module", "unload", "--seconds", "0") == 1
    err = capsys.readouterr().err
    assert (
        "cannot unload the module: in use: 7 (cat) is in read, 8 (cat) is in read, "
        "9 (cat) is in read, and 2 more" in err
    )
    inside.clear()
    assert ub("module", "unload", "--seconds", "0") == 1
    assert "cannot unload the module: it is in use" in capsys.readouterr().err


def test_ctrl_c_ends_the_wait_and_leaves_the_module(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    inside = User(7, "cat", "is in read")
    monkeypatch.setattr(users, "openers", lambda: iter(()))
    monkeypatch.setattr(users, "threads_inside", lambda: iter([inside]))
    monkeypatch.setattr(control, "ask_all", lambda question: ([], []))
    monkeypatch.setattr(unload, "_LOOK", 0.0)
    monkeypatch.setattr(unload.time, "sleep", interrupted)
    assert ub("module", "unload") == 130
    said = capsys.readouterr()
    assert "in use: 7 (cat) is in read" in said.err
    assert "unloaded" not in said.out
    assert files.is_loaded()


def test_engines_that_begin_meanwhile_or_are_older(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy.error = errno.EBUSY
    asked: list[object] = []

    def ask_all(question: object) -> tuple[list[object], list[UbError]]:
        asked.append(question)
        if len(asked) == 3:
            raise UbError("unknown request")
        return [{"processes": 1}] if len(asked) == 2 else [], []

    def looked() -> Iterator[User]:
        if len(asked) == 3:
            busy.error = errno.ENOENT  # somebody else has unloaded it
        yield from ()

    monkeypatch.setattr(control, "ask_all", ask_all)
    monkeypatch.setattr(users, "openers", looked)
    monkeypatch.setattr(users, "threads_inside", lambda: iter(()))
    monkeypatch.setattr(unload, "_LOOK", 0.0)
    monkeypatch.setattr(unload, "_PAUSE", 0.0)
    assert ub("module", "unload") == 0
    assert len(asked) == 3
    assert capsys.readouterr().err.splitlines() == [
        "module: engines that detach their processes: 1 (1)",
        "module: it is in use",
        "module: engines do not detach their processes: unknown request",
    ]


def test_threads_that_may_sleep_for_ever_are_interrupted(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = [User(7, "jemalloc", "is in futex", call="futex")]

    def restarted(threads: Iterable[User]) -> list[User]:
        found = list(threads)
        inside.clear()
        busy.error = 0
        return found

    monkeypatch.setattr(users, "openers", lambda: iter(()))
    monkeypatch.setattr(users, "threads_inside", lambda: iter(inside))
    monkeypatch.setattr(control, "ask_all", lambda question: ([], []))
    monkeypatch.setattr(restart, "restart", restarted)
    monkeypatch.setattr(unload, "_LOOK", 0.0)
    monkeypatch.setattr(unload, "_PAUSE", 0.0)
    assert ub("module", "unload") == 0
    assert not inside
    assert "unloaded" in capsys.readouterr().out


def test_engines_that_are_not_to_be_disturbed(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engines = [User(5, "ub", "has /dev/ub open")]
    monkeypatch.setattr(users, "openers", lambda: iter(engines))
    monkeypatch.delattr(control, "ask_all")
    assert ub("module", "unload", "--if-unused") == 1
    err = capsys.readouterr().err
    assert "cannot unload the module: in use: 5 (ub) has /dev/ub open" in err
    # A handler is unhooked a moment after the last engine has ended.
    engines.clear()
    monkeypatch.setattr(unload.time, "sleep", lambda _: setattr(busy, "error", 0))
    assert ub("module", "unload", "--if-unused") == 0


def test_engines_are_asked_to_leave(
    ub: Ub,
    busy: _Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks: list[object] = []

    def ask_all(question: object) -> tuple[list[object], list[UbError]]:
        assert question == {"ask": "leave"}
        silent = UbError("engine 6 does not answer: it is busy")
        return [{"processes": 2}, {"processes": 1}], [silent]

    def looked() -> Iterator[User]:
        looks.append(None)
        if len(looks) == 2:
            busy.error = 0
        yield User(80, "cat", "is in read")

    monkeypatch.setattr(control, "ask_all", ask_all)
    monkeypatch.setattr(users, "openers", lambda: iter(()))
    monkeypatch.setattr(users, "threads_inside", looked)
    monkeypatch.setattr(unload, "_LOOK", 0.0)
    monkeypatch.setattr(unload, "_PAUSE", 0.0)
    assert ub("module", "unload") == 0
    said = capsys.readouterr()
    assert said.out == "unloaded\n"
    # Who is inside is named once, as long as nothing changes.
    assert said.err.splitlines() == [
        "module: engines that detach their processes: 2 (3)",
        "module: engine 6 does not answer: it is busy",
        "module: in use: 80 (cat) is in read",
    ]


def test_only_root_may(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _built(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert ub("module", "load") == 1
    assert "run as root" in capsys.readouterr().err
    assert not kernel.calls


@pytest.mark.parametrize(
    ("words", "headers", "release"),
    [
        ((), "lib/{0}/build", platform.release()),
        (
            (),
            "cache/kernels/{0}/headers/usr/src/linux-headers-{0}",
            platform.release(),
        ),
        ((), "", "6.1.0-9-amd64"),
        (("--lab",), "lib/{0}/build", "6.1.0-9-amd64"),
        (("--kernel", "6.1.0-1-amd64"), "lib/{0}/build", "6.1.0-1-amd64"),
    ],
)
def test_building_is_for_one_kernel(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    headers: str,
    release: str,
) -> None:
    """Headers for another are another download, which nobody asked for."""
    built = []

    def build_module(release: str, source: Path, out: Path, **how: object) -> Path:
        built.append(release)
        return out / "ub.ko"

    monkeypatch.setattr("ubypass.module.build.build_module", build_module)
    monkeypatch.setattr("ubypass.lab.kernels.default_release", lambda: "6.1.0-9-amd64")
    monkeypatch.setattr(build, "_INSTALLED_HEADERS", tmp_path / "lib")
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    if headers:
        makefile = tmp_path / headers.format(platform.release()) / "Makefile"
        makefile.parent.mkdir(parents=True)
        makefile.touch()
    assert ub("module", "build", *words) == 0
    assert built == [release]


def test_a_suite_is_built_for_with_its_own_tools(
    ub: Ub, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def build_module(
        release: str, source: Path, out: Path, *, suite: str, **how: object
    ) -> Path:
        built.append((release, out.name, suite))
        return out / "ub.ko"

    def newest(suite: str) -> str:
        return {"trixie": "6.12.1+deb13-amd64"}[suite]

    monkeypatch.setattr("ubypass.module.build.build_module", build_module)
    monkeypatch.setattr("ubypass.lab.kernels.default_release", newest)
    assert ub("module", "build", "--suite", "trixie") == 0
    assert built == [("6.12.1+deb13-amd64", "6.12.1+deb13-amd64", "trixie")]


def test_status(
    ub: Ub, kernel: _Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("module", "status") == 1
    assert "no kernel yet" in capsys.readouterr().out
    _built(tmp_path, "6.1.0-1-amd64")
    (tmp_path / "sys" / "ub").mkdir(parents=True)
    assert ub("module", "status", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["loaded"] is True
    assert data["built"] is False
    assert data["built_for"] == ["6.1.0-1-amd64"]


def test_a_file_in_the_cache_is_shown_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    assert files.short(tmp_path / "cache" / "ub.ko") == "~/cache/ub.ko"
    assert files.short(Path("/ub.ko")) == "ub.ko"


def test_tunables_are_listed_with_units_and_bounds(
    ub: Ub, kernel: _Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("module", "status") == 1
    text = capsys.readouterr().out
    assert "gap_ns       default 4000    100 to 1000000000 ns" in text
    assert max(map(len, text.splitlines()[5:])) <= 80
    assert ub("module", "status", "--json") == 1
    found = json.loads(capsys.readouterr().out)["tunables"]
    assert found["rearm_ms"]["default"] == 1000
    assert found["rearm_ms"]["present"] is None


def test_a_module_that_does_not_answer_is_reported(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> None:
        raise UbError("it is of another version", "load it again")

    (tmp_path / "sys" / "ub").mkdir(parents=True)
    monkeypatch.setattr(client, "Device", refuse)
    assert ub("module", "status") == 0
    text = capsys.readouterr().out
    assert "\nbut        it is of another version\n           load it again\n" in text
    assert "gap_ns       default 4000 " in text
    assert ub("module", "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["why"] == "it is of another version"
    assert found["tunables"]["gap_ns"]["present"] is None


def test_what_they_are_at_present_is_asked_for(
    ub: Ub,
    kernel: _Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Played:
        def __enter__(self) -> Played:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def tune(self, what: Tunable) -> int:
            return 7000 + what

    (tmp_path / "sys" / "ub").mkdir(parents=True)
    monkeypatch.setattr(client, "Device", Played)
    assert ub("module", "status") == 0
    text = capsys.readouterr().out
    assert "gap_ns       7000 " in text
    assert "share_bits   7010 " in text
