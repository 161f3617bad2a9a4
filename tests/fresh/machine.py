# SPDX-License-Identifier: GPL-2.0-only
"""A minimal Debian in a directory, and commands in it as somebody types them.

Mounts are made in a namespace of each command and end with it, and so do all of its
processes: nothing can be left behind.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fresh import host

__all__ = ["SUITE", "Done", "Failed", "Machine", "fresh"]

SUITE = "bookworm"
#: Bare, but for what a clone and make need.
_PACKAGES = "git,make"

_ENTER = """
set -e
root="$1"
shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
    shift
done
shift
exec chroot "$@"
"""


class Failed(Exception):
    """A newcomer would have given up here."""


@dataclass(frozen=True)
class Done:
    """How a command ended, what it showed, and the seconds that it took.

    ``cpu`` are those of its processes: what a busy machine adds is not in them.
    """

    command: str
    status: int
    output: str
    seconds: float
    cpu: float


class Machine:
    """One root directory. ``source``: what can be read there under the same path."""

    def __init__(self, root: Path, source: Path, log: Path) -> None:
        self.root = root
        self.source = source
        self._pip = host.pip()
        self._log = log.open("w", encoding="utf-8")
        self.typed: list[Done] = []

    def type(
        self,
        command: str,
        *,
        user: str = "root",
        cwd: str | None = None,
        offline: bool = False,
        timeout: float = 3600,
    ) -> Done:
        """Run ``command`` by a shell as a newcomer does, who waits for its end."""
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {
            "HOME": home,
            "USER": user,
            "LOGNAME": user,
            "TERM": "dumb",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **self._pip.variables,
        }
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words += ["--net"] if offline else []
        words += ["sh", "-c", _ENTER, "sh", str(self.root), str(self.source)]
        words += [*map(str, self._pip.directories), "--"]
        words += [f"--userspec={user}:{user}", str(self.root), "/usr/bin/env", "-i"]
        words += [f"{name}={text}" for name, text in variables.items()]
        words += ["/bin/sh", "-c", f"cd {shlex.quote(cwd or home)} && {command}"]
        print(f"$ {command}", file=self._log, flush=True)
        begun, used = time.monotonic(), _cpu()
        status, output = self._wait(words, timeout)
        seconds, cpu = time.monotonic() - begun, _cpu() - used
        done = Done(command, status, output, seconds, cpu)
        print(f"[status {status}, {done.seconds:.0f} s]", file=self._log, flush=True)
        self.typed.append(done)
        return done

    def _wait(self, words: Sequence[str], timeout: float) -> tuple[int, str]:
        pieces = []
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            ends = time.monotonic() + timeout
            for line in process.stdout:
                pieces.append(line)
                print(line, end="", file=self._log, flush=True)
                if time.monotonic() > ends:
                    process.kill()
            return process.wait(), "".join(pieces)

    def succeeds(self, command: str, **how: object) -> Done:
        """Like `type`; raises Failed unless the command does."""
        done = self.type(command, **how)  # type: ignore[arg-type]
        if done.status != 0:
            end = "\n".join(f"    {line}" for line in done.output.splitlines()[-12:])
            raise Failed(f"'{command}' ended with status {done.status}:\n{end}")
        return done

    def packages(self) -> set[str]:
        """Names of the packages that are installed."""
        form = "${Status}\\t${Package}\\n"
        admin = self.root / "var" / "lib" / "dpkg"
        command = ["dpkg-query", f"--admindir={admin}", "-W", "-f", form]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = (line.split("\t") for line in done.stdout.splitlines())
        return {name for status, name in rows if status.endswith(" installed")}

    def units(self) -> dict[str, str]:
        """What systemd is told by links: where each is, and where it leads."""
        place = self.root / "etc" / "systemd" / "system"
        links = (path for path in place.rglob("*") if path.is_symlink())
        return {str(path.relative_to(place)): os.readlink(path) for path in links}

    def add_user(self, name: str) -> None:
        """Somebody without any rights."""
        command = ["useradd", "--root", str(self.root), "--create-home", name]
        subprocess.run(command, check=True)


def _cpu() -> float:
    """Seconds of CPU time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fresh(
    place: Path, source: Path, name: str, *, security: bool, suite: str = SUITE
) -> Machine:
    """A new machine in ``place``; the archive's main suite, or its updates as well.

    Debian itself is fetched once and kept beside it.
    """
    base = place / f"{suite}-base"
    if not base.is_dir():
        _install(base, suite)
    root = place / f"machine-{name}"
    if root.exists():
        shutil.rmtree(root)
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
    suites = [suite, f"{suite}-security"] if security else [suite]
    lines = [f"deb {_mirror(each)} {each} main\n" for each in suites]
    (root / "etc/apt/sources.list").write_text("".join(lines))
    (root / "etc/apt/apt.conf.d/90host").write_text(host.apt_options())
    if security:
        # As in an image for containers, which comes without package lists.
        shutil.rmtree(root / "var/lib/apt/lists")
    for file in "resolv.conf", "hosts":
        shutil.copy(f"/etc/{file}", root / "etc")
    for path, data in host.pip().files.items():
        there = root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(data)
    # The repository belongs to whoever runs this, not to who clones it.
    (root / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")
    return Machine(root, source, place / f"{name}.log")


def _install(base: Path, suite: str) -> None:
    print(f"fetching Debian ({suite}), once", flush=True)
    partial = base.with_suffix(".partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    options = ["--variant=minbase", f"--include={_PACKAGES}"]
    command = ["debootstrap", *options, suite, str(partial), _mirror(suite)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"debootstrap failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    partial.rename(base)


def _mirror(suite: str) -> str:
    """What apt here uses for this suite, else for that of which mirrors are tried."""
    base, hyphen, part = suite.partition("-")
    found = host.mirror(suite) or host.mirror(f"{SUITE}{hyphen}{part}")
    if not found:
        raise Failed(f"apt here has no mirror of Debian's {base}: see apt's sources")
    return found
