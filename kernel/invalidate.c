// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions are killed before their source changes.
 *
 * Running segments have preemption off: once a grace period has passed after a region was
 * marked dead, none of its segments runs.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "client.h"
#include "event.h"
#include "invalidate.h"
#include "proc.h"
#include "region.h"
#include "trace.h"

static bool ub_region_overlaps(const struct ub_region *region, u64 start, u64 end)
{
	u32 i;

	if (region->start >= end || region->end <= start)
		return false;
	for (i = 0; i < region->nr_sources; i++)
		if (region->sources[i].start < end &&
		    region->sources[i].start + region->sources[i].length > start)
			return true;
	return false;
}

/*
 * Wait until no segment of a dead region runs: segments have preemption off.  If sleeping is
 * not allowed, the OOM reaper is tearing down the mm, and its tasks are dying.
 */
static void ub_region_wait(bool may_sleep)
{
	if (may_sleep)
		synchronize_rcu();
}

/* Called by the mmu notifier before the pages in [start, end) change. */
void ub_region_invalidate(struct ub_proc *proc, u64 start, u64 end, bool may_sleep)
{
	struct ub_region *region;
	bool wait = false;

	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node) {
		struct ub_event event = { .type = UB_EVENT_DEAD, .ip = start };

		if (!ub_region_overlaps(region, start, end))
			continue;
		if (ub_region_is_dead(region)) {
			/* The thread that marked it may still be waiting; wait here, too. */
			wait |= !poll_state_synchronize_rcu(region->dead_grace);
			continue;
		}
		ub_region_kill(region);
		wait = true;
		trace_ub_region(region->number, false, 0, start);
		/* User space does not know the number of a region that is not listed yet. */
		event.region = region->number;
		if (proc->client && region->listed)
			ub_event_queue(proc->client, proc->id, &event);
	}
	raw_spin_unlock(&proc->lock);
	if (wait)
		ub_region_wait(may_sleep);
}

/* The mm is released: kill all regions; the client gets one event for that instead. */
void ub_region_end(struct ub_proc *proc)
{
	struct ub_region *region;
	bool wait = false;

	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node) {
		wait = true;
		if (!ub_region_is_dead(region))
			ub_region_kill(region);
	}
	raw_spin_unlock(&proc->lock);
	if (wait)
		ub_region_wait(true);
}

/* After this no segment of these regions runs, and no lookup can enter one. */
void ub_region_invalidate_all(void)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		ub_region_invalidate(proc, 0, TASK_SIZE_MAX, false);
	rcu_read_unlock();
	synchronize_rcu();
}
