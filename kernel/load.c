// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads, replaces and unloads regions.
 *
 * A region is removed from the table of its process, then a grace period passes, so that no
 * task finds it any more; its memory is freed once the last task is out.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "arena.h"
#include "backoff.h"
#include "dispatch.h"
#include "enter.h"
#include "entry.h"
#include "fault.h"
#include "handler.h"
#include "idle.h"
#include "landing.h"
#include "load.h"
#include "load_args.h"
#include "proc.h"
#include "region.h"
#include "sample.h"
#include "seccomp.h"
#include "seccomp_emit.h"
#include "site_table.h"
#include "source.h"
#include "trace.h"
#include "trial.h"

#define UB_SPARSE	4	/* a table may be that much larger for places of their own */

static DECLARE_BITMAP(ub_slots, UB_MAX_REGIONS);
static u32 ub_next_number = 1;

static void ub_region_free_memory(struct ub_region *region)
{
	kvfree(region->entries);
	kvfree(region->exits);
	kvfree(region->faults);
	kvfree(region->sources);
	kvfree(region->counts);
	kvfree(region->followed);
	free_percpu(region->cpu);
	kvfree(region->backoff);
	kfree(region);
}

/*
 * Runs when the region is dropped, and again for each task that leaves it later.  No task
 * can enter any more: a grace period has passed since the region left its process' table.
 */
static void ub_region_free(struct work_struct *work)
{
	struct ub_region *region = container_of(work, struct ub_region, free_work);
	struct ub_proc *proc = region->proc;

	/*
	 * A leaving task is counted and then reads .dropped, with preemption off in between:
	 * either it is counted before this, or this work runs again.
	 */
	synchronize_rcu();
	if (ub_region_tasks(region))
		return;
	/* A task that queues this work again uses the region until the work is queued. */
	synchronize_rcu();
	if (work_pending(work))
		return;

	ub_trial_exit(region);
	mutex_lock(&proc->regions_mutex);
	raw_spin_lock(&proc->lock);
	list_del(&region->node);
	raw_spin_unlock(&proc->lock);
	proc->old_dispatched += ub_region_dispatched(region);
	proc->old_entered += ub_region_entered(region);
	ub_region_exits(region, proc->old_exits);
	mutex_unlock(&proc->regions_mutex);

	mutex_lock(&ub_region_mutex);
	list_del(&region->live);
	/*
	 * Stale entries of the exception table do no harm: the table is rebuilt before
	 * the space is used again.
	 */
	ub_arena_free(region->code, region->room);
	clear_bit(region->slot, ub_slots);
	mutex_unlock(&ub_region_mutex);

	ub_region_free_memory(region);
	ub_proc_put(proc);
}

/* No entry table contains the region, and no task is still about to enter it. */
static void ub_region_drop(struct ub_region *region)
{
	WRITE_ONCE(region->dropped, true);
	ub_region_last(region);
}

/* ---- placement ----------------------------------------------------------- */

/* Bounds of all sources: most unmapped ranges are far from code and skipped quickly. */
static void ub_region_bound(struct ub_region *region)
{
	u32 i;

	region->start = U64_MAX;
	for (i = 0; i < region->nr_sources; i++) {
		const struct ub_source *s = &region->sources[i];

		region->start = min(region->start, s->start);
		region->end = max(region->end, s->start + s->length);
	}
}

static void ub_region_note_calls(struct ub_region *region, const struct ub_load_args *args,
				 const struct ub_load *load)
{
	u32 i;

	for (i = 0; i < load->nr_dispatches; i++)
		if (args->dispatches[i].nr < UB_CALLS)
			set_bit(args->dispatches[i].nr, region->calls);
}

/* Behind all other code, which must not have an endbr64: -EINVAL. */
static int ub_load_land(struct ub_region *region, u8 *image, u32 behind)
{
	struct ub_emit e = {
		.at = image + behind,
		.delta = (long)region->code - (long)image,
	};
	u32 i;

	if (ub_has_endbr64(image, behind))
		return -EINVAL;
	if (!ub_landing_size())
		return 0;
	region->landings = behind;
	for (i = 0; i < region->nr_entries; i++)
		emit_landing(&e, (unsigned long)region->code +
				 region->entries[i].code_offset);
	return 0;
}

