/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entries of all live regions of one process, by resume address.  load.c replaces the
 * table as a whole, so a lookup takes no lock.
 */
#ifndef _UB_ENTRY_H
#define _UB_ENTRY_H

#include <linux/hash.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#include "proc.h"
#include "region.h"

/* Entries of all live regions of one process, replaced as a whole. */
struct ub_entry_table {
	struct rcu_head rcu;
	u32 mask;
	struct ub_entry_slot {
		u64 user_ip;
		struct ub_region *region;
		u32 code_offset;
		u32 entry;	/* number in the region */
		u32 hits;	/* racy: only determines when to sample */
	} slot[];
};

/* With preemption off, which keeps the region's code from being freed. */
static inline struct ub_entry_slot *ub_entry_find(struct ub_proc *proc, u64 ip)
{
	struct ub_entry_table *table = rcu_dereference_sched(proc->entries);
	u32 at;

	if (!table)
		return NULL;
	for (at = hash_64(ip, 32);; at++) {
		struct ub_entry_slot *slot = &table->slot[at & table->mask];

		if (!slot->region)
			return NULL;
		if (slot->user_ip == ip)
			return ub_region_is_dead(slot->region) ? NULL : slot;
	}
}

#endif /* _UB_ENTRY_H */
