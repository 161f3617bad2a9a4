# SPDX-License-Identifier: GPL-2.0-only
"""The version of the tool, the kernel module and the packages.

``MAJOR.MINOR.PATCH``: a new PATCH needs no change by users; a new MINOR adds features;
a new MAJOR removes or changes features. The module (``MODULE_VERSION``),
``debian/changelog`` and ``CHANGELOG.md`` have the same version; a test compares them.
The compatibility of tool and module has another number: ``ABI_VERSION``.
"""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.1.0"
