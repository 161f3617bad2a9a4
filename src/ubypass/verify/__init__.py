# SPDX-License-Identifier: GPL-2.0-only
"""Independent verification of generated code before the kernel runs it.

Shares no code with the translator and decodes with another library. The entry point
is :func:`ubypass.verify.check.check`. Depends on the contract (``docs/abi.md``) only,
and must not depend on the translator, on processes or on the device.
"""
