/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends long runs of tasks that have become ineligible. */
#ifndef _UB_SUSPEND_H
#define _UB_SUSPEND_H

void ub_suspend_start(void);
void ub_suspend_exit(void);

#endif /* _UB_SUSPEND_H */
