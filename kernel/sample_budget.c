// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bound on the CPU time that sampling takes from a process.
 *
 * A short-lived process gains nothing, so for its first UB_TUNE_GRACE_MS of CPU time a
 * process is attached but not watched: its calls are not even hooked.  After that, timing
 * and stepping may take one part in 2^UB_TUNE_SHARE_BITS of the CPU time used in the last
 * UB_SAMPLING_WINDOW, and UB_SAMPLING_FIRST once, but never more than one part in
 * 2^UB_SAMPLING_FIRST_BITS of the CPU time used since the process was attached: the first
 * allowance alone would be too much for a program of one second.  A process that has used up
 * its budget is paused until the budget has grown.
 *
 * Once a second the CPU time used and the time spent are recorded in a mark.  Time spent
 * counts from a mark older than the window, CPU time used from a mark younger than the
 * window: so the bound holds for each window, wherever it begins.
 */
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "gap.h"
#include "proc.h"
#include "queue.h"
#include "sample_budget.h"
#include "site_table.h"
#include "tunables.h"

#define UB_SAMPLING_STALE	(4 * NSEC_PER_MSEC)	/* age at which used_ns is read again */
#define UB_SAMPLING_LEAST	(50 * NSEC_PER_USEC)	/* least budget to resume with */
#define UB_SAMPLING_WINDOW	(10 * NSEC_PER_SEC)
#define UB_SAMPLING_LATE	(2 * NSEC_PER_SEC)	/* largest delay of a mark */
#define UB_SAMPLING_FIRST	(4 * NSEC_PER_MSEC)
#define UB_SAMPLING_FIRST_BITS 8

struct delayed_work ub_sample_budget_work;

/*
 * CPU time (ns) of all threads that the process has or had, with a resolution of one tick.
 * 0 for a process that has ended.
 */
static u64 ub_cpu_ns(const struct ub_proc *proc)
{
	struct task_struct *leader, *task;
	u64 sum = 0;

	rcu_read_lock();
	leader = pid_task(proc->pid, PIDTYPE_TGID);
	if (leader) {
		sum = READ_ONCE(leader->signal->sum_sched_runtime);
		for_each_thread(leader, task)
			sum += READ_ONCE(task->se.sum_exec_runtime);
	}
	rcu_read_unlock();
	return sum;
}

/* CPU time (ns) since attachment.  Exiting threads may be missed: it never decreases. */
static u64 ub_sample_budget_used(struct ub_proc *proc)
{
	u64 now = ub_cpu_ns(proc), used = READ_ONCE(proc->used_ns);

	if (now > proc->cpu_base + used) {
		used = now - proc->cpu_base;
		WRITE_ONCE(proc->used_ns, used);
	}
	return used;
}

/* The same for user space. */
u64 ub_sample_budget_cpu(struct ub_proc *proc)
{
	return ub_sample_budget_used(proc);
}

static u64 ub_sample_budget_allowed(const struct ub_proc *proc, u64 used)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS);
	u64 base = READ_ONCE(proc->base_used);

	if (!bits)
		return S64_MAX / 2;
	return used > base ? (used - base) >> bits : 0;
}

/* Time spent in the present window; below 0: the rest of the first allowance. */
static s64 ub_sample_budget_spent(const struct ub_proc *proc)
{
	return atomic64_read(&proc->spent_ns) - READ_ONCE(proc->base_spent);
}

/* Time spent since the process was attached, in ns. */
static s64 ub_sample_budget_total(const struct ub_proc *proc)
{
	return atomic64_read(&proc->spent_ns) + UB_SAMPLING_FIRST;
}

static s64 ub_sample_budget_unspent(const struct ub_proc *proc, u64 used)
{
	s64 left = (s64)ub_sample_budget_allowed(proc, used) - ub_sample_budget_spent(proc);

	if (!ub_tune(UB_TUNE_SHARE_BITS))
		return left;
	return min_t(s64, left,
		     (s64)(used >> UB_SAMPLING_FIRST_BITS) - ub_sample_budget_total(proc));
}

/* .wanted, bounded by the most that can accumulate. */
u64 ub_sample_budget_clamp(u64 wanted)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS);

	if (!bits)
		return wanted;
	return min(wanted, (UB_SAMPLING_WINDOW - 2 * UB_SAMPLING_LATE) >> bits);
}

