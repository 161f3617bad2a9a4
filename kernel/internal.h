/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of ub.ko share.  One section per file, in the order of the
 * way of the data: device -> attach -> region -> hook -> detect -> run.
 */
#ifndef _UB_INTERNAL_H
#define _UB_INTERNAL_H

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "ub.h"

#define UB_ARENA_SIZE		(1UL << 20)
#define UB_MAX_CODE		(1U << 18)
#define UB_MAX_REGIONS		256
#define UB_MAX_FAULTS		16384
#define UB_MAX_ENTRIES		1024
#define UB_MAX_EXITS		65536
#define UB_MAX_DISPATCHES	1024
#define UB_MAX_SOURCES		4096
#define UB_MAX_SOURCE_BYTES	(1U << 20)
#define UB_FILTER_SIZE		4096	/* power of two */
#define UB_FILTER_BUSY		511	/* in ub_filter: several processes, look closer;
				 * and all bits of a number there
				 */
#define UB_FILTER_REST		0x8000	/* in ub_filter: do not look closer */
#define UB_COLD_SIZE		4096	/* power of two */
#define UB_CALLS		512	/* power of two; numbers of calls are less */
#define UB_PROC_BITS		8	/* of the hash of processes */
#define UB_SITES		UB_SITES_MAX	/* power of two */
#define UB_FRACTION		4	/* bits of averages behind the point */

#define UB_ARITH_FLAGS		(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
				 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

/*
 * Anything of these in a task's flags: the kernel has work to do before user code
 * goes on.  User-return notifiers put back registers that KVM lent to a guest.
 */
#define UB_THREAD_WORK		((u32)(EXIT_TO_USER_MODE_WORK | _TIF_SINGLESTEP | \
				       _TIF_USER_RETURN_NOTIFY))

struct ub_client;
struct ub_proc;

/* check.c */
int ub_check(void);

/* lookup.c: functions that are not exported */
extern unsigned long ub_switch_fpu_return;
unsigned long ub_lookup(const char *name);
void ub_load_fpu(void);
int ub_lookup_init(void);

/* arena.c: executable memory inside the module's own text */
extern u8 ub_arena[];
int ub_arena_init(void);
void ub_arena_exit(void);
u8 *ub_arena_alloc(size_t size);
void ub_arena_free(u8 *code, size_t size);
int ub_arena_write(u8 *code, const u8 *image, size_t size);
size_t ub_arena_used(void);

/* fault.c: the exception table for code in the arena */
int ub_fault_init(void);
void ub_fault_exit(void);
int ub_fault_rebuild(void);

/* hook.c: entry from the handlers of allow-listed system calls */
extern u16 ub_filter[UB_FILTER_SIZE];
extern unsigned long ub_bodies[UB_CALLS];
void ub_hook_setup(void);
int ub_hook_init(void);
void ub_hook_exit(void);
int ub_hook_get(void);
void ub_hook_put(void);
void ub_hook_look(void);
int ub_hook_version(void);
unsigned long ub_hook_body(u32 nr);
u8 ub_hook_args(u32 nr);
void ub_trampoline(void);
/* Tasks of attached processes that are between the trampoline's two calls. */
DECLARE_PER_CPU(long, ub_inside);

/* dispatch.c: the code at each dispatch */
struct ub_dispatch_site {
	u8 *image;		/* where to write it */
	u8 *code;		/* where it will run */
	u32 nr;
	u32 slot;		/* of the region */
	u8 *pre;		/* exit stubs, where they will run */
	u8 *post;
	u8 *filtered;		/* see seccomp.c, where it will run; or NULL */
	bool vector;		/* segments hold the FPU registers */
};

u32 ub_dispatch_size(bool vector);
u64 ub_dispatch_duties(const struct pt_regs *regs);
u8 *ub_dispatch_emit(const struct ub_dispatch_site *site);

/* seccomp.c: filters at each dispatch */
void ub_seccomp_init(void);
bool ub_seccomp_usable(void);
bool ub_seccomp_serves(const struct task_struct *task, unsigned long work);
u32 ub_seccomp_size(void);
void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back);
bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr);
void ub_seccomp_rehearse(const struct pt_regs *regs);
void ub_filtered(void);		/* called by generated code only */

