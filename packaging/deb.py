#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Build the Debian packages into ``build/deb``, and let lintian look at them.

Takes the checkout as it is: tracked files with their changes, and new ones. The tools
of Debian's developers are those of the suite, unpacked into a directory of the cache
(`ubypass.lab.roots`): nothing is installed here, and no privileges are needed where
users may have namespaces. Wheels are fetched by pip, by their digests; the build itself
uses no network.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT / "src"))

from ubypass import child  # noqa: E402
from ubypass.errors import UbError  # noqa: E402
from ubypass.lab import roots  # noqa: E402
from ubypass.version import VERSION  # noqa: E402

__all__ = ["OLDEST", "build", "export", "renumber"]

#: Packages that were built there can be installed there and on all that came later.
OLDEST = "bookworm"

_PLACE = _ROOT / "build" / "deb"
_WHEELS = _ROOT / "packaging" / "wheels.txt"
#: Beside what debian/control wants.
_TOOLS = ("base-files", "base-passwd", "dpkg-dev", "lintian")
_LEFT_OUT = ("tests/",)

# An unpacked system has no users yet, and does not know that it is Debian.
_BUILD = """
set -eu
ln -sfn debian /etc/dpkg/origins/default
cp -n /usr/share/base-passwd/passwd.master /etc/passwd
cp -n /usr/share/base-passwd/group.master /etc/group
cd "$1"
dpkg-checkbuilddeps -I
dpkg-buildpackage --no-check-builddeps --build=binary --no-sign
lintian --fail-on error,warning --tag-display-limit 0 --allow-root ../*.changes
"""


def build(suite: str, version: str = VERSION) -> list[Path]:
    """The packages, built with ``suite``'s tools; ``version``: in place of our own.

    Raises UbError if they cannot be built, or if lintian has something to say.
    """
    log = _PLACE / "build.log"
    work = _PLACE / "work"
    if work.exists():
        shutil.rmtree(work)
    tree = work / f"ubypass-{version}"
    export(tree)
    if version != VERSION:
        renumber(tree, version)
    _fetch_wheels(tree / "wheels")
    needed = [*_build_depends(), *_TOOLS]
    root = roots.fetch_packages(suite, "deb", needed, _say)
    _say(f"building {version}")
    command = ["sh", "-c", _BUILD, "sh", str(tree)]
    done = child.run(
        roots.inside(root, command, [work]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/nonexistent",
            "LC_ALL": "C.UTF-8",
        },
    )
    log.write_text(done.stdout)
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-15:])
        raise UbError(f"the packages are not as they should be:\n{last}", f"see {log}")
    made = []
    for deb in sorted(work.glob("*.deb")):
        made.append(deb.replace(_PLACE / deb.name))
    shutil.rmtree(work)
    return made


def export(tree: Path) -> None:
    """Copy what belongs to the source into ``tree``, and nothing that was built."""
    git = ["git", "-C", str(_ROOT), "-c", f"safe.directory={_ROOT}"]
    listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run([*git, *listed], capture_output=True, check=True)
    for name in os.fsdecode(done.stdout).split("\0"):
        source, copy = _ROOT / name, tree / name
        # What was removed is still listed until that is committed.
        if not name or name.startswith(_LEFT_OUT) or not os.path.lexists(source):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy, follow_symlinks=False)


def renumber(tree: Path, version: str) -> None:
    """Make ``tree`` the source of another version: tests upgrade to it."""
    for name, form in (
        ("src/ubypass/version.py", 'VERSION: Final = "{}"'),
        ("kernel/main.c", 'MODULE_VERSION("{}")'),
    ):
        file = tree / name
        text = file.read_text()
        old = form.format(VERSION)
        if old not in text:
            raise UbError(f"{name} does not say {old}")
        file.write_text(text.replace(old, form.format(version)))
    changelog = tree / "debian" / "changelog"
    text = changelog.read_text()
    maintainer = re.findall(r"^ -- (.*>)  ", text, re.MULTILINE)[0]
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    entry = f"ubypass ({version}) unstable; urgency=medium\n\n  * A test.\n\n"
    changelog.write_text(f"{entry} -- {maintainer}  {date}\n\n{text}")


def _build_depends() -> Iterator[str]:
    """Names of the packages that debian/control wants for building."""
    control = (_ROOT / "debian" / "control").read_text()
    found = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)
    if found is None:
        raise UbError("debian/control has no Build-Depends")
    for line in found[1].splitlines():
        name = re.split(r"[ :,(]", line.strip())[0]
        sequence = re.fullmatch(r"dh-sequence-(\w+)", name)
        if name == "debhelper-compat":
            yield "debhelper"
        elif sequence is not None:
            yield f"dh-{sequence[1]}"
        elif name:
            yield name


def _fetch_wheels(directory: Path) -> None:
    """Fetched once; their digests are compared each time."""
    directory.mkdir(parents=True)
    cache = _PLACE / "wheels"
    cache.mkdir(exist_ok=True)
    at_hand = ["--no-index", "--find-links", str(cache), "--dest", str(directory)]
    if _pip(at_hand) is None:
        return
    _say("fetching wheels")
    why = _pip(["--dest", str(cache)]) or _pip(at_hand)
    if why is not None:
        raise UbError(f"cannot fetch the wheels: {why}", "see to network and proxy")


def _pip(options: list[str]) -> str | None:
    """Have pip download what is wanted; what it says if it cannot."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--requirement", str(_WHEELS), *options]
    done = child.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    said: list[str] = done.stderr.strip().splitlines() or ["no message"]
    return said[-1]


def _say(phrase: str) -> None:
    print(f"deb: {phrase}", file=sys.stderr, flush=True)


def main() -> int:
    """Build; 1 if that fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--suite", default=OLDEST, help="default: %(default)s")
    parser.add_argument("--version", default=VERSION, help="another, for tests")
    args = parser.parse_args()
    try:
        made = build(args.suite, args.version)
    except UbError as error:
        print(f"deb: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"    {error.hint}", file=sys.stderr)
        return 1
    for deb in made:
        print(os.path.relpath(deb))
    return 0


if __name__ == "__main__":
    sys.exit(main())
