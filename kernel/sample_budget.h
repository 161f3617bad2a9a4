/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sample budget: the CPU time that a process has used, the time that sampling may take
 * and has taken, and the pause of a process whose budget is used up.  ub_sample_budget_work,
 * in watch.c, checks the processes periodically.
 */
#ifndef _UB_SAMPLING_H
#define _UB_SAMPLING_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct ub_proc;

#define UB_CHECK_SOONEST	(20 * NSEC_PER_MSEC)	/* between two checks */
#define UB_CHECK_LATEST	(1000 * NSEC_PER_MSEC)

extern struct delayed_work ub_sample_budget_work;

void ub_sample_budget_open(struct ub_proc *proc);
void ub_sample_budget_end(struct ub_proc *proc);
u64 ub_sample_budget_cpu(struct ub_proc *proc);
u64 ub_sample_budget_left(struct ub_proc *proc, u64 wanted);
u64 ub_sample_budget_clamp(u64 wanted);
u64 ub_sample_budget_aim(struct ub_proc *proc);
void ub_sample_budget_add_mark(struct ub_proc *proc, u64 now);
void ub_sample_budget_pause(struct ub_proc *proc, u64 wanted);
void ub_sample_budget_resume(struct ub_proc *proc);
void ub_sample_budget_restart(struct ub_proc *proc);

#endif /* _UB_SAMPLING_H */