/* An entry from which nothing is dispatched; racy, as all of detect.c. */
struct ub_idle {
	u32 runs;		/* in vain, less two for each that was not */
	u32 good;		/* that were not, since it was last left alone */
	u32 until;		/* epoch in which it may be tried again */
	u8 naps;		/* times that it was left alone, without good runs between */
	u8 looks;		/* while on trial, modulo the number of turns */
};

/* trial.c: what a region costs before it is known to gain */
struct ub_trial_ledger {
	raw_spinlock_t lock;
	bool busy;			/* a run on trial is under way */
	bool told;			/* the client knows that it is over */
	u8 crowd;			/* entries in a row that found it busy */
	s64 left_ns;			/* credit */
	u64 slice_ns;			/* of the run that is under way, 0: a gap at most */
	u64 switches;			/* of its thread when it began */
	u64 spent_ns;			/* by runs on trial */
	u64 runs;			/* those */
	u64 lease_end;			/* CLOCK_MONOTONIC in ns, 0: never */
	u64 lease_ns;			/* of it, and of those that follow, on average */
	u32 phase;			/* by which they differ */
	u32 saving_ns, run_ns;		/* of each call, of each run; 0: no other one follows */
	bool timed;			/* what gaps save changes with .margin */
	u8 strikes;			/* leases in a row that lost */
	s64 margin;			/* when it was confirmed, or as soon as it was known;
					 * S64_MIN until then
					 */
	u64 calls, ran;			/* dispatched calls and runs when the lease began */
	u64 lost_ns;			/* in leases that lost */
	struct hrtimer slice;		/* ends a run on trial */
	struct hrtimer lease;
};

/* region.c: translations */
struct ub_region_cpu {
	u64 runs;
	long tasks;			/* that came in, less those that went out on this CPU */
};

struct ub_region {
	struct list_head node;		/* in ub_proc.regions */
	struct list_head live;		/* in the list of all, by address */
	struct ub_proc *proc;		/* holds a reference */
	u32 slot;			/* in ub_dead[] and ub_dispatched[] */
	u32 number;			/* for user space */
	u32 trial;			/* enum ub_trial_state, under ledger.lock */
	bool dropped;			/* in no table: freed once its last task is out */
	u8 *code;
	u32 code_length;
	u32 room;			/* bytes in the arena: behind the code, what each of
					 * its dispatches does for a filter
					 */
	u32 nr_entries, nr_exits, nr_faults, nr_sources;
	u64 start, end;			/* all sources lie in between */
	struct ub_entry *entries;
	struct ub_exit *exits;
	struct ub_fault *faults;
	struct ub_source *sources;
	struct ub_region_cpu __percpu *cpu;
	u64 *counts;			/* by exit; racy, one may be lost */
	struct ub_idle *idle;		/* by entry: see ub_detect_run() */
	u32 owed;			/* misses that were to be told of, and lost; racy */
	bool vector;			/* segments hold the FPU registers */
	bool x87;			/* and run x87 instructions */
	bool listed;			/* entries may be taken */
	unsigned long dead_grace;	/* RCU state when it was marked dead */
	struct work_struct free_work;
	struct ub_trial_ledger ledger;
};

/* Entries of all live regions of one process, replaced as a whole. */
struct ub_entry_table {
	struct rcu_head rcu;
	u32 mask;
	struct ub_entry_slot {
		u64 user_ip;
		struct ub_region *region;
		u32 code_offset;
		u32 entry;	/* number in the region */
		u32 hits;	/* racy: it only says when to look closer */
	} slot[];
};

/* In ub_dead[].  Dispatches leave all but live ones. */
enum ub_region_state {
	UB_LIVE,
	UB_DEAD,		/* for good */
	UB_SUSPENDED,		/* not to be entered at present */
	UB_CLOSED,		/* the same, since it is on trial or was: see trial.c */
};

extern u8 ub_dead[UB_MAX_REGIONS];
DECLARE_PER_CPU(u64 [UB_MAX_REGIONS], ub_dispatched);

