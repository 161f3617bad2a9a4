# SPDX-License-Identifier: GPL-2.0-only
"""The loops' reads compared with io_uring, which saves system calls in another way.

`record` is one way to read at one size and depth, `program` drives the loop over
io_uring, `fio` drives fio's engines, `measure` runs all in one boot, `words` and
`report` compare the costs.
"""
