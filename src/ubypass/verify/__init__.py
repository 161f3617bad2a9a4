# SPDX-License-Identifier: GPL-2.0-only
"""A second opinion on generated code before the kernel runs it.

Shares no code with the translator and decodes with another library. Start at
:func:`ubypass.verify.check.check`. Knows the contract (``docs/abi.md``) and
nothing of how code is made, of processes or of the device.
"""
