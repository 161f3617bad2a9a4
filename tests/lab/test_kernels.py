# SPDX-License-Identifier: GPL-2.0-only
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.policy import answer
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.own import KERNEL_VARIABLE

_RELEASE = "6.1.0-9-amd64"
_COMMON = "linux-headers-6.1.0-9-common"

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="packages are made with dpkg-deb"
)


class _Archive:
    """A package archive: apt's two programs, and packages made on the spot."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.debs = root / "debs"
        self.lists = root / "lists"
        for directory in self.bin, self.debs, self.lists:
            directory.mkdir(parents=True)
        self.log = root / "log"
        self.configurations = root / "configurations"
        note = f'echo "$@" >> {self.log}; echo "$APT_CONFIG" >> {self.configurations}'
        self._program(
            "apt-get",
            f'{note}; [ "$1" = update ] && exit; shift\n'
            f"for p; do cp {self.debs}/$p.deb . 2> /dev/null || "
            '{ echo "E: Unable to locate package $p" >&2; exit 100; }; done',
        )
        self._program(
            "apt-cache",
            f"{answer()}\n{note}\ncat {self.debs}/$2.depends 2> /dev/null",
        )

    def _program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def add(
        self,
        name: str,
        files: dict[str, str],
        links: dict[str, str] | None = None,
        depends: tuple[str, ...] = (),
    ) -> None:
        tree = self.debs / f"{name}.tree"
        files = {
            **files,
            "DEBIAN/control": f"Package: {name}\nVersion: 1\nArchitecture: all\n"
            "Maintainer: nobody\nDescription: x\n",
        }
        for path, text in files.items():
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for path, target in (links or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).symlink_to(target)
        subprocess.run(
            [
                *("dpkg-deb", "--root-owner-group", "-Znone", "-b"),
                *(tree, self.debs / f"{name}.deb"),
            ],
            check=True,
            capture_output=True,
        )
        self.depends(name, depends)

    def depends(self, name: str, packages: tuple[str, ...]) -> None:
        lines = "".join(f"  Depends: {package}\n" for package in packages)
        (self.debs / f"{name}.depends").write_text(f"{name}\n{lines}")

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Archive:
    archive = _Archive(tmp_path / "archive")
    monkeypatch.setenv("PATH", f"{archive.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    monkeypatch.setattr(kernels, "_APT_LISTS", archive.lists)
    return archive


def _add_kernel(archive: _Archive, release: str, modules: str = "lib") -> None:
    archive.add(
        f"linux-image-{release}",
        {
            f"boot/vmlinuz-{release}": "kernel",
            f"{modules}/modules/{release}/modules.order": "",
            f"{modules}/modules/{release}/modules.builtin": "",
        },
    )


def _add_headers(archive: _Archive) -> None:
    src = f"usr/src/linux-headers-{_RELEASE}"
    archive.add(
        f"linux-headers-{_RELEASE}",
        {
            f"{src}/Makefile": f"include /usr/src/{_COMMON}/Makefile\n",
            f"{src}/.kernelvariables": "CC = gcc-12\n",
        },
        {
            f"{src}/scripts": "../../lib/linux-kbuild-6.1/scripts",
            f"{src}/tools": "/usr/lib/linux-kbuild-6.1/tools",
        },
        (_COMMON, "linux-kbuild-6.1", "linux-compiler-gcc-12-x86"),
    )
    archive.add(_COMMON, {f"usr/src/{_COMMON}/Makefile": "all:\n\t@echo common\n"})
    kbuild = "usr/lib/linux-kbuild-6.1"
    archive.add(
        "linux-kbuild-6.1", {f"{kbuild}/scripts/a": "s", f"{kbuild}/tools/b": "t"}
    )


@pytest.mark.parametrize("modules", ["lib", "usr/lib"])
def test_kernel_is_fetched_once(archive: _Archive, modules: str) -> None:
    _add_kernel(archive, _RELEASE, modules)
    said: list[str] = []
    kernel = kernels.fetch_kernel(_RELEASE, said.append)
    assert kernel.image.read_text() == "kernel"
    assert (kernel.modules / "modules.dep").exists()
    assert said == [f"fetching linux-image-{_RELEASE}"]
    assert kernels.fetch_kernel(_RELEASE) == kernel
    assert len(archive.calls()) == 1
    assert kernels.cached_releases() == [_RELEASE]


def test_a_kernel_in_several_packages_is_whole(archive: _Archive) -> None:
    """Since 7.0 the first is empty; the bytes are beside the modules."""
    tail = "7.3.4+deb13-amd64"
    modules = f"usr/lib/modules/{tail}"
    archive.add(f"linux-image-{tail}", {}, depends=(f"linux-base-{tail}", "kmod"))
    parts = (f"linux-binary-{tail}", f"linux-modules-{tail}", "initramfs-tools")
    archive.add(f"linux-base-{tail}", {}, depends=parts)
    archive.add(f"linux-binary-{tail}", {f"{modules}/vmlinuz": "kernel"})
    lists = {f"{modules}/modules.order": "", f"{modules}/modules.builtin": ""}
    archive.add(f"linux-modules-{tail}", lists)
    kernel = kernels.fetch_kernel(tail)
    assert kernel.image.read_text() == "kernel"
    assert (kernel.modules / "modules.dep").exists()
    fetched = " ".join(call for call in archive.calls() if "download" in call)
    assert "kmod" not in fetched


def test_a_kernel_of_a_suite_comes_from_there_again(archive: _Archive) -> None:
    """Whoever names the release later need not know the suite."""
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    _add_kernel(archive, _RELEASE)
    _add_headers(archive)
    assert kernels.default_release("trixie") == _RELEASE
    kernels.fetch_kernel(suite="trixie")
    assert kernels.suite_of(_RELEASE) == "trixie"
    assert archive.calls()[0].startswith("update")
    archive.log.unlink()
    kernels.fetch_headers(_RELEASE)
    asked = set(archive.configurations.read_text().split())
    assert asked == {str(kernels.cache_dir() / "apt/trixie/apt.conf")}


def test_a_variable_chooses_the_suite_for_all(
    archive: _Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    _add_kernel(archive, _RELEASE)
    monkeypatch.setenv(kernels.SUITE_VARIABLE, "sid")
    assert kernels.fetch_kernel().release == _RELEASE
    assert kernels.suite_of(_RELEASE) == "sid"
    asked = set(archive.configurations.read_text().split())
    assert asked == {str(kernels.cache_dir() / "apt/sid/apt.conf")}


def test_a_suite_that_cannot_be_reached_is_what_was_fetched(archive: _Archive) -> None:
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    _add_kernel(archive, _RELEASE)
    kernels.fetch_kernel(suite="trixie")
    (kernels.cache_dir() / "apt/trixie/updated").unlink()
    archive._program("apt-get", "echo 'E: no network' >&2; exit 100")
    assert kernels.default_release("trixie") == _RELEASE
    with pytest.raises(UbError, match="no network"):
        kernels.default_release("sid")


def test_a_flavour_is_what_debian_calls_it(archive: _Archive) -> None:
    real_time = "6.1.0-9-rt-amd64"
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    archive.depends("linux-image-rt-amd64", (f"linux-image-{real_time}",))
    for release in _RELEASE, real_time:
        _add_kernel(archive, release)
    assert kernels.default_release("trixie", flavour="rt") == real_time
    for release in _RELEASE, real_time:
        kernels.fetch_kernel(release, suite="trixie")
    with pytest.raises(UbError, match="no linux-image-cloud-amd64"):
        kernels.default_release("trixie", flavour="cloud")
    # Of those that were fetched only the same flavour counts.
    (kernels.cache_dir() / "apt/trixie/updated").unlink()
    archive._program("apt-get", "echo 'E: no network' >&2; exit 100")
    assert kernels.default_release("trixie", flavour="rt") == real_time
    assert kernels.default_release("trixie") == _RELEASE
    with pytest.raises(UbError, match="no network"):
        kernels.default_release("trixie", flavour="cloud")


def test_a_variable_chooses_the_flavour_for_all(
    archive: _Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_time = "6.1.0-9-rt-amd64"
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    archive.depends("linux-image-rt-amd64", (f"linux-image-{real_time}",))
    assert kernels.default_release() == _RELEASE
    monkeypatch.setenv(kernels.FLAVOUR_VARIABLE, "rt")
    for _ in range(2):
        assert kernels.default_release() == real_time
    assert kernels.default_release(flavour="") == _RELEASE
    monkeypatch.setenv(kernels.FLAVOUR_VARIABLE, "cloud")
    with pytest.raises(UbError, match="apt has no linux-image-cloud-amd64"):
        kernels.default_release()


def test_two_at_once_fetch_once(archive: _Archive) -> None:
    _add_kernel(archive, _RELEASE)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(kernels.fetch_kernel, [_RELEASE] * 4))
    assert len(set(found)) == 1
    assert len(archive.calls()) == 1


@pytest.mark.usefixtures("archive")
def test_unknown_release_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="Unable to locate package") as caught:
        kernels.fetch_kernel("6.1.0-99-amd64")
    assert "apt-get update" in caught.value.hint
    # No half-made cache that a later call would take for a kernel.
    assert kernels.cached_releases() == []
    assert not list((tmp_path / "cache").rglob("tree"))


@pytest.mark.parametrize("name", ["../../etc", "", "newest", "6.1; rm", "-o x=y"])
@pytest.mark.usefixtures("archive")
def test_what_is_no_release_is_refused(name: str) -> None:
    with pytest.raises(UbError):
        kernels.fetch_headers(name)


def test_headers_work_from_the_cache(archive: _Archive) -> None:
    _add_headers(archive)
    build = kernels.fetch_headers(_RELEASE)
    assert (build / "scripts" / "a").read_text() == "s"
    assert (build / "tools" / "b").read_text() == "t"
    done = subprocess.run(
        ["make", "-C", str(build)], capture_output=True, text=True, check=True
    )
    assert "common" in done.stdout
    assert "linux-compiler-gcc-12-x86" not in " ".join(archive.calls())
    assert kernels.cached_headers() == [_RELEASE]
    (build / "scripts" / "a").unlink()
    assert kernels.cached_headers() == []


def test_default_is_what_debian_recommends_and_remembered(archive: _Archive) -> None:
    archive.depends("linux-image-amd64", (f"linux-image-{_RELEASE}",))
    assert kernels.default_release() == _RELEASE
    assert kernels.default_release() == _RELEASE
    assert len(archive.calls()) == 1
    # New lists, new answer.
    archive.depends("linux-image-amd64", ("linux-image-6.1.0-10-amd64",))
    os.utime(archive.lists, (1, 1))
    assert kernels.default_release() == "6.1.0-10-amd64"


def test_default_without_apt_is_the_newest_cached(archive: _Archive) -> None:
    with pytest.raises(UbError) as caught:
        kernels.default_release()
    assert "apt-get update" in caught.value.hint
    for release in "6.1.0-9-amd64", "6.1.0-10-amd64", "5.10.0-32-amd64":
        _add_kernel(archive, release)
        kernels.fetch_kernel(release)
    assert kernels.default_release() == "6.1.0-10-amd64"


def _damage(path: Path, how: str) -> None:
    if how == "kernel":
        next(path.rglob("vmlinuz-*")).unlink()
    elif how == "module":
        next(path.rglob("modules.builtin")).unlink()
    else:
        for entry in path.iterdir():
            shutil.rmtree(entry)


@pytest.mark.parametrize("how", ["kernel", "module", "all"])
def test_a_half_deleted_kernel_heals(archive: _Archive, how: str) -> None:
    _add_kernel(archive, _RELEASE)
    kernel = kernels.fetch_kernel(_RELEASE)
    _damage(kernel.root, how)
    assert not kernels.is_whole(kernel.root)
    assert kernels.fetch_kernel(_RELEASE) == kernel
    assert kernel.image.read_text() == "kernel"
    assert (kernel.modules / "modules.builtin").exists()
    assert len(archive.calls()) == 2


def test_half_deleted_headers_heal(archive: _Archive) -> None:
    _add_headers(archive)
    build = kernels.fetch_headers(_RELEASE)
    (build / "scripts" / "a").unlink()
    assert (kernels.fetch_headers(_RELEASE) / "scripts" / "a").read_text() == "s"


def test_a_cache_of_an_earlier_version_is_not_fetched_again(archive: _Archive) -> None:
    _add_kernel(archive, _RELEASE)
    kernel = kernels.fetch_kernel(_RELEASE)
    (kernel.root.parent / "image.files").unlink()
    assert kernels.fetch_kernel(_RELEASE) == kernel
    assert len(archive.calls()) == 1
    kernel.image.unlink()
    assert kernels.fetch_kernel(_RELEASE).image.exists()


def test_what_a_killed_one_left_is_removed(archive: _Archive) -> None:
    _add_kernel(archive, _RELEASE)
    left = kernels.cache_dir() / "kernels" / f".fetch-{_RELEASE}-image-x" / "tree"
    left.mkdir(parents=True)
    kernels.fetch_kernel(_RELEASE)
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("E: Failed to fetch x  Temporary failure resolving 'deb.debian.org'", "net"),
        ("E: Failed to fetch x  404  Not Found [IP: 1.2.3.4 80]", "apt-get update"),
        ("W: x\nE: write error - write (28: No space left on device)", "free some"),
    ],
)
def test_hints_fit_what_went_wrong(archive: _Archive, said: str, hint: str) -> None:
    archive._program("apt-get", f"cat >&2 <<'END'\n{said}\nEND\nexit 100")
    with pytest.raises(UbError) as caught:
        kernels.fetch_kernel(_RELEASE)
    assert hint in caught.value.hint


def test_a_full_disk_is_named_while_unpacking(archive: _Archive) -> None:
    _add_kernel(archive, _RELEASE)
    archive._program(
        "dpkg-deb",
        "echo 'tar: ./boot: Cannot write: No space left on device' >&2\n"
        "echo 'dpkg-deb: error: tar subprocess returned error exit status 2' >&2\n"
        "exit 2",
    )
    with pytest.raises(UbError, match="no space left") as caught:
        kernels.fetch_kernel(_RELEASE)
    assert "UBYPASS_CACHE" in caught.value.hint
    assert kernels.cached_releases() == []


def test_releases_that_are_offered_are_ordered_and_ordinary(archive: _Archive) -> None:
    names = ("6.1.0-100-amd64", "6.1.0-9-amd64", "6.1.0-47-amd64", "6.1.0-9-amd64")
    others = ("6.1.0-9-rt-amd64", "6.1.0-9-cloud-amd64", "6.10.0-1-amd64")
    lines = "".join(f"linux-headers-{n} - Header files\n" for n in (*names, *others))
    archive._program("apt-cache", f"echo \"$@\" >> {archive.log}\nprintf '{lines}'")
    assert kernels.offered_releases("6.1") == [
        "6.1.0-9-amd64",
        "6.1.0-47-amd64",
        "6.1.0-100-amd64",
    ]
    assert archive.calls()[-1].startswith("search --names-only ^linux-headers-")


def test_no_apt_offers_nothing(
    archive: _Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert kernels.offered_releases("6.1") == []
