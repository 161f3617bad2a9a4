// SPDX-License-Identifier: GPL-2.0-only
/*
 * What looking at a process may cost it.
 *
 * A process that is over soon has nothing to gain, so for its first UB_TUNE_GRACE_MS of
 * CPU time it is attached but not looked at: its calls are not even hooked.  After that,
 * timing and stepping may take one part in 2^UB_TUNE_SHARE_BITS of the CPU time that it
 * has had in the last UB_COST_WINDOW, and UB_COST_FIRST once, but of what it has had
 * since it was attached never more than one part in 2^UB_COST_FIRST_BITS: else that
 * would be much for a program of a second.  Who has no more to spend rests until there
 * is.
 *
 * Once a second what has been used and spent is marked.  What is spent counts from a mark
 * that is older than the window, what is used from one that is younger: so it holds
 * for each window, wherever it begins.
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
#define UB_COST_LEAST	(50 * NSEC_PER_USEC)	/* for less nobody is woken */
#define UB_COST_WINDOW	(10 * NSEC_PER_SEC)
#define UB_COST_LATE	(2 * NSEC_PER_SEC)	/* a mark comes so late at most */
#define UB_COST_FIRST	(4 * NSEC_PER_MSEC)
#define UB_COST_FIRST_BITS 8

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

/* The same for user space. */
u64 ub_cost_cpu(struct ub_proc *proc)
{
	return ub_cost_used(proc);
}

static u64 ub_cost_allowed(const struct ub_proc *proc, u64 used)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS);
	u64 base = READ_ONCE(proc->base_used);

	if (!bits)
		return S64_MAX / 2;
	return used > base ? (used - base) >> bits : 0;
}

/* What has been spent in the present window; below 0: as much is left of the first. */
static s64 ub_cost_spent(const struct ub_proc *proc)
{
	return atomic64_read(&proc->spent_ns) - READ_ONCE(proc->base_spent);
}

/* The same since it was attached, and what of it there may have been. */
static s64 ub_cost_total(const struct ub_proc *proc)
{
	return atomic64_read(&proc->spent_ns) + UB_COST_FIRST;
}

static s64 ub_cost_unspent(const struct ub_proc *proc, u64 used)
{
	s64 left = (s64)ub_cost_allowed(proc, used) - ub_cost_spent(proc);

	if (!ub_tune(UB_TUNE_SHARE_BITS))
		return left;
	return min_t(s64, left, (s64)(used >> UB_COST_FIRST_BITS) - ub_cost_total(proc));
}

/* What can be saved up for at all; whoever wants more has to do with that. */
u64 ub_cost_clamp(u64 wanted)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS);

	return bits ? min(wanted, (UB_COST_WINDOW - 2 * UB_COST_LATE) >> bits) : wanted;
}

/* About once a second, by one at a time. */
static void ub_cost_mark(struct ub_proc *proc, u64 now)
{
	struct ub_cost_mark *newest = &proc->marks[proc->mark];
	u64 used = READ_ONCE(proc->used_ns), base_used = used;
	s64 base_spent = 0;
	u32 i;

	if (now - newest->at < UB_COST_LATEST - UB_COST_SOONEST)
		return;
	proc->mark = (proc->mark + 1) % UB_COST_MARKS;
	newest = &proc->marks[proc->mark];
	newest->at = now;
	newest->used = used;
	newest->spent = atomic64_read(&proc->spent_ns);
	/* From the newest to the oldest. */
	for (i = 0; i < UB_COST_MARKS; i++) {
		struct ub_cost_mark *mark =
			&proc->marks[(proc->mark - i) % UB_COST_MARKS];

		if (!mark->at) {
			/* It was attached in the window. */
			base_used = 0;
			break;
		}
		if (now - mark->at <= UB_COST_WINDOW - UB_COST_LATE)
			base_used = mark->used;
		if (now - mark->at >= UB_COST_WINDOW) {
			base_spent = mark->spent;
			break;
		}
	}
	WRITE_ONCE(proc->base_used, base_used);
	/* What nobody has spent of the first stays. */
	WRITE_ONCE(proc->base_spent, max_t(s64, base_spent, 0));
}

/*
 * What looking at the process may still take, in ns.  Under RCU or with preemption off.
 * Racy: threads that ask at the same time get the same answer.
 */
u64 ub_cost_left(struct ub_proc *proc, u64 wanted)
{
	s64 left = ub_cost_unspent(proc, READ_ONCE(proc->used_ns));
	u64 now;

	if (left < (s64)wanted) {
		now = ktime_get_mono_fast_ns();
		if (now - READ_ONCE(proc->used_at) > UB_COST_STALE) {
			WRITE_ONCE(proc->used_at, now);
			left = ub_cost_unspent(proc, ub_cost_used(proc));
		}
	}
	return left > 0 ? left : 0;
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
	atomic64_set(&proc->spent_ns, -(s64)UB_COST_FIRST);
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

/* CPU time at which it has what it wants, unless the window has moved by then. */
static u64 ub_cost_aim(struct ub_proc *proc)
{
	u64 bits = ub_tune(UB_TUNE_SHARE_BITS), wanted = READ_ONCE(proc->wanted_ns);
	s64 need = ub_cost_spent(proc) + wanted;
	u64 aim = READ_ONCE(proc->base_used) + ((u64)max_t(s64, need, 0) << bits);

	if (!bits)
		return aim;
	return max(aim, (ub_cost_total(proc) + wanted) << UB_COST_FIRST_BITS);
}

/* In so many ns it is to be looked at again, as far as it is known. */
static u64 ub_cost_due(struct ub_proc *proc, u64 used)
{
	u64 aim;

	if (!proc->looked)
		aim = ub_tune(UB_TUNE_GRACE_MS) * NSEC_PER_MSEC;
	else if (READ_ONCE(proc->paused))
		aim = ub_cost_aim(proc);
	else
		return UB_COST_LATEST;
	return aim > used ? aim - used : 0;
}

/* A reference to one whose time has come, if any; in how many ns it will for others. */
static struct ub_proc *ub_cost_next(u64 *wait)
{
	struct ub_proc *proc;
	u64 now = ktime_get_ns(), due;
	int bucket;

	*wait = UB_COST_LATEST;
	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash) {
		u64 used = ub_cost_used(proc);

		ub_cost_mark(proc, now);
		due = ub_cost_due(proc, used);
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
