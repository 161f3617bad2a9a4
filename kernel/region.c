// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded translations.
 *
 * A region is dead once ub_dead[slot] is UB_DEAD.  Segments read it with preemption
 * off, so after a grace period no segment of a dead region runs; a task that sleeps in a
 * dispatched handler reads it after the handler returns.  The code is not freed before the
 * last task is out.
 */
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "proc.h"
#include "queue.h"
#include "region.h"

u8 ub_dead[UB_MAX_REGIONS];
/* Calls that were dispatched, by slot. */
DEFINE_PER_CPU(u64 [UB_MAX_REGIONS], ub_dispatched);
DEFINE_MUTEX(ub_region_mutex);
LIST_HEAD(ub_live_regions);

/* Every region that has code in the arena, or NULL.  Under ub_region_mutex. */
struct ub_region *ub_region_next_live(struct ub_region *region)
{
	struct list_head *next = region ? region->live.next : ub_live_regions.next;

	return next == &ub_live_regions ? NULL : list_entry(next, struct ub_region, live);
}

/* Under proc->lock.  Segments have ended once the grace period has passed. */
void ub_region_kill(struct ub_region *region)
{
	WRITE_ONCE(ub_dead[region->slot], UB_DEAD);
	region->dead_grace = get_state_synchronize_rcu();
}

u64 ub_region_dispatched(const struct ub_region *region)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ub_dispatched, cpu)[region->slot]);
	return sum;
}

u64 ub_region_entered(const struct ub_region *region)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(region->cpu, cpu)->entered);
	return sum;
}

/* Add the runs that have ended to .exits, by reason. */
void ub_region_exits(const struct ub_region *region, u64 exits[UB_EXIT_REASONS])
{
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < UB_EXIT_REASONS; i++)
			exits[i] += READ_ONCE(per_cpu_ptr(region->cpu, cpu)->exits[i]);
}

/* Runs that have ended. */
u64 ub_region_runs(const struct ub_region *region)
{
	u64 exits[UB_EXIT_REASONS] = {}, sum = 0;
	int i;

	ub_region_exits(region, exits);
	for (i = 0; i < UB_EXIT_REASONS; i++)
		sum += exits[i];
	return sum;
}

/* Upper bound of the tasks inside, if no task can enter any more. */
u64 ub_region_tasks(const struct ub_region *region)
{
	u64 left = ub_region_runs(region);

	/* Whoever has left is counted as entered: those are read last. */
	smp_rmb();
	return ub_region_entered(region) - left;
}

void ub_region_last(struct ub_region *region)
{
	queue_work(ub_queue, &region->free_work);
}

struct ub_region *ub_region_find(struct ub_proc *proc, u32 number)
{
	struct ub_region *region, *found = NULL;

	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		if (region->number == number && region->listed)
			found = region;
	raw_spin_unlock(&proc->lock);
	return found;
}

int ub_region_counts(struct ub_proc *proc, struct ub_counts *counts)
{
	struct ub_region *region = ub_region_find(proc, counts->region);
	u64 *copy;
	int err = 0;
	u32 i;

	if (!region)
		return -ENOENT;
	if (counts->flags || counts->reserved || counts->nr_exits != region->nr_exits)
		return -EINVAL;
	copy = kvcalloc(region->nr_exits, sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < region->nr_exits; i++)
		copy[i] = READ_ONCE(region->counts[i]);
	counts->dispatched = ub_region_dispatched(region);
	counts->runs = ub_region_runs(region);
	if (copy_to_user(u64_to_user_ptr(counts->exits), copy,
			 array_size(region->nr_exits, sizeof(*copy))))
		err = -EFAULT;
	kvfree(copy);
	return err;
}

/* UB_IOC_REGIONS */
int ub_region_list(struct ub_proc *proc, struct ub_regions *regions)
{
	struct ub_region *region;
	int err = 0;
	u32 *copy;

	if (regions->flags || regions->reserved || regions->max < UB_MAX_REGIONS)
		return -EINVAL;
	copy = kcalloc(UB_MAX_REGIONS, sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	regions->count = 0;
	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		if (region->listed && !ub_region_is_dead(region) &&
		    regions->count < UB_MAX_REGIONS)
			copy[regions->count++] = region->number;
	if (READ_ONCE(proc->gone))
		err = -ENOENT;
	raw_spin_unlock(&proc->lock);
	if (!err &&
	    copy_to_user(u64_to_user_ptr(regions->regions), copy,
			 array_size(regions->count, sizeof(*copy))))
		err = -EFAULT;
	kfree(copy);
	return err;
}
