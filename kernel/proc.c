// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attached processes, found by their mm.
 *
 * The trampoline reads one word for each hash of an mm: the word says whether the process
 * may be attached, and holds the number of the counter for calls that it lets pass.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "client.h"
#include "event.h"
#include "proc.h"

u16 ub_filter[UB_FILTER_SIZE];
/* Calls that the trampoline let pass, by the number in ub_filter. */
DEFINE_PER_CPU(u64 [UB_FILTER_BUSY + 1], ub_passed_calls);
DEFINE_HASHTABLE(ub_procs, UB_PROC_BITS);
static DEFINE_RAW_SPINLOCK(ub_procs_lock);
static struct ub_entry_head ub_no_entries;		/* of no process */
/* The entries of each process, by the number in ub_filter; of those without one: none. */
struct ub_entry_head __rcu *ub_entries[UB_FILTER_NUMBERS] = {
	[0 ... UB_FILTER_BUSY] = (struct ub_entry_head __rcu *)&ub_no_entries,
};
static DECLARE_BITMAP(ub_numbers, UB_FILTER_BUSY);	/* in use; 0 never is */
atomic_t ub_attached = ATOMIC_INIT(0);

/* Must match the hash in the trampoline. */
static u16 *ub_filter_of(struct mm_struct *mm)
{
	return &ub_filter[((unsigned long)mm >> 6) & (UB_FILTER_SIZE - 1)];
}

static u64 ub_passed_sum(u16 number)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ub_passed_calls, cpu)[number]);
	return sum;
}

/* Calls that the trampoline let pass since the process was attached. */
u64 ub_proc_passed_calls(const struct ub_proc *proc)
{
	u16 number = READ_ONCE(proc->number);
	u64 sum = READ_ONCE(proc->old_passed);

	if (number && number != UB_FILTER_BUSY)
		sum += ub_passed_sum(number) - proc->passed_base;
	return sum;
}

/* Native calls that were counted since the process was attached. */
u64 ub_proc_calls(const struct ub_proc *proc)
{
	u64 calls = ub_proc_passed_calls(proc);
	int cpu;

	for_each_possible_cpu(cpu)
		calls += READ_ONCE(per_cpu_ptr(proc->cpu, cpu)->native);
	return calls;
}

static void ub_proc_free(struct rcu_head *rcu)
{
	struct ub_proc *proc = container_of(rcu, struct ub_proc, rcu);

	kvfree(rcu_dereference_protected(proc->entries, true));
	put_pid(proc->pid);
	free_percpu(proc->cpu);
	kfree(proc);
}

void ub_proc_put(struct ub_proc *proc)
{
	if (refcount_dec_and_test(&proc->refs))
		call_rcu(&proc->rcu, ub_proc_free);
}

/* Under ub_procs_lock. */
static void ub_proc_give_number(struct ub_proc *proc)
{
	u16 number = find_next_zero_bit(ub_numbers, UB_FILTER_BUSY, 1);

	if (number != UB_FILTER_BUSY) {
		set_bit(number, ub_numbers);
		proc->passed_base = ub_passed_sum(number);
	}
	WRITE_ONCE(proc->number, number);
}

/* Under ub_procs_lock. */
static void ub_proc_take_number(struct ub_proc *proc)
{
	u16 number = proc->number;

	WRITE_ONCE(proc->old_passed, ub_proc_passed_calls(proc));
	WRITE_ONCE(proc->number, UB_FILTER_BUSY);
	if (number != UB_FILTER_BUSY) {
		rcu_assign_pointer(ub_entries[number], &ub_no_entries);
		clear_bit(number, ub_numbers);
	}
}

/* The word for the trampoline: hook the calls, only count them, or 0 for neither. */
static u16 ub_filter_word(const struct ub_proc *proc)
{
	if (!READ_ONCE(proc->watched))
		return 0;
	if (proc->number == UB_FILTER_BUSY)
		return UB_FILTER_BUSY;
	if (READ_ONCE(proc->idle_epochs) || READ_ONCE(proc->paused))
		return proc->number | UB_FILTER_IDLE;
	return proc->number;
}

