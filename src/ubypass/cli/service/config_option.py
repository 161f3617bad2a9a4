# SPDX-License-Identifier: GPL-2.0-only
"""The option that names the configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_config_option"]

_CONFIG = "/etc/ubypass/config.toml"


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config``."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(_CONFIG),
        metavar="FILE",
        help=f"the configuration (default: {_CONFIG})",
    )
