// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translations: load, replace, invalidate, unload.
 *
 * A region is dead as soon as ub_dead[slot] says so.  Segments look at that with
 * preemption off, so after a grace period no segment of a dead region runs, and a
 * task that sleeps in a dispatched handler looks when it comes back.  Its code
 * stays until the last task is out.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

#define UB_COMPARE_TRIES	4

u8 ub_dead[UB_MAX_REGIONS];
DEFINE_MUTEX(ub_region_mutex);

static DECLARE_BITMAP(ub_slots, UB_MAX_REGIONS);
static LIST_HEAD(ub_live);
static u32 ub_next_number = 1;
static struct workqueue_struct *ub_free_queue;

/* Every region that has code in the arena, or NULL.  Under ub_region_mutex. */
struct ub_region *ub_region_next_live(struct ub_region *region)
{
	struct list_head *next = region ? region->live.next : ub_live.next;

	return next == &ub_live ? NULL : list_entry(next, struct ub_region, live);
}

/* Under proc->lock.  Segments have ended once the grace period has passed. */
static void ub_region_kill(struct ub_region *region)
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

u64 ub_region_runs(const struct ub_region *region)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(region->cpu, cpu)->runs);
	return sum;
}

/* At least as many as are inside, if nobody can come in any more. */
long ub_region_tasks(const struct ub_region *region)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(region->cpu, cpu)->tasks);
	return sum;
}

static void ub_region_free_memory(struct ub_region *region)
{
	kvfree(region->entries);
	kvfree(region->exits);
	kvfree(region->faults);
	kvfree(region->sources);
	kvfree(region->counts);
	free_percpu(region->cpu);
	kvfree(region->idle);
	kfree(region);
}

/*
 * Runs when the region is dropped, and again for each task that comes out later.  Nobody
 * can come in any more: whoever takes a region off its process' table waits for those who
 * may have found it there.
 */
static void ub_region_free(struct work_struct *work)
{
	struct ub_region *region = container_of(work, struct ub_region, free_work);
	struct ub_proc *proc = region->proc;

	/*
	 * Who comes out counts, and then looks whether it is dropped, with preemption off
	 * in between: either that was before, and is counted, or this will run again.
	 */
	synchronize_rcu();
	if (ub_region_tasks(region))
		return;
	/* Who has this run again holds a pointer to the region until it has done so. */
	synchronize_rcu();
	if (work_pending(work))
		return;

	ub_trial_exit(region);
	spin_lock(&proc->lock);
	list_del(&region->node);
	proc->old_dispatched += ub_region_dispatched(region);
	proc->old_runs += ub_region_runs(region);
	spin_unlock(&proc->lock);

	mutex_lock(&ub_region_mutex);
	list_del(&region->live);
	/*
	 * Entries of the table for code that is gone do no harm, and the table
	 * is made anew before the space is used again.
	 */
	ub_arena_free(region->code, region->room);
	clear_bit(region->slot, ub_slots);
	mutex_unlock(&ub_region_mutex);

	ub_region_free_memory(region);
	ub_proc_put(proc);
}

void ub_region_last(struct ub_region *region)
{
	queue_work(ub_free_queue, &region->free_work);
}

/* No table has it any more, nor has anybody who may have found it in one. */
static void ub_region_drop(struct ub_region *region)
{
	WRITE_ONCE(region->dropped, true);
	ub_region_last(region);
}

/* ---- what user space hands in ------------------------------------------- */

struct ub_draft {
	u8 *image;
	u8 *bytes;
	u32 *jumps;
	struct ub_dispatch *dispatches;
};

static void ub_draft_free(struct ub_draft *draft)
{
	kvfree(draft->image);
	kvfree(draft->bytes);
	kvfree(draft->jumps);
	kvfree(draft->dispatches);
}

static int ub_copy(void *to, u64 from, u32 n, size_t size)
{
	void *copy;

	if (!n) {
		*(void **)to = NULL;
		return 0;
	}
	copy = vmemdup_user(u64_to_user_ptr(from), array_size(n, size));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	*(void **)to = copy;
	return 0;
}

/* Behind the code is room for what its dispatches do for a filter. */
static int ub_copy_code(struct ub_region *region, struct ub_draft *draft,
			const struct ub_load *load)
{
	region->room = load->code_length;
	if (load->nr_dispatches)
		region->room += load->nr_dispatches * ub_seccomp_size();
	draft->image = kvmalloc(region->room, GFP_KERNEL);
	if (!draft->image)
		return -ENOMEM;
	memset(draft->image, 0xcc, region->room);
	return copy_from_user(draft->image, u64_to_user_ptr(load->code),
			      load->code_length) ? -EFAULT : 0;
}

