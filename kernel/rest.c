// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rest: while an attached process has nothing to gain, its calls are not even hooked.
 *
 * A call of a hooked handler takes some instructions in every process, attached or not, so
 * once all watched processes are still (idle.c), they stop being watched, and the handlers
 * are unhooked.  Hooking and unhooking takes milliseconds: ftrace goes through all functions
 * of the kernel and waits for all tasks.  So a rest begins when the calls counted since the
 * handlers were hooked have cost as much as unhooking will, and the processes are looked at
 * again when they have used 2^UB_TUNE_REST_BITS times the CPU time that the last look took.
 *
 * A look is made earlier if a process behaves differently by what the kernel counts anyway:
 * its CPU time and its reads and writes.  Such looks are paid from a credit that grows by
 * the same share of time.
 */
#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "handler.h"
#include "hook.h"
#include "idle.h"
#include "proc.h"
#include "region.h"
#include "rest.h"
#include "sample_budget.h"
#include "site_table.h"
#include "tunables.h"

#define UB_REST_CALL_NS		4	/* approximate cost of a call that is only counted */
#define UB_REST_CREDIT		4	/* early looks that may be saved up, and the first ones */
#define UB_REST_LOOK_MAX	3	/* epochs that a look takes at most */
#define UB_REST_PERIOD_NS	(900 * NSEC_PER_MSEC)	/* least time for a rate */
#define UB_REST_CPU		64	/* permille of a CPU below which little can be gained */
#define UB_REST_IO		1000	/* reads and writes that do not matter, as .rate */

/* What the processes have done since they rest, or since they are watched again. */
struct ub_rest_survey {
	u32 still, steady, busy;	/* watched processes without anything to gain, with
					 * regions that do not change, and others
					 */
	u32 resting;
	bool changed;		/* a process behaves differently */
	u64 calls, spent;	/* of still processes */
	u64 used;		/* CPU time of all */
};

/* Protected by the mutex of watch.c. */
static bool ub_rest_is_look;	/* handlers were hooked for a look */
static bool ub_rest_is_on;	/* handlers are unhooked: all, or some */
static u32 ub_rest_look_epoch;
static u64 ub_rest_hooked_at;	/* CLOCK_MONOTONIC */
static u64 ub_rest_look_ns;	/* the last look, without hooking and unhooking */
static u64 ub_rest_credit_ns;
static u64 ub_rest_credit_at;	/* CLOCK_MONOTONIC, 0: never computed */
static u64 ub_rest_nr_rests, ub_rest_nr_looks;

/* Under RCU.  Reads and writes of the process; 0 if the kernel does not count them. */
static u64 ub_rest_io(const struct ub_proc *proc)
{
	u64 sum = 0;
#ifdef CONFIG_TASK_XACCT
	struct task_struct *leader = pid_task(proc->pid, PIDTYPE_TGID), *task;

	if (!leader)
		return 0;
	sum = READ_ONCE(leader->signal->ioac.syscr) + READ_ONCE(leader->signal->ioac.syscw);
	for_each_thread(leader, task)
		sum += READ_ONCE(task->ioac.syscr) + READ_ONCE(task->ioac.syscw);
#endif
	return sum;
}

/* True if one of the rates is more than twice the other and .least. */
static bool ub_rest_differs(u64 a, u64 b, u64 least)
{
	return max(a, b) > 2 * min(a, b) + least;
}

/*
 * Under RCU.  Measure the rates of the process since the last time; true if handlers are
 * unhooked, and they differ from those before that.
 */
static bool ub_rest_has_changed(struct ub_proc *proc, u64 used, u64 now)
{
	struct ub_rest *rest = &proc->rest;
	u64 passed = now - rest->at, busy = used - rest->used, io = ub_rest_io(proc);
	u64 cpu, rate;

	if (passed < UB_REST_PERIOD_NS)
		return false;
	cpu = div64_u64(busy * 1000, passed);
	/* Counters of exiting threads may be missed for a moment. */
	rate = io > rest->io ? div64_u64((io - rest->io) * NSEC_PER_SEC, max(busy, 1ULL)) : 0;
	rest->at = now;
	rest->used = used;
	rest->io = io;
	if ((!proc->resting && !ub_rest_is_on) || !rest->known) {
		rest->known = true;
		rest->cpu = cpu;
		rest->rate = rate;
		return false;
	}
	if (cpu < UB_REST_CPU)
		return false;
	return cpu > 2 * rest->cpu + UB_REST_CPU ||
	       (rest->cpu >= UB_REST_CPU && ub_rest_differs(rate, rest->rate, UB_REST_IO));
}

/* True if the watched process has nothing to gain, and may rest. */
bool ub_rest_is_still(const struct ub_proc *proc)
{
	return READ_ONCE(proc->restful) && !proc->loading && list_empty(&proc->regions);
}

/* True if the watched process has regions, and nothing new was found lately. */
static bool ub_rest_is_steady(const struct ub_proc *proc)
{
	return !proc->loading && !list_empty(&proc->regions) &&
	       READ_ONCE(ub_epoch) - READ_ONCE(proc->news) >= UB_STILL;
}

static void ub_rest_survey_all(struct ub_rest_survey *survey, u64 now)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash) {
		u64 used = ub_sample_budget_cpu(proc);

		if (!proc->resting && !proc->watched)
			continue;
		survey->changed |= ub_rest_has_changed(proc, used, now);
		/* CPU time of exiting threads may be missed for a moment. */
		if (used > proc->rest.since_used)
			survey->used += used - proc->rest.since_used;
		if (proc->resting) {
			survey->resting++;
		} else if (ub_rest_is_still(proc)) {
			survey->still++;
			survey->calls += ub_proc_calls(proc) - proc->rest.since_calls;
			survey->spent += atomic64_read(&proc->spent_ns) -
					 proc->rest.since_spent;
		} else if (ub_rest_is_steady(proc)) {
			survey->steady++;
		} else {
			survey->busy++;
		}
	}
	rcu_read_unlock();
}