int ub_region_init(void);
void ub_region_exit(void);
int ub_region_load(struct ub_proc *proc, struct ub_load *load);
int ub_region_unload(struct ub_proc *proc, u32 number);
void ub_region_unload_all(struct ub_proc *proc);
void ub_region_invalidate(struct ub_proc *proc, u64 start, u64 end, bool may_sleep);
void ub_region_end(struct ub_proc *proc);
int ub_region_list(struct ub_proc *proc, struct ub_regions *regions);
void ub_region_last(struct ub_region *region);
u64 ub_region_dispatched(const struct ub_region *region);
u64 ub_region_runs(const struct ub_region *region);
long ub_region_tasks(const struct ub_region *region);
int ub_region_counts(struct ub_proc *proc, struct ub_counts *counts);
struct ub_region *ub_region_find(struct ub_proc *proc, u32 number);
struct ub_region *ub_region_next_live(struct ub_region *region);
extern struct mutex ub_region_mutex;	/* arena, fault table, list of all */

/* detect.c: which sites are hot, and what gaps cost */
struct ub_site {
	u64 ip;
	u64 start_ns;		/* CLOCK_MONOTONIC, of the first call this time, or 0;
				 * of the verdict, if it is hot
				 */
	u64 promised_ns;	/* the same, when it first seemed hot, or 0 */
	u64 native;		/* gap and transition, cycles, UB_FRACTION */
	u64 boosted;		/* the same gap in a translation, alike */
	u64 overhead;		/* of a run, alike */
	u64 told;		/* .native when user space was told that it is hot */
	u64 traced;		/* .native when its way was traced, once it was hot */
	u64 runs;		/* that were looked at */
	u64 dispatched;		/* in those */
	u32 native_samples, boosted_samples;
	u32 nr;
	u32 epoch;		/* that the following are of */
	u32 samples, tries;
	u32 next_report;	/* epoch */
	u8 reports;
	u8 verdict;		/* enum ub_site_verdict */
	u8 before;		/* the verdict of an earlier epoch */
	u8 warm;		/* epochs in which it seemed hot, but was not */
};

/* The trampoline knows the order. */
struct ub_last {
	struct task_struct *task;
	u64 ip;
	u64 tsc;
};

extern u64 ub_cold[UB_COLD_SIZE];
DECLARE_PER_CPU(u64 [UB_FILTER_BUSY + 1], ub_cold_calls);
DECLARE_PER_CPU(struct ub_last, ub_last);

void ub_detect_start(void);
void ub_detect_exit(void);
void ub_detect_before(u64 now);
void ub_detect_after(struct ub_proc *proc, struct pt_regs *regs, u64 ax);
void ub_detect_run(struct ub_region *region, u32 entry, bool dispatched);
void ub_detect_leave(struct ub_region *region, u32 entry);
bool ub_detect_is_left(const struct ub_idle *idle);
void ub_control_native(struct ub_proc *proc, const struct pt_regs *regs);
void ub_control_boosted(struct ub_proc *proc, u64 ip, u64 cycles);
void ub_control_run(struct ub_proc *proc, u64 ip, u64 dispatched, u64 overhead);
void ub_detect_entry(struct ub_proc *proc, u64 ip);
void ub_detect_fresh(struct ub_proc *proc, u64 ip);
void ub_detect_anew(struct ub_proc *proc);
bool ub_detect_is_known(const struct ub_site *site);
bool ub_detect_is_warm(struct ub_site *site);
u32 ub_detect_sites(struct ub_proc *proc, struct ub_site_info *to, u32 max);
bool ub_detect_margin(const struct ub_region *region, s64 *margin);

/* cost.c: what looking at a process may cost it */
int ub_cost_attach(struct ub_proc *proc);
int ub_cost_load(struct ub_proc *proc);
void ub_cost_start(void);
void ub_cost_detach(struct ub_proc *proc);
void ub_cost_end(struct ub_proc *proc);
u64 ub_cost_uncounted(struct ub_proc *proc);
void ub_cost_exit(void);
u64 ub_cost_left(struct ub_proc *proc, u64 wanted);
u64 ub_cost_clamp(u64 wanted);
u64 ub_cost_cpu(struct ub_proc *proc);
void ub_cost_pause(struct ub_proc *proc, u64 wanted);
void ub_cost_resume(struct ub_proc *proc);

/* rest.c: processes that have nothing to gain */
void ub_rest_look(u32 epoch);
void ub_rest_end(struct ub_proc *proc);
void ub_rest_wake(struct ub_proc *proc);

