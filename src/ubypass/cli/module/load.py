# SPDX-License-Identifier: GPL-2.0-only
"""``ub module load``: load the module into the running kernel."""

from __future__ import annotations

import argparse
import os
import platform
import re
from pathlib import Path

from ubypass.cli.module.files import how_to_get, is_loaded, loadable, short
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.module.loading import finit_module, init_module, require_root

__all__ = ["VERB", "configure", "run"]

_KERNEL_LOG = Path("/dev/kmsg")
_LOG_RECORD = 8192  # bytes of the longest record


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--file",
        metavar="FILE",
        help="load FILE instead of the built or installed module",
    )


def run(args: argparse.Namespace) -> int:
    """Load the module; 0, also if it is loaded already. Raises UbError."""
    file = Path(args.file) if args.file else loadable(platform.release())
    if is_loaded():
        print("the module is loaded already")
        return 0
    from ubypass.module.installed import contents

    if not file.exists():
        raise UbError(
            f"there is no module {short(file)}",
            f"to get it: {how_to_get(platform.release())}",
        )
    with open_regular(file) as opened:
        require_root("load")
        log = _open_log()
        try:
            data = contents(file)
            if data is None:
                finit_module(opened.fileno())
            else:
                # Not every kernel can decompress modules.
                init_module(data)
        except UbError as error:
            raise _with_message(error, _read_log(log)) from None
        finally:
            if log is not None:
                os.close(log)
    print(f"loaded {short(file)}")
    return 0


def _open_log() -> int | None:
    """The kernel's log, from its present end; None if it cannot be read."""
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        return None
    return log


def _read_log(log: int | None) -> list[str]:
    """The module's messages since then, without its name."""
    messages: list[str] = []
    while log is not None:
        try:
            record = os.read(log, _LOG_RECORD)
        except BrokenPipeError:  # records were overwritten
            continue
        except OSError:  # no more records
            break
        if not record:
            break
        text = record.decode(errors="replace")
        messages += re.findall(r"^[^ ;\n][^;\n]*;ub: (.+)$", text, re.MULTILINE)
    return messages


def _with_message(error: UbError, messages: list[str]) -> UbError:
    """The error with the module's own message, which often has a remedy."""
    if not messages:
        return error
    reason, _, hint = messages[-1].partition("; ")
    return UbError(
        f"cannot load the module: {reason}",
        hint or "'ub doctor' shows what is missing on this machine",
    )


VERB = Verb("load", "load the module into the running kernel", configure, run)