/* Under ub_procs_lock.  A word of several processes is UB_FILTER_BUSY, or 0. */
static void ub_filter_update(u16 *filter)
{
	struct ub_proc *proc;
	u16 word = 0;
	int bucket;

	hash_for_each(ub_procs, bucket, proc, hash)
		if (ub_filter_of(proc->mm) == filter)
			word |= ub_filter_word(proc);
	WRITE_ONCE(*filter, word);
}

/* Update the word of the process for the trampoline. */
void ub_proc_filter(struct ub_proc *proc)
{
	raw_spin_lock(&ub_procs_lock);
	if (proc->hashed)
		ub_filter_update(ub_filter_of(proc->mm));
	raw_spin_unlock(&ub_procs_lock);
}

/*
 * Replace the table of entries; NULL: none.  Under proc->lock.  A grace period later nobody
 * uses the old one.
 */
void ub_proc_publish(struct ub_proc *proc, struct ub_entry_head *entries)
{
	raw_spin_lock(&ub_procs_lock);
	rcu_assign_pointer(proc->entries, entries);
	if (proc->hashed && proc->number != UB_FILTER_BUSY)
		rcu_assign_pointer(ub_entries[proc->number], entries ?: &ub_no_entries);
	raw_spin_unlock(&ub_procs_lock);
}

int ub_proc_hash(struct ub_proc *proc)
{
	u16 *filter = ub_filter_of(proc->mm);
	struct ub_proc *other;
	bool shared = false;
	int bucket, err = 0;

	raw_spin_lock(&ub_procs_lock);
	if (ub_proc_of_mm(proc->mm)) {
		err = -EBUSY;
		goto out;
	}
	/* A word names one counter: a shared word uses none. */
	hash_for_each(ub_procs, bucket, other, hash) {
		if (ub_filter_of(other->mm) == filter) {
			ub_proc_take_number(other);
			shared = true;
		}
	}
	if (shared)
		proc->number = UB_FILTER_BUSY;
	else
		ub_proc_give_number(proc);
	hash_add_rcu(ub_procs, &proc->hash, (unsigned long)proc->mm);
	proc->hashed = true;
	ub_filter_update(filter);
out:
	raw_spin_unlock(&ub_procs_lock);
	return err;
}

void ub_proc_unhash(struct ub_proc *proc)
{
	raw_spin_lock(&ub_procs_lock);
	if (proc->hashed) {
		proc->hashed = false;
		hash_del_rcu(&proc->hash);
		ub_filter_update(ub_filter_of(proc->mm));
		ub_proc_take_number(proc);
	}
	raw_spin_unlock(&ub_procs_lock);
}

/* Under client->mutex. */
struct ub_proc *ub_proc_find(struct ub_client *client, u64 id)
{
	struct ub_proc *proc;

	list_for_each_entry(proc, &client->procs, node)
		if (proc->id == id)
			return proc;
	return NULL;
}

/* Complete a copy of .event and queue it for the client; true if there is no client. */
bool ub_proc_send(struct ub_proc *proc, const struct ub_event *event)
{
	bool sent = true;

	raw_spin_lock(&proc->lock);
	/* Detach clears .client under the lock before the client is freed. */
	if (proc->client)
		sent = ub_event_queue(proc->client, proc->id, event);
	raw_spin_unlock(&proc->lock);
	return sent;
}

/*
 * Same, with words of the user's stack from event->sp up, as far as they are present.  The
 * program itself would not access them now, so no page is faulted in, and nothing blocks
 * (userfaultfd).
 */
bool ub_proc_send_with_stack(struct ub_proc *proc, struct ub_event *event)
{
	unsigned long left;

	pagefault_disable();
	left = copy_from_user(event->stack, (void __user *)event->sp,
			      sizeof(event->stack));
	pagefault_enable();
	event->stack_words = (sizeof(event->stack) - left) / sizeof(u64);
	return ub_proc_send(proc, event);
}

/* No process is attached any more; wait until the last ones are freed. */
void ub_proc_exit(void)
{
	rcu_barrier();
}