/* step.c: the way that one gap takes */
int ub_step_init(void);
void ub_step_exit(void);
bool ub_step_begin(struct ub_proc *proc, struct pt_regs *regs, bool urgent,
		   u32 steps);
u64 ub_step_cost(u32 steps);
bool ub_step_is_on(void);
int ub_step_take(struct ub_proc *proc, struct ub_path *path);

/* attach.c: processes */
struct ub_proc_cpu {
	u64 native;
	u64 declined;
	u64 filtered;
	u64 declines[UB_DECLINES];
	u64 exits[UB_EXIT_REASONS];
};

/* What had been used and spent at a time; see cost.c. */
#define UB_COST_MARKS	16
struct ub_cost_mark {
	u64 at;			/* CLOCK_MONOTONIC in ns, 0: none */
	u64 used;
	s64 spent;
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
	u16 number;		/* in ub_cold_calls */
	u64 cold_base;		/* what stood there when it became ours */
	u64 old_cold;		/* calls counted there, but no more */
	bool hashed;
	bool gone;		/* its mm is */
	bool children;		/* the client wants to hear of them */
	u8 quiet;		/* undisturbed epochs, see rest.c */
	u8 rest;		/* epochs that are left to rest */
	u64 calls;		/* until the last epoch */
	u64 usual;		/* in an epoch, when it went to rest */
	bool looked;		/* it is over its first time, see cost.c */
	bool detached;
	bool paused;		/* looking at it has cost enough for now */
	bool unseen;		/* so it was in this epoch */
	u64 cpu_base;		/* CPU time when it was attached */
	u64 used_ns;		/* CPU time since then, when last looked at */
	u64 uncounted_ns;	/* the same, when looking at it began */
	u64 used_at;		/* CLOCK_MONOTONIC of that */
	u64 wanted_ns;		/* when it was paused */
	atomic64_t spent_ns;	/* that looking at it took; begins below 0, see cost.c */
	struct ub_cost_mark marks[UB_COST_MARKS]; /* ring of its past */
	u32 mark;		/* the newest */
	u64 base_used;		/* .used_ns when the present window began, */
	s64 base_spent;		/* and .spent_ns */
	spinlock_t lock;		/* regions, entries, client */
	struct list_head regions;
	struct ub_entry_table __rcu *entries;
	struct ub_proc_cpu __percpu *cpu;
	u64 attach_ns;
	u64 first_run_ns;
	u64 old_dispatched;		/* by regions that are gone */
	u64 old_runs;
	struct ub_site sites[UB_SITES];
};

void ub_attach_exit(void);
void ub_attach_drop_regions(void);
int ub_proc_attach(struct ub_client *client, struct ub_attach *attach);
void ub_proc_detach(struct ub_proc *proc);
struct ub_proc *ub_proc_find(struct ub_client *client, u64 id);
u64 ub_proc_cold_calls(const struct ub_proc *proc);
void ub_proc_filter(struct ub_proc *proc);
void ub_proc_put(struct ub_proc *proc);
extern atomic_t ub_attached;

/* suspend.c: runs that must not go on */
void ub_suspend_start(void);
void ub_suspend_exit(void);

/* children.c: forks and execs */
int ub_children_follow(struct ub_client *client, struct pid *pid, u64 proc);
void ub_children_leave(struct ub_client *client, struct pid *pid);
void ub_children_release(struct ub_client *client);
void ub_children_exit(void);

/* run.c: the way into a translation and out of it */
long ub_hook(struct pt_regs *regs, unsigned long body);
struct ub_launch {
	u64 limit;
	u64 fsbase;
	u64 sysflags;
	u64 r11;		/* out: flags at the last dispatch */
	u64 flags;		/* out, as the rest */
	u64 host_flags;
	u64 target;
	u64 fip;		/* 0: no x87 instruction has run */
	u32 exit;
	s32 budget;		/* in */
};

bool ub_is_ordinary(const struct pt_regs *regs, u64 ax);
u32 ub_oddity(const struct pt_regs *regs, u64 ax);
u32 ub_lasting_oddity(struct task_struct *task, struct mm_struct *mm);
bool ub_has_rseq_barrier(struct mm_struct *mm);
bool ub_times_user(const struct task_struct *task);
void ub_softirq(void);
void ub_enter(struct pt_regs *regs, u8 *code, struct ub_launch *launch);
void ub_leave(void);		/* jumped to, never called */
void ub_clear_history(void);	/* of branches; changes rax and rcx */
extern const u16 ub_verw_selector;