static int ub_load_link(struct ub_region *region, const struct ub_load_args *args,
			const struct ub_load *load)
{
	u32 i, behind = region->code_length;

	for (i = 0; i < load->nr_jumps; i++) {
		u32 at = args->jumps[i];
		u32 rel = (unsigned long)ub_leave -
			  (unsigned long)(region->code + at + 4);

		memcpy(args->image + at, &rel, sizeof(rel));
	}
	for (i = 0; i < load->nr_dispatches; i++) {
		const struct ub_dispatch *d = &args->dispatches[i];
		struct ub_dispatch_site site = {
			.image = args->image + d->code_offset,
			.code = region->code + d->code_offset,
			.nr = d->nr,
			.slot = region->slot,
			.vector = region->vector,
			.pre = region->code + d->pre_offset,
			.post = region->code + d->post_offset,
			.filtered = ub_seccomp_usable() ? region->code + behind : NULL,
		};
		u8 *back = ub_dispatch_emit(&site);

		if (back && site.filtered)
			ub_seccomp_emit(&site, d->user_ip, args->image + behind, back);
		behind += ub_seccomp_size();
	}
	return ub_load_land(region, args->image, behind);
}

static int ub_region_place(struct ub_region *region, const struct ub_load_args *args,
			   const struct ub_load *load)
{
	int err = -ENOSPC;
	int cpu;

	mutex_lock(&ub_region_mutex);
	region->slot = find_first_zero_bit(ub_slots, UB_MAX_REGIONS);
	if (region->slot >= UB_MAX_REGIONS)
		goto out;
	region->code = ub_arena_alloc(region->room);
	if (!region->code)
		goto out;
	set_bit(region->slot, ub_slots);
	WRITE_ONCE(ub_dead[region->slot], region->trial ? UB_CLOSED : UB_LIVE);
	for_each_possible_cpu(cpu)
		per_cpu(ub_dispatched, cpu)[region->slot] = 0;
	region->number = ub_next_number++;
	ub_region_note_calls(region, args, load);
	list_add(&region->live, &ub_live_regions);
	err = ub_load_link(region, args, load);
	err = err ?: ub_arena_write(region->code, args->image, region->room);
	err = err ?: ub_fault_rebuild();
	if (err) {
		list_del(&region->live);
		clear_bit(region->slot, ub_slots);
		ub_arena_free(region->code, region->room);
	}
out:
	mutex_unlock(&ub_region_mutex);
	return err;
}

/* ---- entries ------------------------------------------------------------- */

/* Where a run of the entry begins. */
static u8 *ub_entry_code(const struct ub_region *region, u32 entry)
{
	if (region->landings)
		return region->code + region->landings + entry * ub_landing_size();
	return region->code + region->entries[entry].code_offset;
}

/* Returns how many entries are not where they should be. */
static u32 ub_table_add(struct ub_entry_table *table, struct ub_region *region)
{
	u32 i, at, astray = 0;

	for (i = 0; i < region->nr_entries; i++) {
		const struct ub_entry *entry = &region->entries[i];
		u32 place = ub_entry_place(table, entry->user_ip, entry->nr);

		for (at = place;; at++) {
			struct ub_entry_slot *slot = &table->slot[at & table->mask];

			if (slot->region &&
			    (slot->user_ip != entry->user_ip || slot->nr != entry->nr))
				continue;
			slot->user_ip = entry->user_ip;
			slot->nr = entry->nr;
			slot->code = ub_entry_code(region, i);
			slot->region = region;
			slot->backoff = &region->backoff[i];
			slot->slot = region->slot;
			slot->entry = i;
			break;
		}
		astray += at != place;
	}
	return astray;
}

static void ub_table_clear(struct ub_entry_table *table)
{
	u32 i;

	memset(table->slot, 0, array_size(table->mask + 1, sizeof(*table->slot)));
	for (i = 0; i <= table->mask; i++)
		table->slot[i].user_ip = UB_NO_IP;
}

static struct ub_entry_table *ub_table_alloc(struct ub_proc *proc, u32 size)
{
	struct ub_entry_table *table = kvzalloc(struct_size(table, slot, size), GFP_KERNEL);

	if (!table)
		return NULL;
	table->head.mm = proc->mm;
	table->mask = size - 1;
	ub_table_clear(table);
	return table;
}

/* All regions that are live and listed, and .with, but not .without.  Under the mutex. */
static u32 ub_table_fill(struct ub_entry_table *table, struct ub_proc *proc,
			 const struct ub_region *with, const struct ub_region *without)
{
	struct ub_region *region;
	u32 astray = 0;

	list_for_each_entry(region, &proc->regions, node)
		if ((region->listed || region == with) && region != without &&
		    !ub_region_is_dead(region))
			astray += ub_table_add(table, region);
	return astray;
}

/*
 * Publish the entries of all regions except .without (which is killed) and, unless it is
 * dead already, of .with.  Under client->mutex, which makes this the only writer.
 */
static int ub_publish(struct ub_proc *proc, struct ub_region *with,
		      struct ub_region *without)
{
	struct ub_entry_table *table, *larger;
	struct ub_entry_head *old;
	struct ub_region *region;
	u32 n = 0, size, most;
	int err = 0;

