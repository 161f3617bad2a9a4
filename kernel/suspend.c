// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends runs that go on while they must not begin any more.
 *
 * What no thread flag tells of is looked at when a region is entered only, and a thread in
 * a loop of dispatched calls may not enter again for long.  So it is looked for from
 * outside, a few times a second, and all regions of such a process are suspended: a
 * dispatch leaves them as if they were dead, and nobody comes in until it is over.
 */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "internal.h"

#define UB_SUSPEND_PERIOD	(HZ / 10)

static void ub_suspend_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_suspend_work, ub_suspend_look);

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

/* Under RCU.  Whoever loads a region meanwhile is found the next time. */
static void ub_suspend(struct ub_proc *proc)
{
	struct ub_region *region;
	bool suspend;

	if (list_empty(&proc->regions))
		return;
	suspend = ub_must_suspend(proc);
	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		ub_trial_suspend(region, suspend);
	spin_unlock(&proc->lock);
}

static void ub_suspend_look(struct work_struct *work)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		ub_suspend(proc);
	rcu_read_unlock();
	if (atomic_read(&ub_attached))
		schedule_delayed_work(&ub_suspend_work, UB_SUSPEND_PERIOD);
}

/* A process was attached. */
void ub_suspend_start(void)
{
	schedule_delayed_work(&ub_suspend_work, UB_SUSPEND_PERIOD);
}

void ub_suspend_exit(void)
{
	cancel_delayed_work_sync(&ub_suspend_work);
}
