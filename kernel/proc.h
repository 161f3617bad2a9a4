/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of attached processes, by mm, and the state of each: its regions and their
 * entries, its sites, its counters, and its sample budget.  ub_filter and the counters of
 * passed calls are the part that the trampoline uses, ub_entries[] what a run needs first.
 */
#ifndef _UB_PROC_H
#define _UB_PROC_H

#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "handler.h"
#include "site.h"
#include "ub.h"

#define UB_FILTER_SIZE		4096	/* power of two */
#define UB_FILTER_BUSY		511	/* in ub_filter: several processes, call the hook;
				 * also the mask of a number there
				 */
#define UB_FILTER_NUMBERS	(UB_FILTER_BUSY + 1)
#define UB_FILTER_IDLE		0x8000	/* in ub_filter: only count */
#define UB_PROC_BITS		8	/* of the hash of processes */

struct pid;
struct ub_client;

/* The first member of a table of entries: see entry.h. */
struct ub_entry_head {
	struct mm_struct *mm;	/* of the process; only compared */
};

struct ub_proc_cpu {
	u64 native;		/* calls without a run behind them */
	u64 declined;
	u64 filtered;
	u64 declines[UB_DECLINES];
};

/* CPU time used and sampling time spent at one time; see sample_budget.c. */
#define UB_SAMPLING_MARKS	16
struct ub_sample_budget_mark {
	u64 at;			/* CLOCK_MONOTONIC in ns, 0: none */
	u64 used;
	s64 spent;
};

/* What a process did when it was last looked at, and since; see rest.c. */
struct ub_rest {
	u64 since_used;		/* CPU time, calls and time spent when it began to rest */
	u64 since_calls;	/* or to be watched */
	s64 since_spent;
	u64 at;			/* CLOCK_MONOTONIC, of the next two */
	u64 used;		/* CPU time */
	u64 io;			/* reads and writes */
	u64 cpu;		/* permille of a CPU, before handlers were unhooked */
	u64 rate;		/* reads and writes per second of CPU time, before that */
	bool known;		/* .cpu and .rate are set */
};

struct ub_proc {
	struct hlist_node hash;		/* by mm; RCU */
	struct list_head node;		/* in ub_client.procs */
	struct rcu_head rcu;
	refcount_t refs;
	struct mm_struct *mm;
	struct pid *pid;		/* of its thread group */
	struct mmu_notifier notifier;
	struct ub_client *client;	/* NULL once detached; under lock */
	u64 id;
	u16 number;		/* in ub_passed_calls */
	u64 passed_base;	/* the counter's value when it was assigned */
	u64 old_passed;		/* calls counted by numbers released since */
	bool hashed;
	bool gone;		/* its mm is released, or is being released */
	bool children;		/* the client follows its children */
	bool trusted;		/* may have regions without clamps */
	u8 inactive;		/* epochs in a row, see idle.c */
	u8 idle_epochs;		/* remaining ones */
	u8 still;		/* epochs in a row without anything to gain, see idle.c */
	bool restful;		/* .still is enough for a rest */
	u32 news;		/* epoch in which a site was last reported as something new */
	u64 calls;		/* until the last epoch */
	u64 idle_calls;		/* calls in the last epoch before it became idle */
	bool watched;		/* see watch.c */
	bool resting;		/* not watched, but was and will be; see rest.c */
	bool loading;		/* a region is being loaded: it must be watched */
	struct ub_rest rest;
	u32 made[UB_CALLS];	/* by call: the last epoch in which it was seen, or 0 */
	bool detached;
	bool paused;		/* its sample budget is used up */
	bool unsampled;		/* it was paused in this epoch */
	u64 cpu_base;		/* CPU time when it was attached */
	u64 used_ns;		/* CPU time since then, when last read */
	u64 uncounted_ns;	/* CPU time in which it was not watched, ... */
	u64 uncounted_from;	/* ... without that since .used_ns was this */
	u64 used_at;		/* CLOCK_MONOTONIC when .used_ns was read */
	u64 wanted_ns;		/* budget wanted when it was paused */
	atomic64_t spent_ns;	/* time spent on sampling; see sample_budget.c */
	struct ub_sample_budget_mark marks[UB_SAMPLING_MARKS]; /* ring */
	u32 mark;		/* the newest */
	u64 base_used;		/* .used_ns at the start of the window, */
	s64 base_spent;		/* and .spent_ns */
	/*
	 * .regions changes under both, and is read under one of them.  Whatever takes long or
	 * may sleep has the mutex, which is taken first; the lock is taken with preemption off,
	 * also where a run ends.
	 */
	struct mutex regions_mutex;
	raw_spinlock_t lock;		/* regions, entries, client */
	struct list_head regions;
	struct ub_entry_head __rcu *entries;
	struct ub_proc_cpu __percpu *cpu;
	u64 attach_ns;
	u64 first_run_ns;
	u64 old_dispatched;		/* by freed regions */
	u64 old_entered;
	u64 old_exits[UB_EXIT_REASONS];
	struct ub_site sites[UB_SITES];
};

extern u16 ub_filter[UB_FILTER_SIZE];
DECLARE_PER_CPU(u64 [UB_FILTER_BUSY + 1], ub_passed_calls);
extern struct ub_entry_head __rcu *ub_entries[UB_FILTER_NUMBERS];
extern struct hlist_head ub_procs[1 << UB_PROC_BITS];
extern atomic_t ub_attached;

int ub_proc_hash(struct ub_proc *proc);
void ub_proc_unhash(struct ub_proc *proc);
void ub_proc_filter(struct ub_proc *proc);
void ub_proc_publish(struct ub_proc *proc, struct ub_entry_head *entries);
void ub_proc_put(struct ub_proc *proc);
struct ub_proc *ub_proc_find(struct ub_client *client, u64 id);
u64 ub_proc_passed_calls(const struct ub_proc *proc);
u64 ub_proc_calls(const struct ub_proc *proc);
bool ub_proc_send(struct ub_proc *proc, const struct ub_event *event);
bool ub_proc_send_with_stack(struct ub_proc *proc, struct ub_event *event);
void ub_proc_exit(void);

/* Under RCU or with preemption off.  .mm is only compared. */
static inline struct ub_proc *ub_proc_of_mm(struct mm_struct *mm)
{
	struct ub_proc *proc;

	hash_for_each_possible_rcu(ub_procs, proc, hash, (unsigned long)mm)
		if (proc->mm == mm)
			return proc;
	return NULL;
}

/* With preemption off. */
static inline void ub_count_decline(struct ub_proc *proc, u32 reason)
{
	this_cpu_inc(proc->cpu->declines[reason]);
}

#endif /* _UB_PROC_H */