/* What to find out about a run. */
enum ub_look {
	UB_LOOK_NOT,
	UB_LOOK_GAP,		/* leave before the first call: time the gap */
	UB_LOOK_RUN,		/* count dispatches, time the way in and out */
	UB_LOOK_NATIVE,		/* do not run at all: time the gap natively */
	UB_LOOK_PASS,		/* do not run at all, do not look */
};

/* trial.c */
void ub_trial_setup(struct ub_region *region, u32 credit_ns);
void ub_trial_exit(struct ub_region *region);
enum ub_look ub_trial_begin(struct ub_region *region, u32 entry, bool *running);
void ub_trial_finish(struct ub_region *region, u64 cycles);
void ub_trial_suspend(struct ub_region *region, bool suspend);
int ub_trial_grant(struct ub_proc *proc, struct ub_trial *trial);

/* x87.c: the FPU shows no address of ours */
bool ub_x87_usable(void);
bool ub_x87_masked(void);
void ub_x87_leave(u64 fip);

/* event.c: what user space hears of */
#define UB_EVENTS	256	/* power of two */
struct ub_client {
	struct mutex mutex;	/* procs, attach and load */
	struct list_head procs;
	struct pid_namespace *ns;	/* of whoever opened the file */
	bool follows;		/* descendants of some; under mutex */
	u32 nr_followed;	/* processes; under the lock of children.c */
	spinlock_t lock;	/* the ring */
	wait_queue_head_t wait;
	u32 head, tail;
	u64 lost;
	u64 told;		/* of those lost */
	struct ub_event *ring;
};

int ub_event_setup(struct ub_client *client);
bool ub_event_queue(struct ub_client *client, u64 proc, const struct ub_event *event);
void ub_event_lose(struct ub_client *client);
bool ub_event_waits(struct ub_client *client);
bool ub_event_send(struct ub_proc *proc, const struct ub_event *event);
bool ub_event_with_stack(struct ub_proc *proc, struct ub_event *event);
ssize_t ub_event_read(struct ub_client *client, char __user *to, size_t size,
		      bool block);

/* stats.c: numbers */
void ub_stats_get(struct ub_proc *proc, struct ub_stats *stats);
void ub_stats_init(void);
void ub_stats_exit(void);

/* device.c: /dev/ub */
int ub_device_init(void);
void ub_device_exit(void);
extern struct ub_tunable_range {
	u64 value, min, max;
} ub_tunables[UB_TUNABLES];

/* ---- what each run and each look at a call needs -------------------------- */

static inline u64 ub_tune(enum ub_tunable what)
{
	return READ_ONCE(ub_tunables[what].value);
}

extern struct hlist_head ub_procs[1 << UB_PROC_BITS];

/* Under RCU or with preemption off.  mm is only compared. */
static inline struct ub_proc *ub_proc_of_mm(struct mm_struct *mm)
{
	struct ub_proc *proc;

	hash_for_each_possible_rcu(ub_procs, proc, hash, (unsigned long)mm)
		if (proc->mm == mm)
			return proc;
	return NULL;
}

static inline bool ub_region_is_dead(const struct ub_region *region)
{
	return READ_ONCE(ub_dead[region->slot]) == UB_DEAD;
}

/* With preemption off: the region's code stays, as long as that lasts. */
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

/*
 * A task goes in, and comes out, maybe on another CPU.  Both with preemption off, and
 * counted without a locked instruction: see ub_region_free().
 */
static inline void ub_region_get(struct ub_region *region)
{
	this_cpu_inc(region->cpu->tasks);
}

static inline void ub_region_put(struct ub_region *region)
{
	this_cpu_dec(region->cpu->tasks);
	if (unlikely(READ_ONCE(region->dropped)))
		ub_region_last(region);
}

/* With preemption off. */
static inline void ub_count_decline(struct ub_proc *proc, u32 reason)
{
	this_cpu_inc(proc->cpu->declines[reason]);
}

#endif /* _UB_INTERNAL_H */