static int ub_draft_copy(struct ub_region *region, struct ub_draft *draft,
			 const struct ub_load *load)
{
	int err;

	if (load->flags & ~UB_LOADF_ALL || !load->code_length ||
	    load->code_length > UB_MAX_CODE || !load->nr_entries ||
	    load->nr_entries > UB_MAX_ENTRIES || !load->nr_exits ||
	    load->nr_exits > UB_MAX_EXITS || load->nr_faults > UB_MAX_FAULTS ||
	    load->nr_dispatches > UB_MAX_DISPATCHES || !load->nr_jumps ||
	    load->nr_jumps > UB_MAX_EXITS || !load->nr_sources ||
	    load->nr_sources > UB_MAX_SOURCES || !load->bytes_length ||
	    load->bytes_length > UB_MAX_SOURCE_BYTES)
		return -EINVAL;
	if (load->flags & UB_LOADF_X87 &&
	    (!(load->flags & UB_LOADF_VECTOR) || !ub_x87_usable()))
		return -EINVAL;

	region->vector = load->flags & UB_LOADF_VECTOR;
	region->x87 = load->flags & UB_LOADF_X87;
	region->code_length = load->code_length;
	region->nr_entries = load->nr_entries;
	region->nr_exits = load->nr_exits;
	region->nr_faults = load->nr_faults;
	region->nr_sources = load->nr_sources;

	err = ub_copy_code(region, draft, load);
	err = err ?: ub_copy(&draft->bytes, load->bytes, load->bytes_length, 1);
	err = err ?: ub_copy(&draft->jumps, load->jumps, load->nr_jumps,
			     sizeof(*draft->jumps));
	err = err ?: ub_copy(&draft->dispatches, load->dispatches,
			     load->nr_dispatches, sizeof(*draft->dispatches));
	err = err ?: ub_copy(&region->entries, load->entries, load->nr_entries,
			     sizeof(*region->entries));
	err = err ?: ub_copy(&region->exits, load->exits, load->nr_exits,
			     sizeof(*region->exits));
	err = err ?: ub_copy(&region->faults, load->faults, load->nr_faults,
			     sizeof(*region->faults));
	err = err ?: ub_copy(&region->sources, load->sources, load->nr_sources,
			     sizeof(*region->sources));
	if (err)
		return err;
	region->counts = kvcalloc(region->nr_exits, sizeof(*region->counts),
				  GFP_KERNEL);
	region->idle = kvcalloc(region->nr_entries, sizeof(*region->idle), GFP_KERNEL);
	region->cpu = alloc_percpu(struct ub_region_cpu);
	return region->counts && region->idle && region->cpu ? 0 : -ENOMEM;
}

static int ub_draft_check(const struct ub_region *region,
			  const struct ub_draft *draft, const struct ub_load *load)
{
	u32 length = region->code_length, size = ub_dispatch_size(region->vector);
	u64 bytes = 0;
	u32 i, j, end = 0;

	for (i = 0; i < region->nr_entries; i++)
		if (region->entries[i].code_offset >= length ||
		    region->entries[i].reserved ||
		    region->entries[i].user_ip >= TASK_SIZE_MAX)
			return -EINVAL;
	for (i = 0; i < region->nr_exits; i++)
		if (!region->exits[i].reason ||
		    region->exits[i].reason >= UB_EXIT_REASONS ||
		    region->exits[i].user_ip >= TASK_SIZE_MAX ||
		    region->exits[i].cx >= TASK_SIZE_MAX ||
		    region->exits[i].flags & ~UB_EXITF_ALL)
			return -EINVAL;
	for (i = 0; i < region->nr_faults; i++)
		if (region->faults[i].code_offset >= length ||
		    region->faults[i].fixup_offset >= length ||
		    (i && region->faults[i].code_offset <=
		     region->faults[i - 1].code_offset))
			return -EINVAL;
	for (i = 0; i < load->nr_dispatches; i++) {
		const struct ub_dispatch *d = &draft->dispatches[i];

		if (d->code_offset < end || d->code_offset >= length ||
		    length - d->code_offset < size || d->pre_offset >= length ||
		    d->post_offset >= length || d->user_ip >= TASK_SIZE_MAX ||
		    ub_hook_args(d->nr) == UB_SYSCALL_NONE)
			return -EINVAL;
		for (j = 0; j < size; j++)
			if (draft->image[d->code_offset + j] != 0xcc)
				return -EINVAL;
		end = d->code_offset + size;
	}
	for (i = 0; i < load->nr_jumps; i++)
		if (length < 4 || draft->jumps[i] > length - 4 ||
		    memchr_inv(draft->image + draft->jumps[i], 0, 4))
			return -EINVAL;
	for (i = 0; i < region->nr_sources; i++) {
		const struct ub_source *s = &region->sources[i];

		if (!s->length || s->length > load->bytes_length ||
		    s->start >= TASK_SIZE_MAX ||
		    s->length > TASK_SIZE_MAX - s->start)
			return -EINVAL;
		bytes += s->length;
	}
	return bytes == load->bytes_length ? 0 : -EINVAL;
}

