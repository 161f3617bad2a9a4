# SPDX-License-Identifier: GPL-2.0-only
"""What foreign programs are given to work on: the same bytes each time."""

from __future__ import annotations

import json
import random
from pathlib import Path

__all__ = ["make_inputs"]

_WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "this", "lazy", "dog")
_DATA = 160 << 10  # bytes
_LINES = 4000
_FILES = 60
_ROWS = 600


def make_inputs(directory: Path, scale: int = 1) -> None:
    """Fill ``directory``: ``data``, ``words``, ``tree``, files.json and .csv, and SQL.

    ``scale``: times the usual size.
    """
    directory.mkdir(parents=True)
    chance = random.Random(1)
    # Compressible, but not too well.
    data = bytes(chance.choice(b"etaoin\n\x00") for _ in range(_DATA * scale))
    (directory / "data").write_bytes(data)
    lines = [_line(chance) for _ in range(_LINES * scale)]
    (directory / "words").write_text("".join(lines))
    rows = [_row(number, chance) for number in range(_ROWS * scale)]
    (directory / "files.json").write_text(json.dumps(rows))
    table = [",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]
    (directory / "files.csv").write_text("\n".join(table) + "\n")
    (directory / "statements.sql").write_text(_statements(rows))
    for number in range(_FILES * scale):
        file = directory / "tree" / f"d{number % 7}" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(lines[number : number + number % 40]))
        file.chmod(0o640 if number % 3 else 0o755)


def _line(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randrange(1, 8))) + "\n"


def _row(number: int, chance: random.Random) -> dict[str, str | int]:
    name = "-".join(chance.choices(_WORDS, k=3))
    return {"number": number, "name": name, "size": chance.randrange(1 << 20)}


def _statements(rows: list[dict[str, str | int]]) -> str:
    """Each of the first statements is a transaction, and so written to the file."""
    lines = [
        "CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT, size INTEGER);"
    ]
    lines += [
        f"INSERT INTO files VALUES ({row['number']}, '{row['name']}', {row['size']});"
        for row in rows
    ]
    lines += [
        "CREATE INDEX by_name ON files (name);",
        "UPDATE files SET size = size + 1 WHERE number % 3 = 0;",
        "SELECT name, count(*), sum(size) FROM files GROUP BY name ORDER BY name;",
        "DELETE FROM files WHERE number % 5 = 0;",
        "VACUUM;",
        "PRAGMA integrity_check;",
        "SELECT count(*) FROM files;",
    ]
    return "\n".join(lines) + "\n"
