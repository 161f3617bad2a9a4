# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.secureboot``: ``ub doctor`` under Secure Boot, and what it advises.

Boots Debian's kernel by its signed boot loaders on a machine with UEFI firmware and
Microsoft's keys, again and again: with an unsigned module, with one whose key is not
enrolled, with an enrolled key, and after what ``ub doctor`` says to do. Requests of
mokutil are confirmed in shim's own manager before the boot, as by a person.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.places import ROOT
from tests.secureboot import machine
from tests.secureboot.inside import Said
from tests.secureboot.partition import make_partition
from tests.secureboot.steps import BOOTS, Boot, judge
from ubypass.errors import UbError
from ubypass.lab import initramfs, job, kernels, roots, streams
from ubypass.lab.logcheck import log_problems
from ubypass.lab.qemu import Machine, MachineSpec
from ubypass.module.build import build_module

_WORK = ROOT / "build" / "tests" / "secureboot"
_PACKAGES = (
    *("ovmf", "shim-signed", "grub-efi-amd64-signed"),
    *("dosfstools", "mtools", "mokutil", "openssl"),
)
_TRIES = 3  # to confirm a request
_TIMEOUT = 1800.0  # seconds of a boot's commands, and of the boot itself


def main() -> int:
    """Try it; 1 if something is not right."""
    parser = argparse.ArgumentParser(prog="tests.secureboot", description=__doc__)
    parser.add_argument("--suite", help="of the kernel; by default this system's")
    args = parser.parse_args()
    begun = time.monotonic()
    try:
        problems = _run(args.suite)
    except UbError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(f"NOT RIGHT: {problem}")
    print(f"{len(problems)} problems; {time.monotonic() - begun:.0f} s")
    return 1 if problems else 0


def _run(suite: str | None) -> list[str]:
    root = roots.fetch_packages("bookworm", "secureboot", _PACKAGES, print)
    release = kernels.default_release(suite)
    kernel = kernels.fetch_kernel(release, print, suite=suite)
    headers = kernels.fetch_headers(release, print, suite=suite)
    built = ROOT / "build" / "kernel" / release
    build_module(release, ROOT / "kernel", built, suite=suite, report=print)
    _WORK.mkdir(parents=True, exist_ok=True)
    _make_key(root)
    variables = _WORK / "variables"
    shutil.copyfile(root / machine.VARIABLES, variables)
    problems = []
    for boot in BOOTS:
        print(f"== {release}: {boot.name}", flush=True)
        found = _boot(boot, root, kernel, headers, variables)
        problems += [f"{boot.name}: {problem}" for problem in found]
        if found:
            break  # what comes next builds on it
    return problems


def _boot(
    boot: Boot, root: Path, kernel: kernels.Kernel, headers: Path, variables: Path
) -> list[str]:
    """Boot, do the steps and what follows; what was not right."""
    base, modules = initramfs.base_image(kernel)
    command = [sys.executable, "-m", "tests.secureboot.inside"]
    command += [str(_WORK), str(root), str(headers)]
    command += [step.typed for step in boot.steps]
    environment = job.command_environment(os.environ, {})
    # Nothing is shared: what is written into the checkout is the guest's alone.
    files = job.job_files(
        kernel, modules, command, cwd=ROOT, shares=[], environment=environment
    )
    initrd = _WORK / "initrd"
    initrd.write_bytes(base.read_bytes() + initramfs.archive(files))
    spec = MachineSpec(
        image=kernel.image,
        initramfs=initrd,
        accel="tcg",
        cpus=1,
        memory="2G",
        shares=(("ub_root", Path("/"), True),),
        append=boot.parameters,
    )
    parameters = machine.parameters(spec)
    disk = make_partition(root, kernel.image, initrd, parameters, _WORK)
    out, err = bytearray(), bytearray()
    with machine.started(spec, root, variables, disk) as started:
        said = streams.follow(
            started,
            stdin=None,
            stdout=out.extend,
            stderr=err.extend,
            started=lambda: None,
            boot_timeout=_TIMEOUT,
            timeout=_TIMEOUT,
        )
    log = (said.log if said.complete else said.console).decode(errors="replace")
    name = f"{BOOTS.index(boot) + 1}.log"
    (_WORK / name).write_text(f"{log}\n{out.decode()}\n{err.decode()}")
    lines: list[Said] = [json.loads(line) for line in out.decode().splitlines()]
    for line in lines:
        print(f"$ {line['typed']}  [{line['status']}]", flush=True)
    problems = [*log_problems(log, job.LOG_MARK), *judge(boot.steps, lines)]
    if said.status != 0:
        problems.append(f"status {said.status}; see {_WORK}/{name}: {err.decode()}")
    if boot.then and not problems:

        def start() -> AbstractContextManager[Machine]:
            return machine.started(spec, root, variables, disk)

        _confirm(boot.then, start, variables)
    return problems


def _confirm(
    what: Callable[[Machine], None],
    start: Callable[[], AbstractContextManager[Machine]],
    variables: Path,
) -> None:
    """Confirm a request in shim's manager, which forgets it once it has been shown.

    A key that is lost on a busy machine must not end all: what was requested is brought
    back, and typed again. Raises UbError after the last try.
    """
    requested = variables.read_bytes()
    for tries in reversed(range(_TRIES)):
        try:
            with start() as started:
                what(started)
            return
        except UbError as error:
            if not tries:
                raise
            print(f"again: {error}", flush=True)
            variables.write_bytes(requested)


def _make_key(root: Path) -> None:
    """The machine's key and its certificate, as DKMS makes them."""
    command = [
        *("openssl", "req", "-new", "-x509", "-nodes", "-days", "36500"),
        *("-subj", "/CN=DKMS module signing key"),
        *("-newkey", "rsa:2048", "-outform", "DER"),
        *("-keyout", str(_WORK / "mok.key"), "-out", str(_WORK / "mok.pub")),
    ]
    done = subprocess.run(
        roots.inside(root, command, [_WORK]), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise UbError(f"cannot make a key: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
