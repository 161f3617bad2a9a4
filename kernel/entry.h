/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entries of all live regions of one process, by resume address and call number.  load.c
 * replaces the table as a whole, so a lookup takes no lock.
 */
#ifndef _UB_ENTRY_H
#define _UB_ENTRY_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#include "proc.h"
#include "region.h"

struct ub_backoff;

/*
 * All that a call needs to know of the entry behind it, in one cache line.  In a slot that
 * is not in use .region is NULL, and .user_ip UB_NO_IP, from where no program makes calls.
 */
#define UB_NO_IP	U64_MAX

struct ub_entry_slot {
	u64 user_ip;
	u8 *code;
	struct ub_region *region;
	struct ub_backoff *backoff;
	u32 slot;		/* of the region, in ub_dead[] */
	u32 entry;		/* number in the region */
	/* Racy: these only determine when to sample. */
	s32 rest;		/* hits before .hits is looked at again */
	u32 hits;		/* when .rest is used up */
	u32 nr;
} ____cacheline_aligned;

/* Replaced as a whole. */
struct ub_entry_table {
	struct ub_entry_head head;
	u32 mask;
	struct ub_entry_slot slot[];
};

/*
 * Where the slot of an entry should be: libraries align the functions that make system calls
 * to 16 bytes, and have many of them in a page or a few; or they make many calls at one
 * address.  .nr may have anything in its upper half, as orig_ax.
 */
static inline u32 ub_entry_place(const struct ub_entry_table *table, u64 ip, u64 nr)
{
	return (u32)((ip + 8 * nr) >> 3 ^ ip >> 16) & table->mask;
}

/*
 * The entries of the process with .number in ub_filter: another process' by now unless
 * .head.mm is the expected one.  With preemption off, which keeps them from being freed.
 */
static __always_inline struct ub_entry_table *ub_entry_table_of(unsigned long number)
{
	/* Without a check of the index, which is below UB_FILTER_NUMBERS. */
	struct ub_entry_head __rcu **entries = ub_entries;
	struct ub_entry_head *head = rcu_dereference_sched(*(entries + number));

	return container_of(head, struct ub_entry_table, head);
}

/* With preemption off, which keeps the region's code from being freed, too. */
static inline struct ub_entry_slot *ub_entry_find(struct ub_proc *proc, u64 ip, u32 nr)
{
	struct ub_entry_head *head = rcu_dereference_sched(proc->entries);
	struct ub_entry_table *table = container_of(head, struct ub_entry_table, head);
	u32 at;

	if (!head)
		return NULL;
	for (at = ub_entry_place(table, ip, nr);; at++) {
		struct ub_entry_slot *slot = &table->slot[at & table->mask];

		if (!slot->region)
			return NULL;
		if (slot->user_ip == ip && slot->nr == nr)
			return ub_region_is_dead(slot->region) ? NULL : slot;
	}
}

#endif /* _UB_ENTRY_H */
