# SPDX-License-Identifier: GPL-2.0-only
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patient import PATIENT
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_HELLO = """
#include <linux/module.h>
#include "word.h"
static int __init hello_init(void) { pr_info("hello %s\\n", WORD); return 0; }
static void __exit hello_exit(void) { }
module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
"""


@pytest.fixture(scope="module")
def release() -> str:
    """The lab's default kernel, with its headers fetched."""
    try:
        name = kernels.default_release()
        kernels.fetch_headers(name)
    except UbError as error:
        pytest.skip(error.message)
    return name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "sub").mkdir(parents=True)
    (directory / "Kbuild").write_text("obj-m := hello.o\n")
    (directory / "hello.c").write_text(_HELLO)
    (directory / "word.h").write_text('#define WORD "world"\n')
    (directory / "sub" / "Kbuild").write_text(
        "obj-m := other.o\nccflags-y := -I$(src)/..\n"
    )
    (directory / "sub" / "other.c").write_text(_HELLO)
    return directory


def _files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_builds_outside_the_source_and_only_what_changed(
    release: str, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = _files(source)
    module = build_module(release, source, out)
    assert module == out / "hello.ko"
    assert release.encode() in module.read_bytes()  # vermagic
    assert _files(source) == before

    stamp = (out / "hello.o").stat().st_mtime_ns
    assert build_module(release, source, out) == module
    assert (out / "hello.o").stat().st_mtime_ns == stamp

    (source / "word.h").write_text('#define WORD "moon"\n')
    build_module(release, source, out)
    assert b"moon" in module.read_bytes()

    # A removed file must not linger: what needs it fails, as it does at the source.
    (source / "word.h").unlink()
    with pytest.raises(UbError, match=r"word\.h"):
        build_module(release, source, out)


def test_a_subdirectory_sees_its_parent(
    release: str, source: Path, tmp_path: Path
) -> None:
    module = build_module(release, source, tmp_path / "out", subdir="sub")
    assert module == tmp_path / "out" / "sub" / "other.ko"


def test_errors_name_the_source_not_the_copy(
    release: str, source: Path, tmp_path: Path
) -> None:
    text = (source / "hello.c").read_text()
    (source / "hello.c").write_text(text.replace("return 0", "return nothing"))
    with pytest.raises(UbError) as caught:
        build_module(release, source, tmp_path / "out")
    assert f"{source}/hello.c:4:" in caught.value.message
    assert "nothing" in caught.value.message
    assert Path(caught.value.hint.split()[-1]).is_file()


def test_a_missing_symbol_is_an_error(
    release: str, source: Path, tmp_path: Path
) -> None:
    text = (source / "hello.c").read_text()
    text = text.replace("static int", "void gone(void);\nstatic int", 1)
    text = text.replace("return 0", "gone(); return 0")
    (source / "hello.c").write_text(text)
    with pytest.raises(UbError, match="gone"):
        build_module(release, source, tmp_path / "out")


def test_refused_before_anything_is_fetched(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UbError, match="no Kbuild"):
        build_module("6.1.0-1-amd64", tmp_path / "sub", tmp_path / "out")
    with pytest.raises(UbError, match="cannot build in"):
        build_module("6.1.0-1-amd64", source, tmp_path / "o u t")


@pytest.mark.guest
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs QEMU")
def test_the_module_loads(release: str, source: Path, tmp_path: Path) -> None:
    module = build_module(release, source, tmp_path / "out")
    options = replace(PATIENT, kernel=release, share=(tmp_path,))
    script = f"insmod {module} && rmmod hello"
    result = capture(["sh", "-c", script], options)
    assert result.exit_status == 0, result.stderr.decode()
    assert "hello world" in result.dmesg
