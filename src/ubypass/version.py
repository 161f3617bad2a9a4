# SPDX-License-Identifier: GPL-2.0-only
"""Which version this is: of the tool, of the kernel module and of the packages.

``MAJOR.MINOR.PATCH``: with another PATCH nothing has to be changed by those who use
it; another MINOR adds; another MAJOR takes away or changes what was there. The module
(``MODULE_VERSION``), ``debian/changelog`` and ``CHANGELOG.md`` say the same, and a test
compares them. Whether tool and module fit together is another number: ``ABI_VERSION``.
"""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.1.0"
