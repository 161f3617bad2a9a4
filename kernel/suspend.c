// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends long runs of tasks that have become ineligible.
 *
 * Conditions that no thread flag shows are checked only when a region is entered, and a
 * thread in a loop of dispatched calls may not enter again for a long time.  So a work item
 * checks them a few times a second and suspends all regions of an affected process: a
 * dispatch exits from them as if they were dead, and no task enters until the condition
 * has ended.  Without any region nothing is checked.
 */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "eligible.h"
#include "proc.h"
#include "queue.h"
#include "region.h"
#include "suspend.h"
#include "trial.h"

#define UB_SUSPEND_PERIOD	(HZ / 10)

static void ub_suspend_check(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_suspend_work, ub_suspend_check);

/* Under RCU. */
static bool ub_must_suspend(struct ub_proc *proc)
{
	struct task_struct *leader, *task;

	if (ub_has_rseq_barrier(proc->mm))
		return true;
	leader = pid_task(proc->pid, PIDTYPE_TGID);
	if (!leader)
		return false;
	for_each_thread(leader, task)
		if (READ_ONCE(task->mm) == proc->mm && ub_times_user(task))
			return true;
	return false;
}

/*
 * Under RCU.  False if the process has no region.  A region loaded concurrently is handled by
 * the next check.
 */
static bool ub_suspend(struct ub_proc *proc)
{
	struct ub_region *region;
	bool suspend;

	if (list_empty(&proc->regions))
		return false;
	suspend = ub_must_suspend(proc);
	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		ub_trial_suspend(region, suspend);
	raw_spin_unlock(&proc->lock);
	return true;
}

static void ub_suspend_check(struct work_struct *work)
{
	struct ub_proc *proc;
	bool regions = false;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		regions |= ub_suspend(proc);
	rcu_read_unlock();
	if (regions)
		queue_delayed_work(ub_queue, &ub_suspend_work, UB_SUSPEND_PERIOD);
}

/* A region was loaded. */
void ub_suspend_start(void)
{
	queue_delayed_work(ub_queue, &ub_suspend_work, UB_SUSPEND_PERIOD);
}

void ub_suspend_exit(void)
{
	cancel_delayed_work_sync(&ub_suspend_work);
}
