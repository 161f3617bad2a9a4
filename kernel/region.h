/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loaded translations: the region as an object, its state, the tasks inside, and its
 * counters.  load.h creates regions, invalidate.h kills them.
 */
#ifndef _UB_REGION_H
#define _UB_REGION_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "handler.h"
#include "trial_ledger.h"
#include "ub.h"

#define UB_MAX_CODE		(1U << 18)
#define UB_MAX_REGIONS		256
#define UB_MAX_FAULTS		49152	/* a full arena has 45,000: one in 47 bytes */
#define UB_MAX_ENTRIES		1024
#define UB_MAX_EXITS		65536
#define UB_MAX_DISPATCHES	1024
#define UB_MAX_SOURCES		4096
#define UB_MAX_SOURCE_BYTES	(1U << 20)

/*
 * Exits that a larger or better region may avoid, and those of segments that took too long;
 * the module sets these in their .flags.
 */
#define UB_EXITF_MISS	(1U << 31)
#define UB_EXITF_SLOW	(1U << 30)
#define UB_MISSES	((1U << UB_EXIT_RET_MISS) | (1U << UB_EXIT_CALL_MISS) |	\
			 (1U << UB_EXIT_JUMP_MISS) | (1U << UB_EXIT_FRONTIER) |	\
			 (1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

struct ub_backoff;
struct ub_proc;

/* Runs that began on this CPU, and those that ended there, by reason of the exit. */
struct ub_region_cpu {
	u64 entered;
	u64 exits[UB_EXIT_REASONS];
};

struct ub_region {
	struct list_head node;		/* in ub_proc.regions */
	struct list_head live;		/* in the list of all, by address */
	struct ub_proc *proc;		/* holds a reference */
	u32 slot;			/* in ub_dead[] and ub_dispatched[] */
	u32 number;			/* for user space */
	union {
		struct {
			u8 trial;	/* enum ub_trial_state, under ledger.lock */
			bool slow;	/* segments need more than the small budget */
		};
		u16 unusual;		/* both, for one look: 0 if neither is */
	};
	bool dropped;			/* in no table: freed once its last task is out */
	u8 *code;
	u32 code_length;
	u32 room;			/* bytes in the arena, including the code behind
					 * .code: of filters, for dispatches, and landings
					 */
	u32 landings;			/* offset of those of the entries; 0: none */
	u32 nr_entries, nr_exits, nr_faults, nr_sources;
	unsigned long calls[UB_CALLS / (8 * sizeof(long))]; /* bitmap: it dispatches these */
	u64 start, end;			/* bounds of all sources */
	struct ub_entry *entries;
	struct ub_exit *exits;
	struct ub_fault *faults;
	struct ub_source *sources;
	struct ub_region_cpu __percpu *cpu;
	u64 *counts;			/* by exit; racy, one may be lost */
	unsigned long *followed;	/* bit by exit: the path from there was traced */
	struct ub_backoff *backoff;		/* by entry: see ub_backoff_run() */
	u32 owed;			/* misses whose events were lost; racy */
	bool vector;			/* segments hold the FPU registers */
	bool x87;			/* and run x87 instructions */
	bool trusted;			/* its addresses are guarded, not clamped */
	bool listed;			/* entries may be taken */
	unsigned long dead_grace;	/* RCU state when it was marked dead */
	struct work_struct free_work;
	struct ub_trial_ledger ledger;
};

/* Values in ub_dead[].  A dispatch exits from any region that is not live. */
enum ub_region_state {
	UB_LIVE,
	UB_DEAD,		/* for good */
	UB_SUSPENDED,		/* must not be entered at present */
	UB_CLOSED,		/* the same, because of a trial: see trial.c */
};

extern u8 ub_dead[UB_MAX_REGIONS];
DECLARE_PER_CPU(u64 [UB_MAX_REGIONS], ub_dispatched);
extern struct list_head ub_live_regions;
extern struct mutex ub_region_mutex;	/* arena, fault table, list of all */

struct ub_region *ub_region_next_live(struct ub_region *region);
struct ub_region *ub_region_find(struct ub_proc *proc, u32 number);
void ub_region_kill(struct ub_region *region);
void ub_region_last(struct ub_region *region);
u64 ub_region_dispatched(const struct ub_region *region);
u64 ub_region_runs(const struct ub_region *region);
u64 ub_region_entered(const struct ub_region *region);
void ub_region_exits(const struct ub_region *region, u64 exits[UB_EXIT_REASONS]);
u64 ub_region_tasks(const struct ub_region *region);
int ub_region_counts(struct ub_proc *proc, struct ub_counts *counts);
int ub_region_list(struct ub_proc *proc, struct ub_regions *regions);

/* The exits have been checked. */
static inline void ub_region_mark_exits(struct ub_region *region)
{
	u32 i;

	for (i = 0; i < region->nr_exits; i++) {
		struct ub_exit *exit = &region->exits[i];

		if ((1U << exit->reason) & UB_MISSES)
			exit->flags |= UB_EXITF_MISS;
		else if (exit->reason == UB_EXIT_BUDGET)
			exit->flags |= UB_EXITF_SLOW;
	}
}

/* Whether the region in .slot must not be entered; without a check of the index. */
static __always_inline bool ub_region_is_closed(u32 slot)
{
	const u8 *dead = ub_dead;

	return data_race(*(dead + slot));
}

static inline bool ub_region_is_dead(const struct ub_region *region)
{
	return READ_ONCE(ub_dead[region->slot]) == UB_DEAD;
}

/*
 * A task enters, and leaves, maybe on another CPU.  Both with preemption off, and counted
 * without a locked instruction: see ub_region_free().
 */
static inline void ub_region_get(struct ub_region *region)
{
	this_cpu_inc(region->cpu->entered);
}

/*
 * Then ub_region_last() must be called if .dropped is set.  The region may be used until
 * preemption is on again.
 */
static __always_inline void ub_region_put(struct ub_region *region, u32 reason)
{
	/* Through a pointer: a check of the index would be a call. It was checked at load. */
	u64 __percpu *exits = region->cpu->exits;

	this_cpu_inc(*(exits + reason));
	barrier();
}

#endif /* _UB_REGION_H */
