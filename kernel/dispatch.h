/* SPDX-License-Identifier: GPL-2.0-only */
/* The code at each dispatch, which the module writes into a region. */
#ifndef _UB_DISPATCH_H
#define _UB_DISPATCH_H

#include <linux/types.h>

struct pt_regs;

struct ub_dispatch_site {
	u8 *image;		/* buffer to write to */
	u8 *code;		/* address at which the code will run */
	u32 nr;
	u32 slot;		/* slot of the region */
	u8 *pre;		/* exit stubs, at the addresses where they will run */
	u8 *post;
	u8 *filtered;		/* code of seccomp_emit.c, likewise; or NULL */
	bool vector;		/* segments hold the FPU registers */
	unsigned long body;	/* to be called; 0: of the handler, if regions may call it */
};

u32 ub_dispatch_size(bool vector);
u64 ub_dispatch_duties(const struct pt_regs *regs);
u8 *ub_dispatch_emit(const struct ub_dispatch_site *site);
void ub_softirq(void);		/* called by generated code only */

#endif /* _UB_DISPATCH_H */
