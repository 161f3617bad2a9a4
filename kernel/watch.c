// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts watching processes: a watched process is hooked, and sampled within its budget.
 *
 * A short-lived process gains nothing, so for its first UB_TUNE_GRACE_MS of CPU time a
 * process is attached but not watched: its calls are not even hooked.  Nor are they while
 * nothing is to be gained (rest.c): then all watched processes rest.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "hook.h"
#include "idle.h"
#include "proc.h"
#include "queue.h"
#include "rest.h"
#include "sample_budget.h"
#include "tunables.h"
#include "watch.h"

/* Protects the start and the end of watching a process. */
static DEFINE_MUTEX(ub_watch_mutex);

/* The calls of the process are counted from now on, or are not. */
static void ub_watch_set(struct ub_proc *proc, bool watched)
{
	u64 used = ub_sample_budget_cpu(proc);

	raw_spin_lock(&proc->lock);
	if (watched)
		proc->uncounted_ns += used - proc->uncounted_from;
	else
		proc->uncounted_from = used;
	WRITE_ONCE(proc->watched, watched);
	WRITE_ONCE(proc->resting, !watched);
	raw_spin_unlock(&proc->lock);
	rcu_read_lock();
	ub_rest_mark(proc);
	rcu_read_unlock();
}

/* Start watching the process.  Under the mutex; may sleep. */
static int ub_watch_begin(struct ub_proc *proc)
{
	bool rested = proc->resting;
	int err = ub_hook_get();

	if (err)
		return err;
	ub_rest_hooked(false);
	ub_watch_set(proc, true);
	if (rested)
		ub_idle_look(proc);
	ub_proc_filter(proc);
	return 0;
}

/*
 * Watch the process from now on, and until ub_watch_loaded(): a region is being loaded.
 * Processes that rest are looked at on this occasion.
 */
int ub_watch_load(struct ub_proc *proc)
{
	int err = 0;

	mutex_lock(&ub_watch_mutex);
	if (!proc->watched) {
		err = ub_watch_begin(proc);
	} else {
		err = ub_hook_fill();
		if (!err)
			ub_rest_hooked(false);
	}
	mod_delayed_work(ub_queue, &ub_sample_budget_work, 1);
	proc->loading = !err;
	mutex_unlock(&ub_watch_mutex);
	return err;
}

/* The region is loaded, or will not be. */
void ub_watch_loaded(struct ub_proc *proc)
{
	mutex_lock(&ub_watch_mutex);
	proc->loading = false;
	mutex_unlock(&ub_watch_mutex);
}

/*
 * Called on attachment, before the process is in the table.  With a grace period, handlers
 * are not hooked here just to find errors early: unhooking may take seconds, in which no
 * other process can be hooked.
 */
int ub_watch_attach(struct ub_proc *proc)
{
	int err = 0;

	ub_sample_budget_open(proc);
	if (!ub_tune(UB_TUNE_GRACE_MS)) {
		mutex_lock(&ub_watch_mutex);
		err = ub_watch_begin(proc);
		mutex_unlock(&ub_watch_mutex);
	}
	return err;
}

/*
 * The process is in the table.  Between ub_watch_attach() and this, others may have come to
 * rest, and the handlers been unhooked that nobody in the table needed.
 */
void ub_watch_start(struct ub_proc *proc)
{
	/* Who begins to watch it from now on hooks all handlers. */
	if (READ_ONCE(proc->watched)) {
		mutex_lock(&ub_watch_mutex);
		if (proc->watched && !ub_hook_fill())
			ub_rest_hooked(false);
		mutex_unlock(&ub_watch_mutex);
	}
	mod_delayed_work(ub_queue, &ub_sample_budget_work, 1);
}

/* CPU time (ns) since the attachment in which calls were not hooked. */
u64 ub_watch_uncounted(struct ub_proc *proc)
{
	u64 used = ub_sample_budget_cpu(proc), sum;

	raw_spin_lock(&proc->lock);
	sum = proc->uncounted_ns;
	if (!proc->watched)
		sum += used - proc->uncounted_from;
	raw_spin_unlock(&proc->lock);
	return sum;
}

/* The process is detached, or its attachment has failed. */
void ub_watch_detach(struct ub_proc *proc)
{
	mutex_lock(&ub_watch_mutex);
	proc->detached = true;
	if (proc->watched)
		ub_hook_put();
	proc->watched = false;
	proc->resting = false;
	mutex_unlock(&ub_watch_mutex);
}

/* Time in ns until the next check of the process; 0 if it is due. */
static u64 ub_watch_due(struct ub_proc *proc, u64 used)
{
	u64 aim;

	if (proc->resting)
		return UB_CHECK_LATEST;
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

/*
 * Have all still processes rest, or watch all resting ones again; returns their number.
 * Under the mutex.
 */
static unsigned int ub_watch_set_all(bool watched)
{
	struct ub_proc *proc;
	unsigned int n = 0;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash) {
		if (proc->watched && (watched || !ub_rest_is_still(proc))) {
			ub_rest_mark(proc);
			continue;
		}
		if (proc->watched == watched || proc->resting != watched)
			continue;
		ub_watch_set(proc, watched);
		if (watched)
			ub_idle_look(proc);
		ub_proc_filter(proc);
		n++;
	}
	rcu_read_unlock();
	return n;
}

/* Under the mutex. */
static int ub_watch_end_rest(void)
{
	struct ub_proc *proc;
	unsigned int n;
	int err = ub_hook_get(), bucket;

	if (err) {
		/* The next attempt is as far away as the next look. */
		rcu_read_lock();
		hash_for_each_rcu(ub_procs, bucket, proc, hash)
			ub_rest_mark(proc);
		rcu_read_unlock();
		pr_warn_ratelimited("ub: processes go on to rest, system calls cannot be hooked (%d)\n",
				    err);
		return err;
	}
	/* Handlers are hooked already, so this does not fail. */
	for (n = ub_watch_set_all(true); n; n--)
		WARN_ON_ONCE(ub_hook_get());
	ub_hook_put();
	return 0;
}

/* Begin or end a rest, if it is time. */
static void ub_watch_rest(void)
{
	unsigned int n;

	mutex_lock(&ub_watch_mutex);
	switch (ub_rest_next()) {
	case UB_REST_BEGIN:
		for (n = ub_watch_set_all(false); n; n--)
			ub_hook_put();
		ub_rest_unhook();
		break;
	case UB_REST_LOOK:
		if (!ub_watch_end_rest())
			ub_rest_hooked(true);
		break;
	case UB_REST_END:
		if (!ub_watch_end_rest())
			ub_rest_hooked(false);
		break;
	case UB_REST_STAY:
		break;
	}
	mutex_unlock(&ub_watch_mutex);
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
	ub_watch_rest();
	if (atomic_read(&ub_attached))
		queue_delayed_work(ub_queue, &ub_sample_budget_work,
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
