/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gap that is being timed on each CPU.  The trampoline reads .task: a call of that
 * task must reach the hook, which ends the gap.
 */
#ifndef _UB_GAP_H
#define _UB_GAP_H

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <asm/tsc.h>

/* The trampoline depends on the order. */
struct ub_gap {
	struct task_struct *task;
	u64 ip;
	u64 tsc;
	u32 nr;
};

DECLARE_PER_CPU(struct ub_gap, ub_gap);

void ub_gap_forget_all(void);

/* Start timing a gap of current, after call .nr that returns to .ip. */
static inline void ub_gap_begin(u64 ip, u32 nr)
{
	preempt_disable();
	__this_cpu_write(ub_gap.ip, ip);
	__this_cpu_write(ub_gap.nr, nr);
	__this_cpu_write(ub_gap.tsc, rdtsc());
	__this_cpu_write(ub_gap.task, current);
	preempt_enable();
}

#endif /* _UB_GAP_H */
