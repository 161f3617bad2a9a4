# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.deploy [SUITE...]``: ``deploy/``, judged and tried.

As root also, on a fresh Debian of each suite, the role (`tests.deploy.life`) and what
the Dockerfiles run (`tests.deploy.images`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from tests.deploy.images import build_images
from tests.deploy.judges import judge_manifests, judge_plays, tools
from tests.deploy.life import life
from tests.fresh.machine import Failed
from tests.packaging.programs import program
from tests.places import ROOT

SUITES = ("bookworm", "trixie")
_BUILD = ROOT / "build" / "deploy"


def main() -> int:
    """1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="tests.deploy", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument(
        "--built", action="store_true", help="take the packages in build/deb"
    )
    args = parser.parse_args()
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        programs = tools(_BUILD / "tools")
        judge_plays(programs)
        print(
            "plays: ansible-playbook and ansible-lint have nothing to say", flush=True
        )
        number = judge_manifests(programs, _BUILD / "manifests")
        print(f"manifests: {number} meet the schemas", flush=True)
        _try_machines(args.suites or SUITES, built=args.built)
    except Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def _try_machines(suites: list[str] | tuple[str, ...], *, built: bool) -> None:
    if os.getuid() != 0 or shutil.which("debootstrap") is None:
        print("machines: not tried, which takes root and debootstrap", file=sys.stderr)
        return
    deb = program("deb")
    debs: list[Path] = sorted((ROOT / "build" / "deb").glob("*.deb"))
    if not built:
        debs = deb.build(deb.OLDEST)
    for suite in suites:
        print(f"role and images on {suite}", flush=True)
        life(ROOT / "build" / "fresh", debs, suite)
        build_images(ROOT / "build" / "fresh", debs, suite)
        print("  what the Dockerfiles run builds tool and module", flush=True)


if __name__ == "__main__":
    sys.exit(main())
