/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs of translations, and the hook around a system-call handler. */
#ifndef _UB_RUN_H
#define _UB_RUN_H

#include <linux/percpu.h>
#include <linux/types.h>

struct pt_regs;

/* Tasks of attached processes that are between the trampoline's two calls. */
DECLARE_PER_CPU(long, ub_inside);

long ub_hook(struct pt_regs *regs, unsigned long body);

#endif /* _UB_RUN_H */
