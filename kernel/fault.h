/* SPDX-License-Identifier: GPL-2.0-only */
/* The exception table for code in the arena. */
#ifndef _UB_FAULT_H
#define _UB_FAULT_H

int ub_fault_init(void);
void ub_fault_exit(void);
int ub_fault_rebuild(void);

#endif /* _UB_FAULT_H */
