# SPDX-License-Identifier: GPL-2.0-only
"""Names for iced's constants in annotations.

They are plain integers at run time and enumerations to a type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Code as IcedCode
    from iced_x86._iced_x86_py import Register as IcedRegister
else:
    IcedCode = IcedRegister = int

__all__ = ["IcedCode", "IcedRegister"]
