/* SPDX-License-Identifier: GPL-2.0-only */
/* A test at load: a small region of the module's own is run and its effects are compared. */
#ifndef _UB_SELFTEST_H
#define _UB_SELFTEST_H

int ub_selftest(void);

#endif /* _UB_SELFTEST_H */
