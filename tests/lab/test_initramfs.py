# SPDX-License-Identifier: GPL-2.0-only
import lzma
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import initramfs
from ubypass.lab.kernels import Kernel

_RELEASE = "6.1.0-1-amd64"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel package with all the lab's modules but virtio_pci, which is built in."""
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    kernel = Kernel(_RELEASE, tmp_path / "image")
    modules = kernel.modules
    (modules / "kernel").mkdir(parents=True)
    (modules / "kernel/virtio_console.ko").write_bytes(b"console")
    for name in "9pnet_virtio", "9p", "overlay", "netfs", "fscache", "9pnet":
        data = lzma.compress(name.encode())
        (modules / f"kernel/{name}.ko.xz").write_bytes(data)
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio-pci.ko\n")
    (modules / "modules.dep").write_text(
        "kernel/virtio_console.ko:\n"
        "kernel/9pnet.ko.xz:\n"
        "kernel/netfs.ko.xz:\n"
        "kernel/fscache.ko.xz: kernel/netfs.ko.xz\n"
        "kernel/9pnet_virtio.ko.xz: kernel/9pnet.ko.xz\n"
        "kernel/9p.ko.xz: kernel/fscache.ko.xz kernel/netfs.ko.xz kernel/9pnet.ko.xz\n"
        "kernel/overlay.ko.xz:\n"
    )
    return kernel


@pytest.fixture
def busybox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "busybox"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF static")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


def test_modules_come_after_what_they_need(kernel: Kernel) -> None:
    order = initramfs.load_order(kernel.modules, initramfs.MODULES)
    names = [path.name.split(".")[0] for path in order]
    assert "virtio_pci" not in names  # built in
    assert len(names) == len(set(names))
    for first, then in [
        ("9pnet", "9pnet_virtio"),
        ("netfs", "fscache"),
        ("fscache", "9p"),
    ]:
        assert names.index(first) < names.index(then)


@pytest.mark.usefixtures("busybox")
def test_a_kernel_without_9p_gets_virtiofs(kernel: Kernel) -> None:
    assert not initramfs.needs_virtiofs(kernel)
    dep = kernel.modules / "modules.dep"
    lines = dep.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("kernel/9p")]
    dep.write_text("\n".join([*kept, "kernel/fs/fuse/virtiofs.ko.xz:", ""]))
    (kernel.modules / "kernel/fs/fuse").mkdir(parents=True)
    file = kernel.modules / "kernel/fs/fuse/virtiofs.ko.xz"
    file.write_bytes(lzma.compress(b"virtiofs"))
    assert initramfs.needs_virtiofs(kernel)
    _, names = initramfs.base_image(kernel)
    assert names == ["virtio_console.ko", "virtiofs.ko", "overlay.ko"]
    # Built in, as in the kernel of make debug-kernel.
    builtin = kernel.modules / "modules.builtin"
    builtin.write_text(f"{builtin.read_text()}kernel/fs/9p/9p.ko\n")
    assert not initramfs.needs_virtiofs(kernel)


def test_a_kernel_without_a_module_is_refused(kernel: Kernel) -> None:
    with pytest.raises(UbError, match="no module nothing"):
        initramfs.load_order(kernel.modules, ["nothing"])


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio unpacks the archive")
def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    data = initramfs.archive([("a", b"odd"), ("b c", b""), ("d", bytes(range(256)))])
    subprocess.run(
        ["cpio", "-i", "--quiet"], input=data, cwd=tmp_path, check=True, timeout=30
    )
    assert (tmp_path / "a").read_bytes() == b"odd"
    assert (tmp_path / "b c").read_bytes() == b""
    assert (tmp_path / "d").read_bytes() == bytes(range(256))
    assert (tmp_path / "a").stat().st_mode & stat.S_IXUSR


@pytest.mark.usefixtures("busybox")
def test_the_image_is_the_same_each_time_and_new_when_parts_change(
    kernel: Kernel,
) -> None:
    first, names = initramfs.base_image(kernel)
    content = first.read_bytes()
    first.unlink()
    again, _ = initramfs.base_image(kernel)
    assert again == first
    assert again.read_bytes() == content
    assert "9p.ko" in names
    assert b"fscache" in content  # decompressed
    (kernel.modules / "kernel/virtio_console.ko").write_bytes(b"changed")
    changed, _ = initramfs.base_image(kernel)
    assert changed != first


def test_a_dynamic_busybox_is_refused(kernel: Kernel, busybox: Path) -> None:
    busybox.write_bytes(b"\x7fELF /lib64/ld-linux-x86-64.so.2")
    with pytest.raises(UbError, match="static busybox") as caught:
        initramfs.base_image(kernel)
    assert "busybox-static" in caught.value.hint


@pytest.mark.usefixtures("busybox")
def test_an_unknown_compression_is_refused(kernel: Kernel) -> None:
    dep = kernel.modules / "modules.dep"
    dep.write_text(dep.read_text().replace("overlay.ko.xz", "overlay.ko.bz2"))
    (kernel.modules / "kernel/overlay.ko.xz").rename(
        kernel.modules / "kernel/overlay.ko.bz2"
    )
    with pytest.raises(UbError, match=r"compression \.bz2"):
        initramfs.base_image(kernel)


@pytest.fixture
def zst(kernel: Kernel) -> Path:
    """Where a module that zstd compressed belongs."""
    dep = kernel.modules / "modules.dep"
    dep.write_text(dep.read_text().replace("overlay.ko.xz", "overlay.ko.zst"))
    (kernel.modules / "kernel/overlay.ko.xz").unlink()
    return kernel.modules / "kernel/overlay.ko.zst"


@pytest.mark.usefixtures("busybox")
@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
def test_modules_may_be_compressed_with_zstd(kernel: Kernel, zst: Path) -> None:
    text = b"a module of which much is the same " * 9
    command = ["zstd", "-q", "-o", str(zst)]
    subprocess.run(command, input=text, check=True)
    image, names = initramfs.base_image(kernel)
    assert "overlay.ko" in names
    assert text in image.read_bytes()
    zst.write_bytes(zst.read_bytes()[:20])
    with pytest.raises(UbError, match=r"overlay\.ko\.zst: it is damaged"):
        initramfs.base_image(kernel)


@pytest.mark.usefixtures("busybox")
def test_without_zstd_its_package_is_named(
    kernel: Kernel, zst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zst.write_bytes(b"x")
    found = initramfs.find_busybox()
    monkeypatch.setenv("PATH", str(found.parent))
    with pytest.raises(UbError) as caught:
        initramfs.base_image(kernel)
    assert "apt install zstd" in caught.value.hint