/* True if unhooking costs less than what hooked handlers have cost since they are. */
static bool ub_rest_pays(const struct ub_rest_survey *survey, u64 bits, u64 now)
{
	u64 price = ub_hook_cost();

	/* Unhooking is part of the cost of a look, which lasts for one whole epoch. */
	if (ub_rest_is_look)
		return READ_ONCE(ub_epoch) - ub_rest_look_epoch >= 2;
	return survey->calls * UB_REST_CALL_NS >= price ||
	       survey->used >> bits >= price || (now - ub_rest_hooked_at) >> bits >= price;
}

static void ub_rest_add_credit(u64 price, u64 bits, u64 now)
{
	u64 most = UB_REST_CREDIT * price;

	if (!ub_rest_credit_at)
		ub_rest_credit_ns = most;
	else
		ub_rest_credit_ns += (now - ub_rest_credit_at) >> bits;
	ub_rest_credit_ns = min(ub_rest_credit_ns, most);
	ub_rest_credit_at = now;
}

/*
 * What is to happen now.  Under the mutex of watch.c, which follows it.  Called at least
 * once a second.
 */
enum ub_rest_step ub_rest_next(void)
{
	u64 bits = ub_tune(UB_TUNE_REST_BITS), now = ktime_get_ns();
	struct ub_rest_survey survey = {};
	u64 price;

	ub_rest_survey_all(&survey, now);
	/* While handlers are unhooked, processes that are not still need looks as well. */
	if (!ub_rest_is_on && !survey.resting && !survey.still && !survey.steady)
		return UB_REST_STAY;
	if (!ub_rest_is_on) {
		/* Something was found: the look has no price that the next one might have. */
		if (READ_ONCE(ub_epoch) - ub_rest_look_epoch > UB_REST_LOOK_MAX)
			ub_rest_is_look = false;
		/* Handlers have been hooked for a process that now is watched. */
		if (survey.resting)
			return UB_REST_END;
		if (!bits || survey.busy || !ub_rest_pays(&survey, bits, now))
			return UB_REST_STAY;
		if (ub_rest_is_look)
			ub_rest_look_ns = survey.spent + survey.calls * UB_REST_CALL_NS;
		return UB_REST_BEGIN;
	}
	if (!bits)
		return UB_REST_END;
	/* A process that kept some handlers hooked is still, too. */
	if (survey.still && !survey.busy)
		return UB_REST_BEGIN;
	price = ub_hook_cost() + ub_rest_look_ns;
	ub_rest_add_credit(price, bits, now);
	if (survey.used >> bits < price &&
	    !(survey.changed && ub_rest_credit_ns >= price))
		return UB_REST_STAY;
	ub_rest_credit_ns -= min(ub_rest_credit_ns, price);
	return UB_REST_LOOK;
}

/* Under RCU.  Add the calls whose handlers a process with regions needs. */
static void ub_rest_add_needed(struct ub_proc *proc, unsigned long *calls)
{
	struct ub_region *region;
	u32 i, epoch = READ_ONCE(ub_epoch);

	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		bitmap_or(calls, calls, region->calls, UB_CALLS);
	raw_spin_unlock(&proc->lock);
	/*
	 * Any call ends the gap of another one, and an entry may be behind any call, as many may
	 * be made at one address.
	 */
	for (i = 0; i < UB_CALLS; i++) {
		u32 made = READ_ONCE(proc->made[i]);

		if (made && epoch - made < 2 * UB_STILL)
			set_bit(i, calls);
	}
	for (i = 0; i < UB_SITES; i++) {
		struct ub_site *site = &proc->sites[i];
		u32 nr = READ_ONCE(site->nr);

		if (READ_ONCE(site->ip) && nr < UB_CALLS &&
		    READ_ONCE(site->verdict) == UB_SITE_ENTRY)
			set_bit(nr, calls);
	}
}

/* Processes rest: unhook the handlers that the others do not need. */
void ub_rest_unhook(void)
{
	DECLARE_BITMAP(calls, UB_CALLS);
	struct ub_proc *proc;
	int bucket;

	bitmap_zero(calls, UB_CALLS);
	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		if (proc->watched)
			ub_rest_add_needed(proc, calls);
	rcu_read_unlock();
	ub_rest_is_on = true;
	ub_rest_nr_rests++;
	ub_hook_trim(calls);
}

/* Handlers are hooked, for a look or because a process has something to gain. */
void ub_rest_hooked(bool look)
{
	ub_rest_is_look = look;
	ub_rest_is_on = false;
	ub_rest_look_epoch = READ_ONCE(ub_epoch);
	ub_rest_nr_looks += look;
	ub_rest_hooked_at = ktime_get_ns();
}

/* Under RCU.  The process rests, or is watched again, from now on. */
void ub_rest_mark(struct ub_proc *proc)
{
	struct ub_rest *rest = &proc->rest;

	rest->since_used = ub_sample_budget_cpu(proc);
	rest->since_calls = ub_proc_calls(proc);
	rest->since_spent = atomic64_read(&proc->spent_ns);
	rest->at = ktime_get_ns();
	rest->used = rest->since_used;
	rest->io = ub_rest_io(proc);
}

/* For debugfs. */
void ub_rest_show(struct seq_file *m)
{
	seq_printf(m, "rests %llu\nlooks %llu ns %llu\n", READ_ONCE(ub_rest_nr_rests),
		   READ_ONCE(ub_rest_nr_looks), READ_ONCE(ub_rest_look_ns));
}
