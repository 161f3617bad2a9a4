/* SPDX-License-Identifier: GPL-2.0-only */
/* Entry into generated code and exit from it. */
#ifndef _UB_ENTER_H
#define _UB_ENTER_H

#include <linux/types.h>

struct pt_regs;
struct ub_region;

long ub_enter(struct pt_regs *regs, u8 *code, struct ub_region *region,
	      unsigned long account, u64 fsbase, u64 limit);
void ub_leave(void);		/* jumped to, never called */

#endif /* _UB_ENTER_H */
