// SPDX-License-Identifier: GPL-2.0-only
/*
 * Idle processes: processes for which no gain is expected.
 *
 * A process with many calls, all at parked sites, and without a region is idle in seven of
 * eight epochs: the trampoline only counts its calls.  It becomes active again when it gets
 * a region, or when it makes many more calls than before.  After UB_STILL epochs without
 * anything to gain, idle or with few calls, a process may rest (rest.c).
 */
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "detect.h"
#include "idle.h"
#include "proc.h"
#include "queue.h"
#include "sample_budget.h"
#include "site_table.h"
#include "ub.h"

#define UB_IDLE_CALLS	1000	/* in an epoch; with fewer, idling would save too little */
#define UB_IDLE_MAX	2	/* 2^(n + 1) - 1 idle epochs at most */

/*
 * True if the site became hot in this epoch, or may become hot soon.  A site that was
 * already reported does not count: it is hot or not as the load varies.
 */
static bool ub_site_is_active(struct ub_site *site, u32 epoch)
{
	if (!READ_ONCE(site->ip) || READ_ONCE(site->epoch) != epoch ||
	    ub_detect_is_reported(site))
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

static bool ub_proc_is_active(struct ub_proc *proc, u32 epoch)
{
	u32 i;

	if (!list_empty(&proc->regions))
		return true;
	for (i = 0; i < UB_SITES; i++)
		if (ub_site_is_active(&proc->sites[i], epoch))
			return true;
	return false;
}

/*
 * One more epoch in which the process had nothing to gain, or one in which it may have.  A
 * site that was reported lately may get a region.
 */
static void ub_idle_count(struct ub_proc *proc, u32 epoch, bool still)
{
	proc->still = still ? min(proc->still + 1, UB_STILL) : 0;
	still = proc->still == UB_STILL && epoch - READ_ONCE(proc->news) >= UB_STILL &&
		READ_ONCE(proc->watched);
	if (still && !proc->restful)
		mod_delayed_work(ub_queue, &ub_sample_budget_work, 0);
	WRITE_ONCE(proc->restful, still);
}

/* A rest has ended: one whole epoch decides whether the process has something to gain. */
void ub_idle_look(struct ub_proc *proc)
{
	proc->still = min_t(u8, proc->still, UB_STILL - 1);
	WRITE_ONCE(proc->restful, false);
	WRITE_ONCE(proc->inactive, min_t(u8, READ_ONCE(proc->inactive), UB_IDLE_MAX - 1));
	WRITE_ONCE(proc->idle_epochs, 0);
	WRITE_ONCE(proc->unsampled, true);
	ub_sites_restart(proc);
	ub_sample_budget_restart(proc);
}

/* The process is active again: it has a region, or makes many more calls. */
void ub_idle_end(struct ub_proc *proc)
{
	WRITE_ONCE(proc->inactive, 0);
	WRITE_ONCE(proc->restful, false);
	WRITE_ONCE(proc->news, READ_ONCE(ub_epoch));
	proc->still = 0;
	ub_sample_budget_resume(proc);
	if (READ_ONCE(proc->idle_epochs)) {
		WRITE_ONCE(proc->idle_epochs, 0);
		ub_sample_budget_restart(proc);
	}
}

static void ub_idle_update_one(struct ub_proc *proc, u32 epoch)
{
	u64 calls = ub_proc_calls(proc), made = calls - proc->calls;
	u8 inactive = READ_ONCE(proc->inactive);
	u8 left = READ_ONCE(proc->idle_epochs);

	proc->calls = calls;
	if (!READ_ONCE(proc->watched))
		return;
	/* It was not sampled in this epoch, so inactivity means nothing, but few calls do. */
	if (READ_ONCE(proc->unsampled)) {
		WRITE_ONCE(proc->unsampled, READ_ONCE(proc->paused));
		/* Nor is it hopeful if it is paused in each epoch, and nothing was found. */
		if (READ_ONCE(proc->paused) &&
		    (made < UB_IDLE_CALLS || epoch - READ_ONCE(proc->news) > 4 * UB_STILL))
			ub_idle_count(proc, epoch, list_empty(&proc->regions));
		return;
	}
	if (left) {
		if (made > 2 * proc->idle_calls || !list_empty(&proc->regions)) {
			ub_idle_end(proc);
			return;
		}
		WRITE_ONCE(proc->idle_epochs, left - 1);
		ub_idle_count(proc, epoch, true);
		if (left == 1)
			ub_sample_budget_restart(proc);
	} else if (made < UB_IDLE_CALLS) {
		WRITE_ONCE(proc->inactive, 0);
		ub_idle_count(proc, epoch, list_empty(&proc->regions));
	} else if (ub_proc_is_active(proc, epoch)) {
		WRITE_ONCE(proc->inactive, 0);
		ub_idle_count(proc, epoch, false);
	} else {
		inactive = min_t(u8, inactive + 1, UB_IDLE_MAX);
		WRITE_ONCE(proc->inactive, inactive);
		proc->idle_calls = made;
		WRITE_ONCE(proc->idle_epochs, (2U << inactive) - 1);
		ub_idle_count(proc, epoch, true);
		ub_proc_filter(proc);
	}
}

/* At the end of .epoch: determine which processes are idle in the next one. */
void ub_idle_update(u32 epoch)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		ub_idle_update_one(proc, epoch);
	rcu_read_unlock();
}