/* Most of what a program unmaps lies far from its code: that is found at once. */
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

static void ub_draft_link(const struct ub_region *region,
			  const struct ub_draft *draft, const struct ub_load *load)
{
	u32 i, behind = region->code_length;

	for (i = 0; i < load->nr_jumps; i++) {
		u32 at = draft->jumps[i];
		u32 rel = (unsigned long)ub_leave -
			  (unsigned long)(region->code + at + 4);

		memcpy(draft->image + at, &rel, sizeof(rel));
	}
	for (i = 0; i < load->nr_dispatches; i++) {
		const struct ub_dispatch *d = &draft->dispatches[i];
		struct ub_dispatch_site site = {
			.image = draft->image + d->code_offset,
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
			ub_seccomp_emit(&site, d->user_ip, draft->image + behind, back);
		behind += ub_seccomp_size();
	}
}

/* ---- placing it ---------------------------------------------------------- */

static int ub_region_place(struct ub_region *region, const struct ub_draft *draft,
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
	ub_draft_link(region, draft, load);
	list_add(&region->live, &ub_live);
	err = ub_arena_write(region->code, draft->image, region->room);
	if (!err)
		err = ub_fault_rebuild();
	if (err) {
		list_del(&region->live);
		clear_bit(region->slot, ub_slots);
		ub_arena_free(region->code, region->room);
	}
out:
	mutex_unlock(&ub_region_mutex);
	return err;
}

static bool ub_vma_qualifies(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_EXEC | VM_WRITE | VM_SHARED)) == VM_EXEC;
}

/*
 * Bring the pages of a range in, so that they are there a moment later.  Waits for the
 * disk, or whoever is behind a file system, without keeping others waiting: the lock is
 * given up meanwhile (then *locked is 0), and a fatal signal ends it.
 */
static int ub_bring_in(struct mm_struct *mm, u64 start, u64 length, int *locked)
{
	u64 end = start + length;

	for (start &= PAGE_MASK; start < end; start += PAGE_SIZE) {
		struct page *page;
		long got;

		if (!*locked) {
			if (mmap_read_lock_killable(mm))
				return -EINTR;
			*locked = 1;
		}
		got = ub_get_page(mm, start, 0, &page, locked);
		if (got == 1)
			put_page(page);
		else if (fatal_signal_pending(current))
			return -EINTR;
		else if (*locked)
			return -EFAULT;
		/* Else somebody else is to look again: the next step does. */
		cond_resched();
	}
	return 0;
}

/* Under mmap_lock for writing.  Never waits for a page: EAGAIN if one is missing. */
static int ub_compare_range(struct mm_struct *mm, u64 start, u64 length,
			    const u8 *bytes)
{
	while (length) {
		u64 offset = offset_in_page(start);
		u64 n = min_t(u64, length, PAGE_SIZE - offset);
		struct vm_area_struct *vma = find_vma(mm, start);
		struct page *page;
		bool same;
		u8 *at;

		if (!vma || vma->vm_start > start || !ub_vma_qualifies(vma))
			return -EFAULT;
		ub_vma_exclude(vma);
		if (ub_get_page(mm, start, FOLL_NOFAULT, &page, NULL) != 1)
			return -EAGAIN;
		/*
		 * A copy of a file's page was made for a debugger, which may write to
		 * it again without making another, hence unnoticed.
		 */
		if (vma->vm_file && PageAnon(page)) {
			put_page(page);
			return -EFAULT;
		}
		at = kmap_local_page(page);
		same = !memcmp(at + offset, bytes, n);
		kunmap_local(at);
		put_page(page);
		if (!same)
			return -EBADE;
		start += n;
		bytes += n;
		length -= n;
	}
	return 0;
}

