// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts watching processes: a watched process is hooked, and sampled within its budget.
 *
 * A short-lived process gains nothing, so for its first UB_TUNE_GRACE_MS of CPU time a
 * process is attached but not watched: its calls are not even hooked.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "hook.h"
#include "proc.h"
#include "sample_budget.h"
#include "tunables.h"
#include "watch.h"

/* Protects the start and the end of watching a process. */
static DEFINE_MUTEX(ub_watch_mutex);

/* Start watching the process.  Under the mutex; may sleep. */
static int ub_watch_begin(struct ub_proc *proc)
{
	int err = ub_hook_get();

	if (err)
		return err;
	WRITE_ONCE(proc->uncounted_ns, ub_sample_budget_cpu(proc));
	WRITE_ONCE(proc->watched, true);
	ub_proc_filter(proc);
	return 0;
}

/* Watch the process from now on: a region is loaded. */
int ub_watch_load(struct ub_proc *proc)
{
	int err = 0;

	mutex_lock(&ub_watch_mutex);
	if (!proc->watched)
		err = ub_watch_begin(proc);
	mutex_unlock(&ub_watch_mutex);
	return err;
}

/*
 * Called on attachment, before the process is in the table.  With a grace period, handlers
 * are not hooked here just to find errors early: unhooking may take seconds, in which no
 * other process can be hooked.
 */
int ub_watch_attach(struct ub_proc *proc)
{
	ub_sample_budget_open(proc);
	return ub_tune(UB_TUNE_GRACE_MS) ? 0 : ub_watch_load(proc);
}

/* One more process is in the table: schedule a check. */
void ub_watch_start(void)
{
	mod_delayed_work(system_wq, &ub_sample_budget_work, 1);
}

/* CPU time (ns) since the attachment in which calls were not hooked. */
u64 ub_watch_uncounted(struct ub_proc *proc)
{
	return READ_ONCE(proc->watched) ? READ_ONCE(proc->uncounted_ns) :
					 ub_sample_budget_cpu(proc);
}

/* The process is detached, or its attachment has failed. */
void ub_watch_detach(struct ub_proc *proc)
{
	mutex_lock(&ub_watch_mutex);
	proc->detached = true;
	if (proc->watched)
		ub_hook_put();
	proc->watched = false;
	mutex_unlock(&ub_watch_mutex);
}

/* Time in ns until the next check of the process; 0 if it is due. */
static u64 ub_watch_due(struct ub_proc *proc, u64 used)
{
	u64 aim;

	if (!proc->watched)
		aim = ub_tune(UB_TUNE_GRACE_MS) * NSEC_PER_MSEC;
	else if (READ_ONCE(proc->paused))
		aim = ub_sample_budget_aim(proc);
	else
		return UB_CHECK_LATEST;
	return aim > used ? aim - used : 0;
}

/* A reference to a process that is due, or NULL; .wait is the time to the next check. */
static struct ub_proc *ub_watch_next(u64 *wait)
{
	struct ub_proc *proc;
	u64 now = ktime_get_ns(), due;
	int bucket;

	*wait = UB_CHECK_LATEST;
	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash) {
		u64 used = ub_sample_budget_cpu(proc);

		ub_sample_budget_add_mark(proc, now);
		due = ub_watch_due(proc, used);
		if (!due && refcount_inc_not_zero(&proc->refs)) {
			rcu_read_unlock();
			return proc;
		}
		*wait = min(*wait, due);
	}
	rcu_read_unlock();
	return NULL;
}

static void ub_watch_work(struct work_struct *work)
{
	struct ub_proc *proc;
	u64 wait;

	while ((proc = ub_watch_next(&wait))) {
		int err = 0;

		mutex_lock(&ub_watch_mutex);
		if (proc->watched)
			ub_sample_budget_resume(proc);
		else if (!proc->detached)
			err = ub_watch_begin(proc);
		mutex_unlock(&ub_watch_mutex);
		if (err) {
			pr_warn_ratelimited("ub: process %llu stays native, system calls cannot be hooked (%d)\n",
					    proc->id, err);
			wait = UB_CHECK_LATEST;
		}
		ub_proc_put(proc);
		if (err)
			break;
	}
	if (atomic_read(&ub_attached))
		queue_delayed_work(system_wq, &ub_sample_budget_work,
				   nsecs_to_jiffies(max(wait, UB_CHECK_SOONEST)));
}

void ub_watch_init(void)
{
	INIT_DELAYED_WORK(&ub_sample_budget_work, ub_watch_work);
}

void ub_watch_exit(void)
{
	cancel_delayed_work_sync(&ub_sample_budget_work);
}