	mutex_lock(&proc->regions_mutex);
	list_for_each_entry(region, &proc->regions, node)
		n += region->nr_entries;
	/* Never full, so that a lookup ends at an empty slot. */
	size = roundup_pow_of_two(2 * n + 2);
	most = UB_SPARSE * size;
	table = ub_table_alloc(proc, size);
	if (!table) {
		mutex_unlock(&proc->regions_mutex);
		return -ENOMEM;
	}
	/* A run begins faster at an entry that is where it should be. */
	while (ub_table_fill(table, proc, with, without) && size < most) {
		size *= 2;
		larger = ub_table_alloc(proc, size);
		if (!larger)
			break;
		kvfree(table);
		table = larger;
	}

	/* Regions that have died meanwhile are not entered, as those that die later. */
	raw_spin_lock(&proc->lock);
	if (with && ub_region_is_dead(with))
		err = -EAGAIN;
	if (!err) {
		if (with)
			with->listed = true;
		if (without)
			without->listed = false;
		old = rcu_dereference_protected(proc->entries,
						lockdep_is_held(&proc->lock));
		ub_proc_publish(proc, &table->head);
		if (without)
			ub_region_kill(without);
	}
	raw_spin_unlock(&proc->lock);
	mutex_unlock(&proc->regions_mutex);
	if (err) {
		kvfree(table);
		return err;
	}
	synchronize_rcu();
	kvfree(old);
	/* Tasks that used the old table have set their verdicts by now. */
	for (n = 0; with && n < with->nr_entries; n++) {
		const struct ub_entry *entry = &with->entries[n];

		if (READ_ONCE(with->trial))
			ub_sample_reset(proc, entry->user_ip, entry->nr);
		ub_site_unpark(proc, entry->user_ip, entry->nr);
	}
	if (with)
		ub_idle_end(proc);
	return 0;
}

int ub_region_load(struct ub_proc *proc, struct ub_load *load)
{
	struct ub_region *region, *old = NULL;
	struct ub_load_args args = {};
	int version, err;

	/* Without clamps only by the operator's word for this process. */
	if (load->flags & UB_LOADF_TRUSTED && !proc->trusted)
		return -EPERM;
	version = ub_handler_version();
	if (load->replace) {
		old = ub_region_find(proc, load->replace);
		if (!old)
			return -ENOENT;
	}
	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return -ENOMEM;
	INIT_WORK(&region->free_work, ub_region_free);
	region->proc = proc;
	ub_trial_setup(region, load->trial_ns);

	err = ub_load_args_copy(region, &args, load);
	err = err ?: ub_load_args_check(region, &args, load);
	err = err ?: ub_region_place(region, &args, load);
	if (err) {
		ub_region_free_memory(region);
		goto out;
	}
	ub_region_mark_exits(region);
	ub_region_bound(region);

	refcount_inc(&proc->refs);
	mutex_lock(&proc->regions_mutex);
	raw_spin_lock(&proc->lock);
	list_add(&region->node, &proc->regions);
	raw_spin_unlock(&proc->lock);
	mutex_unlock(&proc->regions_mutex);

	/* From now on a change of the source kills the region. */
	smp_mb();
	err = ub_handler_version() == version ? 0 : -EAGAIN;
	err = err ?: ub_source_compare(region, args.bytes);
	err = err ?: ub_publish(proc, region, old);
	if (err) {
		/* No task has looked up the region. */
		WRITE_ONCE(ub_dead[region->slot], UB_DEAD);
		ub_region_drop(region);
		goto out;
	}
	load->region = region->number;
	trace_ub_region(region->number, true, region->code_length,
			region->entries[0].user_ip);
	if (old)
		ub_region_drop(old);
out:
	ub_load_args_free(&args);
	return err;
}

int ub_region_unload(struct ub_proc *proc, u32 number)
{
	struct ub_region *region = ub_region_find(proc, number);
	int err;

	if (!region)
		return -ENOENT;
	err = ub_publish(proc, NULL, region);
	if (!err) {
		trace_ub_region(number, false, region->code_length, 0);
		ub_region_drop(region);
	}
	return err;
}

/* For detach: allocates no memory, since it must not fail. */
void ub_region_unload_all(struct ub_proc *proc)
{
	struct ub_region *region, *next;
	struct ub_entry_head *old;

	raw_spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		ub_region_kill(region);
	old = rcu_dereference_protected(proc->entries,
					lockdep_is_held(&proc->lock));
	ub_proc_publish(proc, NULL);
	raw_spin_unlock(&proc->lock);
	synchronize_rcu();
	kvfree(old);

	mutex_lock(&proc->regions_mutex);
	list_for_each_entry_safe(region, next, &proc->regions, node)
		if (region->listed) {
			region->listed = false;
			ub_region_drop(region);
		}
	mutex_unlock(&proc->regions_mutex);
}