static int ub_compare_all(const struct ub_region *region, struct mm_struct *mm,
			  const u8 *bytes)
{
	int locked = 0, err = 0;
	u32 i;

	for (i = 0; i < region->nr_sources && !err; i++)
		err = ub_bring_in(mm, region->sources[i].start,
				  region->sources[i].length, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (err)
		return err;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	for (i = 0; i < region->nr_sources && !err; i++) {
		err = ub_compare_range(mm, region->sources[i].start,
				       region->sources[i].length, bytes);
		bytes += region->sources[i].length;
	}
	mmap_write_unlock(mm);
	return err;
}

/*
 * The notifier already knows the region, so what changes after a page was compared
 * marks it dead.  A page that is compared is mapped, hence a later change does notify.
 *
 * The lock is taken for writing: who pokes text (a debugger, /proc/PID/mem) holds it
 * for reading from the notification, which may have come before the region was
 * known, to the last byte written.
 */
static int ub_region_compare(struct ub_region *region, const u8 *bytes)
{
	struct mm_struct *mm = region->proc->mm;
	int err, tries;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	/* Pages that were brought in may be gone again before they are compared. */
	for (tries = 0; tries < UB_COMPARE_TRIES; tries++) {
		err = ub_compare_all(region, mm, bytes);
		if (err != -EAGAIN)
			break;
	}
	mmput(mm);
	return err == -EBADE ? -EAGAIN : err;
}

/* ---- entries ------------------------------------------------------------- */

static void ub_table_add(struct ub_entry_table *table, struct ub_region *region)
{
	u32 i, at;

	for (i = 0; i < region->nr_entries; i++) {
		const struct ub_entry *entry = &region->entries[i];

		for (at = hash_64(entry->user_ip, 32);; at++) {
			u32 slot = at & table->mask;

			if (table->slot[slot].region &&
			    table->slot[slot].user_ip != entry->user_ip)
				continue;
			table->slot[slot].user_ip = entry->user_ip;
			table->slot[slot].code_offset = entry->code_offset;
			table->slot[slot].entry = i;
			table->slot[slot].region = region;
			break;
		}
	}
}

/*
 * Publish the entries of all regions but .without (which dies) and, if it did not
 * die before, of .with.  Under client->mutex, which makes this the only writer.
 */
static int ub_publish(struct ub_proc *proc, struct ub_region *with,
		      struct ub_region *without)
{
	struct ub_entry_table *table, *old;
	struct ub_region *region;
	u32 n = 0, size;
	int err = 0;

	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		n += region->nr_entries;
	spin_unlock(&proc->lock);
	/* Never full: lookups end at an empty slot. */
	size = roundup_pow_of_two(2 * n + 2);
	table = kvzalloc(struct_size(table, slot, size), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	table->mask = size - 1;

	spin_lock(&proc->lock);
	if (with && ub_region_is_dead(with))
		err = -EAGAIN;
	if (!err) {
		if (with)
			with->listed = true;
		if (without)
			without->listed = false;
		list_for_each_entry(region, &proc->regions, node)
			if (region->listed && !ub_region_is_dead(region))
				ub_table_add(table, region);
		old = rcu_dereference_protected(proc->entries,
						lockdep_is_held(&proc->lock));
		rcu_assign_pointer(proc->entries, table);
		if (without)
			ub_region_kill(without);
	}
	spin_unlock(&proc->lock);
	if (err) {
		kvfree(table);
		return err;
	}
	synchronize_rcu();
	kvfree(old);
	/* Whoever found them hot or not before has done so by now. */
	for (n = 0; with && n < with->nr_entries; n++) {
		if (READ_ONCE(with->trial))
			ub_detect_fresh(proc, with->entries[n].user_ip);
		ub_detect_entry(proc, with->entries[n].user_ip);
	}
	if (with)
		ub_rest_end(proc);
	return 0;
}

struct ub_region *ub_region_find(struct ub_proc *proc, u32 number)
{
	struct ub_region *region, *found = NULL;

	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		if (region->number == number && region->listed)
			found = region;
	spin_unlock(&proc->lock);
	return found;
}

int ub_region_load(struct ub_proc *proc, struct ub_load *load)
{
	struct ub_region *region, *old = NULL;
	struct ub_draft draft = {};
	int version, err;

	/* This may hook the handlers, which is a new version. */
	err = ub_cost_load(proc);
	if (err)
		return err;
	version = ub_hook_version();
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

	err = ub_draft_copy(region, &draft, load);
	err = err ?: ub_draft_check(region, &draft, load);
	err = err ?: ub_region_place(region, &draft, load);
	if (err) {
		ub_region_free_memory(region);
		goto out;
	}
	ub_region_bound(region);

	refcount_inc(&proc->refs);
	spin_lock(&proc->lock);
	list_add(&region->node, &proc->regions);
	spin_unlock(&proc->lock);

	/* Whoever changes it now finds the region. */
	smp_mb();
	err = ub_hook_version() == version ? 0 : -EAGAIN;
	err = err ?: ub_region_compare(region, draft.bytes);
	err = err ?: ub_publish(proc, region, old);
	if (err) {
		/* No task has seen it. */
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
	ub_draft_free(&draft);
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

/* For detach: must not fail, so it needs no memory. */
void ub_region_unload_all(struct ub_proc *proc)
{
	struct ub_region *region, *next;
	struct ub_entry_table *old;
	LIST_HEAD(doomed);

	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		ub_region_kill(region);
	old = rcu_dereference_protected(proc->entries,
					lockdep_is_held(&proc->lock));
	RCU_INIT_POINTER(proc->entries, NULL);
	spin_unlock(&proc->lock);
	synchronize_rcu();
	kvfree(old);

	spin_lock(&proc->lock);
	list_for_each_entry_safe(region, next, &proc->regions, node)
		if (region->listed) {
			region->listed = false;
			ub_region_drop(region);
		}
	spin_unlock(&proc->lock);
}

/* ---- invalidation -------------------------------------------------------- */

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
 * Running segments have preemption off.  Where sleeping is not allowed the mm is being
 * torn down by the OOM reaper, and its tasks die.
 */
static void ub_region_wait(bool may_sleep)
{
	if (may_sleep)
		synchronize_rcu();
}

/* The pages in [start, end) are about to change.  From the mmu notifier. */
void ub_region_invalidate(struct ub_proc *proc, u64 start, u64 end, bool may_sleep)
{
	struct ub_region *region;
	bool wait = false;

	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node) {
		struct ub_event event = { .type = UB_EVENT_DEAD, .ip = start };

		if (!ub_region_overlaps(region, start, end))
			continue;
		if (ub_region_is_dead(region)) {
			/* Who marked it may still be waiting; so must we. */
			wait |= !poll_state_synchronize_rcu(region->dead_grace);
			continue;
		}
		ub_region_kill(region);
		wait = true;
		trace_ub_region(region->number, false, 0, start);
		/* One that is not listed yet has no number that anybody knows. */
		event.region = region->number;
		if (proc->client && region->listed)
			ub_event_queue(proc->client, proc->id, &event);
	}
	spin_unlock(&proc->lock);
	if (wait)
		ub_region_wait(may_sleep);
}

/* The mm goes away, and with it everything: the client hears of that instead. */
void ub_region_end(struct ub_proc *proc)
{
	struct ub_region *region;
	bool wait = false;

	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node) {
		wait = true;
		if (!ub_region_is_dead(region))
			ub_region_kill(region);
	}
	spin_unlock(&proc->lock);
	if (wait)
		ub_region_wait(true);
}

/* ---- numbers ------------------------------------------------------------- */

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
	spin_lock(&proc->lock);
	list_for_each_entry(region, &proc->regions, node)
		if (region->listed && !ub_region_is_dead(region) &&
		    regions->count < UB_MAX_REGIONS)
			copy[regions->count++] = region->number;
	spin_unlock(&proc->lock);
	if (copy_to_user(u64_to_user_ptr(regions->regions), copy,
			 array_size(regions->count, sizeof(*copy))))
		err = -EFAULT;
	kfree(copy);
	return err;
}

int ub_region_init(void)
{
	ub_free_queue = alloc_workqueue("ub_free", WQ_UNBOUND, 0);
	return ub_free_queue ? 0 : -ENOMEM;
}

void ub_region_exit(void)
{
	ub_suspend_exit();
	destroy_workqueue(ub_free_queue);
}
