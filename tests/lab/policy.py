# SPDX-License-Identifier: GPL-2.0-only
"""What ``apt-cache policy`` says where Debian's packages come from a mirror."""

from __future__ import annotations

__all__ = ["DEBIAN", "answer"]

DEBIAN = """\
 500 http://mirror.example/debian trixie/main amd64 Packages
     release v=13.1,o=Debian,a=stable,n=trixie,l=Debian,c=main,b=amd64
"""


def answer(policy: str = DEBIAN) -> str:
    """Lines of a shell program in place of apt-cache; nothing else is answered."""
    return f'if [ "$1" = policy ]; then cat <<END\n{policy}END\nexit; fi'
