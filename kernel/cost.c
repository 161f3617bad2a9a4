// SPDX-License-Identifier: GPL-2.0-only
/*
 * What looking at a process may cost it.
 *
 * A process that is over soon has nothing to gain, so for its first UB_TUNE_GRACE_MS of
 * CPU time it is attached but not looked at: its calls are not even hooked.  After that,
 * timing and stepping may take one part in 2^UB_TUNE_SHARE_BITS of the CPU time that it
 * has had since it was attached.  Who has no more to spend rests until there is.
 */
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "internal.h"

#define UB_COST_SOONEST	(20 * NSEC_PER_MSEC)	/* between two looks at the clock */
#define UB_COST_LATEST	(1000 * NSEC_PER_MSEC)
#define UB_COST_STALE	(4 * NSEC_PER_MSEC)	/* age of an allowance that may grow */
#define UB_COST_LEAST	(200 * NSEC_PER_USEC)	/* for less nobody is woken */

static void ub_cost_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_cost_dwork, ub_cost_work);
/* Who begins to look at a process, or ends it. */
static DEFINE_MUTEX(ub_cost_mutex);

/*
 * CPU time (ns) of all threads that the process has or had, give or take a tick.
 * A process that is gone has none.
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

/* Threads that end at this moment may be missing: it never runs backwards. */
static u64 ub_cost_used(struct ub_proc *proc)
{
	u64 now = ub_cpu_ns(proc), used = READ_ONCE(proc->used_ns);

	if (now > proc->cpu_base + used) {
		used = now - proc->cpu_base;
		WRITE_ONCE(proc->used_ns, used);
	}
	return used;
}

static u64 ub_cost_allowed(u64 used)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS);

	return bits ? used >> bits : U64_MAX;
}

/*
 * What looking at the process may still take, in ns.  Under RCU or with preemption off.
 * Racy: threads that ask at the same time get the same answer.
 */
u64 ub_cost_left(struct ub_proc *proc, u64 wanted)
{
	u64 spent = atomic64_read(&proc->spent_ns);
	u64 allowed = ub_cost_allowed(READ_ONCE(proc->used_ns)), now;

	if (allowed < spent + wanted) {
		now = ktime_get_mono_fast_ns();
		if (now - READ_ONCE(proc->used_at) > UB_COST_STALE) {
			WRITE_ONCE(proc->used_at, now);
			allowed = ub_cost_allowed(ub_cost_used(proc));
		}
	}
	return allowed > spent ? allowed - spent : 0;
}

/*
 * Less than .wanted is left: its calls are counted until there is more, and that is all.
 * Not so if it has regions, whose entries must be taken.
 */
void ub_cost_pause(struct ub_proc *proc, u64 wanted)
{
	if (!list_empty(&proc->regions))
		return;
	if (!READ_ONCE(proc->paused)) {
		WRITE_ONCE(proc->wanted_ns, max(wanted, UB_COST_LEAST));
		WRITE_ONCE(proc->paused, true);
		WRITE_ONCE(proc->unseen, true);
		ub_proc_filter(proc);
		mod_delayed_work(system_wq, &ub_cost_dwork, 1);
	}
}

/* It has got a region. */
void ub_cost_resume(struct ub_proc *proc)
{
	if (READ_ONCE(proc->paused)) {
		WRITE_ONCE(proc->paused, false);
		ub_detect_anew(proc);
		ub_rest_wake(proc);
	}
}

/* The process is to be looked at.  Under the mutex; its client may sleep. */
static int ub_cost_begin(struct ub_proc *proc)
{
	int err = ub_hook_get();

	if (err)
		return err;
	WRITE_ONCE(proc->uncounted_ns, ub_cost_used(proc));
	WRITE_ONCE(proc->looked, true);
	ub_proc_filter(proc);
	return 0;
}

/* Look at it from now on: a region is loaded, so its client knows what is worth it. */
int ub_cost_load(struct ub_proc *proc)
{
	int err = 0;

	mutex_lock(&ub_cost_mutex);
	if (!proc->looked)
		err = ub_cost_begin(proc);
	mutex_unlock(&ub_cost_mutex);
	return err;
}

/*
 * Called when it is attached, before it is in the table.  Nothing is hooked just to see
 * whether it can be: to undo it may take seconds, in which nobody else can.
 */
int ub_cost_attach(struct ub_proc *proc)
{
	proc->cpu_base = ub_cpu_ns(proc);
	return ub_tune(UB_TUNE_GRACE_MS) ? 0 : ub_cost_load(proc);
}

/* One more is in the table. */
void ub_cost_start(void)
{
	mod_delayed_work(system_wq, &ub_cost_dwork, 1);
}

/* The process ends: it has its CPU time for the last time. */
void ub_cost_end(struct ub_proc *proc)
{
	ub_cost_used(proc);
}

/* CPU time (ns) since it was attached in which its calls were not hooked. */
u64 ub_cost_uncounted(struct ub_proc *proc)
{
	return READ_ONCE(proc->looked) ? READ_ONCE(proc->uncounted_ns) :
					 ub_cost_used(proc);
}

/* It is detached, or could not be attached after all. */
void ub_cost_detach(struct ub_proc *proc)
{
	mutex_lock(&ub_cost_mutex);
	proc->detached = true;
	if (proc->looked)
		ub_hook_put();
	proc->looked = false;
	mutex_unlock(&ub_cost_mutex);
}

/* In so many ns it is to be looked at again, as far as it is known. */
static u64 ub_cost_due(struct ub_proc *proc, u64 used)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS), aim;

	if (!proc->looked)
		aim = ub_tune(UB_TUNE_GRACE_MS) * NSEC_PER_MSEC;
	else if (READ_ONCE(proc->paused))
		aim = (atomic64_read(&proc->spent_ns) +
		       READ_ONCE(proc->wanted_ns)) << bits;
	else
		return UB_COST_LATEST;
	return aim > used ? aim - used : 0;
}

/* A reference to one whose time has come, if any; in how many ns it will for others. */
static struct ub_proc *ub_cost_next(u64 *wait)
{
	struct ub_proc *proc;
	int bucket;
	u64 due;

	*wait = UB_COST_LATEST;
	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash) {
		due = ub_cost_due(proc, ub_cost_used(proc));
		if (!due && refcount_inc_not_zero(&proc->refs)) {
			rcu_read_unlock();
			return proc;
		}
		*wait = min(*wait, due);
	}
	rcu_read_unlock();
	return NULL;
}

static void ub_cost_work(struct work_struct *work)
{
	struct ub_proc *proc;
	u64 wait;

	while ((proc = ub_cost_next(&wait))) {
		int err = 0;

		mutex_lock(&ub_cost_mutex);
		if (proc->looked)
			ub_cost_resume(proc);
		else if (!proc->detached)
			err = ub_cost_begin(proc);
		mutex_unlock(&ub_cost_mutex);
		if (err) {
			pr_warn_ratelimited("ub: process %llu stays native, system calls cannot be hooked (%d)\n",
					    proc->id, err);
			wait = UB_COST_LATEST;
		}
		ub_proc_put(proc);
		if (err)
			break;
	}
	if (atomic_read(&ub_attached))
		queue_delayed_work(system_wq, &ub_cost_dwork,
				   nsecs_to_jiffies(max(wait, UB_COST_SOONEST)));
}

void ub_cost_exit(void)
{
	cancel_delayed_work_sync(&ub_cost_dwork);
}
