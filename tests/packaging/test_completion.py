# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.programs import program
from tests.places import ROOT

_ASK = """
source "$1"
COMP_LINE="$2" COMP_POINT=${#2} COMP_TYPE=9 COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
words=$(complete -p ub); words=${words#*-F }
${words%% *} ub
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "offered"), [("ub mod", "module"), ("ub module sta", "status")]
)
def test_bash_completes(tmp_path: Path, line: str, offered: str) -> None:
    file = tmp_path / "ub.bash"
    file.write_text(program("completion").completion())
    command = tmp_path / "bin" / "ub"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\n# PYTHON_ARGCOMPLETE_OK\nimport sys\n"
        f"sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from ubypass.cli.main import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "--norc", "-c", _ASK, "bash", str(file), line],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
    )
    assert done.stdout.split() == [offered], done.stderr
