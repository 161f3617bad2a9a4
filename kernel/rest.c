// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that have nothing to gain rest.
 *
 * One whose many calls have all been decided, and that has no region, is left alone but
 * for one epoch in eight: the trampoline counts its calls and looks no closer.  What
 * makes a process stir ends that: a region, or many more calls than there were.
 */
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "internal.h"

#define UB_REST_CALLS	1000	/* in an epoch; fewer cost nothing worth sparing */
#define UB_REST_MAX	2	/* 2^(n + 1) - 1 epochs of rest at most */

static u64 ub_calls_of(const struct ub_proc *proc)
{
	u64 calls = ub_proc_cold_calls(proc);
	int cpu;

	for_each_possible_cpu(cpu)
		calls += READ_ONCE(per_cpu_ptr(proc->cpu, cpu)->native);
	return calls;
}

/*
 * Has the site become hot in this epoch, or may it be about to?  One that user space
 * knows of comes and goes with the load; that is no news.
 */
static bool ub_site_stirs(struct ub_site *site, u32 epoch)
{
	if (!READ_ONCE(site->ip) || READ_ONCE(site->epoch) != epoch ||
	    ub_detect_is_known(site))
		return false;
	switch (READ_ONCE(site->verdict)) {
	case UB_SITE_HOT:
		return true;
	case UB_SITE_OPEN:
		return ub_detect_is_warm(site);
	default:
		return false;
	}
}

static bool ub_stirs(struct ub_proc *proc, u32 epoch)
{
	u32 i;

	if (!list_empty(&proc->regions))
		return true;
	for (i = 0; i < UB_SITES; i++)
		if (ub_site_stirs(&proc->sites[i], epoch))
			return true;
	return false;
}

/* What its tasks were in the middle of when they went to rest is long over. */
void ub_rest_wake(struct ub_proc *proc)
{
	int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(ub_last.task, cpu), NULL);
	ub_proc_filter(proc);
}

/* It has a region now. */
void ub_rest_end(struct ub_proc *proc)
{
	WRITE_ONCE(proc->quiet, 0);
	ub_cost_resume(proc);
	if (READ_ONCE(proc->rest)) {
		WRITE_ONCE(proc->rest, 0);
		ub_rest_wake(proc);
	}
}

static void ub_consider(struct ub_proc *proc, u32 epoch)
{
	u64 calls = ub_calls_of(proc), made = calls - proc->calls;
	u8 quiet = READ_ONCE(proc->quiet), rest = READ_ONCE(proc->rest);

	proc->calls = calls;
	/* Undisturbed, but because nobody has looked. */
	if (READ_ONCE(proc->unseen)) {
		WRITE_ONCE(proc->unseen, READ_ONCE(proc->paused));
		return;
	}
	if (rest) {
		if (made > 2 * proc->usual || !list_empty(&proc->regions)) {
			ub_rest_end(proc);
			return;
		}
		WRITE_ONCE(proc->rest, rest - 1);
		if (rest == 1)
			ub_rest_wake(proc);
	} else if (made < UB_REST_CALLS || ub_stirs(proc, epoch)) {
		WRITE_ONCE(proc->quiet, 0);
	} else {
		quiet = min_t(u8, quiet + 1, UB_REST_MAX);
		WRITE_ONCE(proc->quiet, quiet);
		proc->usual = made;
		WRITE_ONCE(proc->rest, (2U << quiet) - 1);
		ub_proc_filter(proc);
	}
}

/* .epoch ends: who rests in the next one? */
void ub_rest_look(u32 epoch)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		ub_consider(proc, epoch);
	rcu_read_unlock();
}
