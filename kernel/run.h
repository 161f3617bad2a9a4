/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs of translations, and the hook around a system-call handler. */
#ifndef _UB_RUN_H
#define _UB_RUN_H

#include <linux/percpu.h>
#include <linux/types.h>

struct pt_regs;

/* Tasks of attached processes that are in a hooked call, or behind one. */
DECLARE_PER_CPU(long, ub_inside);

/* Called by the trampoline only. */
void ub_before(void);
long ub_after(struct pt_regs *regs, long ret, unsigned long number);

#endif /* _UB_RUN_H */