/* Called about once a second, by one thread at a time. */
void ub_sample_budget_add_mark(struct ub_proc *proc, u64 now)
{
	struct ub_sample_budget_mark *newest = &proc->marks[proc->mark];
	u64 used = READ_ONCE(proc->used_ns), base_used = used;
	s64 base_spent = 0;
	u32 i;

	if (now - newest->at < UB_CHECK_LATEST - UB_CHECK_SOONEST)
		return;
	proc->mark = (proc->mark + 1) % UB_SAMPLING_MARKS;
	newest = &proc->marks[proc->mark];
	newest->at = now;
	newest->used = used;
	newest->spent = atomic64_read(&proc->spent_ns);
	/* From the newest to the oldest. */
	for (i = 0; i < UB_SAMPLING_MARKS; i++) {
		struct ub_sample_budget_mark *mark =
			&proc->marks[(proc->mark - i) % UB_SAMPLING_MARKS];

		if (!mark->at) {
			/* The process was attached in this window. */
			base_used = 0;
			break;
		}
		if (now - mark->at <= UB_SAMPLING_WINDOW - UB_SAMPLING_LATE)
			base_used = mark->used;
		if (now - mark->at >= UB_SAMPLING_WINDOW) {
			base_spent = mark->spent;
			break;
		}
	}
	WRITE_ONCE(proc->base_used, base_used);
	/* Keep the rest of the first allowance. */
	WRITE_ONCE(proc->base_spent, max_t(s64, base_spent, 0));
}

/*
 * The remaining sample budget of the process, in ns.  Under RCU or with preemption off.
 * Racy: concurrent callers may get the same result.
 */
u64 ub_sample_budget_left(struct ub_proc *proc, u64 wanted)
{
	s64 left = ub_sample_budget_unspent(proc, READ_ONCE(proc->used_ns));
	u64 now;

	if (left < (s64)wanted) {
		now = ktime_get_mono_fast_ns();
		if (now - READ_ONCE(proc->used_at) > UB_SAMPLING_STALE) {
			WRITE_ONCE(proc->used_at, now);
			left = ub_sample_budget_unspent(proc, ub_sample_budget_used(proc));
		}
	}
	return left > 0 ? left : 0;
}

/*
 * Less than .wanted is left: until the budget has grown, calls of the process are only
 * counted.  A process with regions is not paused: its entries must be taken.
 */
void ub_sample_budget_pause(struct ub_proc *proc, u64 wanted)
{
	if (!list_empty(&proc->regions))
		return;
	if (!READ_ONCE(proc->paused)) {
		WRITE_ONCE(proc->wanted_ns, max(wanted, UB_SAMPLING_LEAST));
		WRITE_ONCE(proc->paused, true);
		WRITE_ONCE(proc->unsampled, true);
		ub_proc_filter(proc);
		mod_delayed_work(ub_queue, &ub_sample_budget_work, 1);
	}
}

/*
 * The tasks of the process are sampled again: discard gaps whose timing began before the
 * pause.
 */
void ub_sample_budget_restart(struct ub_proc *proc)
{
	ub_gap_forget_all();
	ub_proc_filter(proc);
}

/* End the pause: the process has a region, or its budget has grown. */
void ub_sample_budget_resume(struct ub_proc *proc)
{
	if (READ_ONCE(proc->paused)) {
		WRITE_ONCE(proc->paused, false);
		ub_sites_restart(proc);
		ub_sample_budget_restart(proc);
	}
}

/* The process is attached: set its base CPU time, grant the first allowance. */
void ub_sample_budget_open(struct ub_proc *proc)
{
	proc->cpu_base = ub_cpu_ns(proc);
	atomic64_set(&proc->spent_ns, -(s64)UB_SAMPLING_FIRST);
}

/* The process ends: read its CPU time for the last time. */
void ub_sample_budget_end(struct ub_proc *proc)
{
	ub_sample_budget_used(proc);
}

/* CPU time at which the budget reaches .wanted_ns, unless the window moves before. */
u64 ub_sample_budget_aim(struct ub_proc *proc)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS), wanted = READ_ONCE(proc->wanted_ns);
	s64 need = ub_sample_budget_spent(proc) + wanted;
	u64 aim = READ_ONCE(proc->base_used) + ((u64)max_t(s64, need, 0) << bits);

	if (!bits)
		return aim;
	return max(aim, (ub_sample_budget_total(proc) + wanted) << UB_SAMPLING_FIRST_BITS);
}
