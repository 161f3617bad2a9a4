// SPDX-License-Identifier: GPL-2.0-only
/*
 * What follows a hooked call: the run of a translation, or a sample of the gap.
 *
 * ub_after() is what most runs need: one function without a call, so that it saves no
 * registers, which ends in a jump to ub_enter().  Whatever is unusual, for example that
 * the run is to be sampled, or that the task is not eligible, is for ub_after_unusually(),
 * which looks at everything anew.
 */
#include <linux/nospec.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/thread_info.h>
#include <linux/timekeeping.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fsgsbase.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "backoff.h"
#include "compat.h"
#include "detect.h"
#include "dispatch.h"
#include "eligible.h"
#include "enter.h"
#include "entry.h"
#include "frame.h"
#include "gap.h"
#include "leave.h"
#include "lookup.h"
#include "proc.h"
#include "region.h"
#include "run.h"
#include "sample.h"
#include "site_table.h"
#include "slice.h"
#include "task_work.h"
#include "trace_gap.h"
#include "trial.h"
#include "tunables.h"
#include "ub.h"
#include "x87.h"

/* compiler_attributes.h has it only in late releases of 6.1. */
#if __has_attribute(__no_stack_protector__)
#define UB_NO_STACK_PROTECTOR	__attribute__((__no_stack_protector__))
#else
#define UB_NO_STACK_PROTECTOR
#endif

/* Tasks of attached processes that are in a hooked call, or behind one. */
DEFINE_PER_CPU(long, ub_inside);

/* Largest number of hits of an entry after which its samples are considered anew. */
#define UB_HITS_AT_ONCE		64
/* Number of hits up to which an entry is sampled more often. */
#define UB_YOUNG	2048
/* Usual bound on the steps of an entry's gap: gaps of entries are short. */
#define UB_STEPS_USUAL	512
/* Gaps of an entry that are traced while its region is on trial. */
#define UB_TRIAL_TRACES	2

/* The reason why a region that is not live is not entered. */
static u32 ub_region_decline_reason(const struct ub_region *region)
{
	return ub_region_is_dead(region) ? UB_DECLINE_DEAD : ub_task_decline_reason();
}

static u64 ub_fsbase(void)
{
	return cpu_feature_enabled(X86_FEATURE_FSGSBASE) ? rdfsbase() : ub_read_fs_base();
}

static u64 ub_dispatched_here(const struct ub_region *region)
{
	return __this_cpu_read(ub_dispatched[region->slot]);
}

/*
 * Run the entry in .slot.  Called and returns with preemption off.  Returns the reason
 * why the region was not entered (then .regs are unchanged), or 0.  .since: TSC at the end
 * of the call before the run, if .sample is not UB_SAMPLE_NONE.  Afterwards .slot may
 * have been freed.
 */
static u32 ub_run(const struct ub_entry_slot *slot, struct pt_regs *regs,
		  enum ub_sample sample, u64 since)
{
	u64 came = regs->ip, fsbase = ub_fsbase(), began = 0, count = 0;
	u32 nr = regs->orig_ax;	/* no longer there after the run */
	struct ub_backoff *backoff = slot->backoff;
	struct ub_region *region = slot->region;
	struct ub_proc *proc = region->proc;
	struct ub_outcome outcome;
	unsigned long account = (unsigned long)&outcome + UB_ACCOUNT_OUTCOME;
	int cpu = -1;

	if (!ub_regs_are_eligible(regs, regs->ax, TASK_SIZE_MAX))
		return ub_regs_decline_reason(regs);
	if (fsbase >= TASK_SIZE_MAX)
		return UB_DECLINE_FSBASE;
	if (!ub_stack_has_room(regs))
		return UB_DECLINE_STACK;
	/* Pairs with the grace period after ub_dead[] is set. */
	if (READ_ONCE(ub_dead[region->slot]))
		return ub_region_decline_reason(region);
	if (!ub_task_is_eligible(current))
		return ub_task_decline_reason();
	if (region->vector) {
		/* As fpregs_lock(), then load the registers as a return to user mode would. */
		ub_softirqs_off();
		account += UB_ACCOUNT_VECTOR;
		if (test_thread_flag(TIF_NEED_FPU_LOAD))
			ub_load_fpu();
		if (region->x87 && !ub_x87_masked()) {
			ub_softirqs_on();
			return UB_DECLINE_X87;
		}
	}
	if (unlikely(READ_ONCE(region->slow)))
		ub_slice_begin();
	if (sample != UB_SAMPLE_NONE) {
		cpu = smp_processor_id();
		count = ub_dispatched_here(region);
		/* Makes the first dispatch exit; the flag has no other effect. */
		if (sample == UB_SAMPLE_GAP)
			set_thread_flag(TIF_NOTIFY_RESUME);
		began = rdtsc();
	}
	ub_region_get(region);
	/* The checks above must hold in speculation, too. */
	barrier_nospec();
	ub_enter(regs, slot->code, region, account, fsbase, TASK_SIZE_MAX);
	/* The region has been left, but is not freed before preemption is on. */
	if (!outcome.reason)
		return UB_DECLINE_NONE;
	if (!READ_ONCE(proc->first_run_ns))
		WRITE_ONCE(proc->first_run_ns, ktime_get_ns());
	if (sample != UB_SAMPLE_NONE && cpu == smp_processor_id())
		count = ub_dispatched_here(region) - count;
	else
		sample = UB_SAMPLE_NONE;
	/* Runs without a dispatch report misses; after a few of them the entry is parked. */
	if (sample == UB_SAMPLE_NONE)
		ub_backoff_run(region, backoff, outcome.dispatched);
	else if (sample == UB_SAMPLE_RUN)
		ub_sample_run(proc, came, nr, count,
			      rdtsc() - outcome.ended + began - since);
	else if (outcome.reason == UB_EXIT_WORK && !count)
		ub_sample_boosted(proc, came, nr,
				  outcome.ended - began + ub_dispatch_duties(regs));
	return UB_DECLINE_NONE;
}

/*
 * The sample that is due at an entry.  A young entry is sampled more often.  The samples
 * rotate: the gap in the translation, a run, the native gap, a run.
 */
static enum ub_sample ub_sample_due(struct ub_entry_slot *slot)
{
	static const enum ub_sample turns[] = {
		UB_SAMPLE_GAP, UB_SAMPLE_RUN, UB_SAMPLE_NATIVE, UB_SAMPLE_RUN,
	};
	u32 hits = slot->hits, bits, ahead;
	s32 rest = slot->rest - 1;

	if (rest >= 0) {
		slot->rest = rest;
		return UB_SAMPLE_NONE;
	}
	bits = hits < 64 ? 2 : hits < UB_YOUNG ? 4 : ub_tune(UB_TUNE_SAMPLE_BITS) - 2;
	ahead = (1U << bits) - (hits & ((1U << bits) - 1));
	ahead = min(ahead, (u32)UB_HITS_AT_ONCE);
	slot->rest = ahead - 1;
	slot->hits = hits + ahead;
	if (hits & ((1U << bits) - 1))
		return UB_SAMPLE_NONE;
	return turns[(hits >> bits) & 3];
}

/* Whether the gap behind the call may show a path that is not known. */
static bool ub_is_worth_tracing(struct ub_proc *proc, const struct pt_regs *regs)
{
	struct ub_site *site = ub_site_of(proc, regs->ip, regs->orig_ax, false);

	return !site || ub_retrace_is_due(&site->retrace);
}

/*
 * An entry is not taken this time: trace its gap, for paths that are missing in the region,
 * if .trace and the budgets allow it, or else time it natively.  True if it is traced.
 */
static bool ub_pass_entry(struct ub_proc *proc, struct pt_regs *regs, long ret, bool trace,
			  bool urgent)
{
	if (trace && ub_is_eligible(regs, ret) && ub_is_worth_tracing(proc, regs) &&
	    ub_trace_gap_begin(proc, regs, regs->orig_ax, urgent, UB_STEPS_USUAL))
		return true;
	ub_sample_native(proc, regs);
	return false;
}

/*
 * The same on trial.  The region was built from one traced path: if that was a rare one, most
 * runs end early, and would for long if the region grew by its misses alone.
 */
static void ub_pass_entry_on_trial(struct ub_region *region, u32 entry,
				   struct pt_regs *regs, long ret)
{
	struct ub_backoff *backoff = &region->backoff[entry];
	u8 traced = READ_ONCE(backoff->traced);

	if (ub_pass_entry(region->proc, regs, ret, traced < UB_TRIAL_TRACES, false)) {
		WRITE_ONCE(backoff->traced, traced + 1);
		/* The next entry is timed natively instead of this one. */
		WRITE_ONCE(backoff->samples, READ_ONCE(backoff->samples) - 1);
	}
}

/* As ub_after(), for all that it does not do itself.  Called with preemption off. */
static noinline long ub_after_unusually(struct pt_regs *regs, long ret)
{
	struct ub_entry_slot *slot;
	struct ub_region *region;
	struct ub_backoff *backoff;
	struct ub_proc *proc;
	enum ub_sample sample;
	u64 since = 0, began = 0;
	bool trial = false;
	u32 declined;
	long saved;

	/* During an emulated vsyscall a failed user access raises a signal. */
	if (regs->ip >= TASK_SIZE_MAX)
		goto out;
	/* Preemption off is also an RCU read-side critical section for the lookups. */
	proc = ub_proc_of_mm(current->mm);
	if (proc && unlikely(ub_task_work_pending())) {
		preempt_enable();
		regs->ax = ret;
		ub_task_work_run();
		preempt_disable();
		proc = ub_proc_of_mm(current->mm);
	}
	if (!proc)
		goto out;
	ub_sites_note_call(proc, regs->orig_ax);
	slot = ub_entry_find(proc, regs->ip, regs->orig_ax);
	if (!slot) {
		ub_detect_after(proc, regs, ret);
		goto native;
	}
	region = slot->region;
	backoff = slot->backoff;
	if (unlikely(ub_backoff_holds(backoff))) {
		ub_backoff_park(region, slot->entry);
		goto native;
	}
	/* The region has a reference to its process. */
	if (unlikely(READ_ONCE(region->trial))) {
		began = rdtsc();
		sample = ub_trial_begin(region, slot->entry, &trial);
		/* The time of ub_trial_begin() is charged, but not part of the run's overhead. */
		since = rdtsc();
		if (sample == UB_SAMPLE_NATIVE)
			ub_pass_entry_on_trial(region, slot->entry, regs, ret);
		if (sample == UB_SAMPLE_NATIVE || sample == UB_SAMPLE_PASS)
			goto native;
	} else {
		u32 hits = slot->hits + 1;

		sample = ub_sample_due(slot);
		if (sample == UB_SAMPLE_NATIVE) {
			bool young = hits < UB_YOUNG && !(hits & (16 | 64));

			ub_pass_entry(proc, regs, ret, young, hits < 64);
			goto native;
		}
		if (sample != UB_SAMPLE_NONE)
			since = rdtsc();
	}

	saved = regs->ax;
	regs->ax = ret;
	declined = ub_run(slot, regs, sample, since);
	if (unlikely(trial))
		ub_trial_finish(region, rdtsc() - began);
	if (likely(!declined)) {
		/* The way in is counted with the run. */
		ret = regs->ax;
		goto out;
	}
	/* Most often the call slept, and there is exit work. */
	regs->ax = saved;
	this_cpu_inc(proc->cpu->declined);
	ub_count_decline(proc, declined);
	ub_backoff_run(region, backoff, false);
native:
	this_cpu_inc(proc->cpu->native);
out:
	preempt_enable();
	return ret;
}

/* The same, with softirqs off. */
static noinline long ub_after_without_fpu(struct pt_regs *regs, long ret)
{
	ub_softirqs_on();
	return ub_after_unusually(regs, ret);
}

/*
 * The call of an attached task has returned .ret: run a translation, or sample the gap.
 * .number: of the process in ub_filter when the call began.  Returns what goes to the
 * user's rax.
 */
UB_NO_STACK_PROTECTOR notrace
long ub_after(struct pt_regs *regs, long ret, unsigned long number)
{
	struct task_struct *task = current;
	struct ub_entry_table *table;
	struct ub_entry_slot *slot;
	struct ub_region *region;
	unsigned long account;
	u64 limit, fsbase;

	/* Ignore a handler that was called from inside another one. */
	if (unlikely(regs != task_pt_regs(task)))
		return ret;
	preempt_disable();
	table = ub_entry_table_of(number);
	if (unlikely(table->head.mm != task->mm))
		return ub_after_unusually(regs, ret);
	/* An entry that is not where it should be is found there, too. */
	slot = &table->slot[ub_entry_place(table, regs->ip, regs->orig_ax)];
	if (unlikely(slot->user_ip != regs->ip || slot->nr != (u32)regs->orig_ax))
		return ub_after_unusually(regs, ret);
	region = slot->region;
	/* .ub_dead pairs with the grace period after it is set. */
	if (unlikely(ub_region_is_closed(slot->slot) || data_race(region->unusual) ||
		     data_race(slot->backoff->times)))
		return ub_after_unusually(regs, ret);
	if (unlikely(!ub_task_is_eligible(task)))
		return ub_after_unusually(regs, ret);
	if (unlikely(!cpu_feature_enabled(X86_FEATURE_FSGSBASE)))
		return ub_after_unusually(regs, ret);
	fsbase = rdfsbase();
	/* In a register, for all comparisons and for the frame. */
	limit = TASK_SIZE_MAX;
	OPTIMIZER_HIDE_VAR(limit);
	if (unlikely(fsbase >= limit || !ub_regs_are_eligible(regs, ret, limit) ||
		     !ub_stack_has_room(regs)))
		return ub_after_unusually(regs, ret);
	/* Is a sample due? */
	if (unlikely(--slot->rest < 0))
		return ub_after_unusually(regs, ret);
	/* Read again: a register less than if it were kept. */
	account = (unsigned long)READ_ONCE(slot->backoff);
	if (region->vector) {
		/* As fpregs_lock(). */
		ub_softirqs_off();
		account += UB_ACCOUNT_VECTOR;
		if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD) || region->x87)) {
			/* It counts the hit itself. */
			slot->rest++;
			return ub_after_without_fpu(regs, ret);
		}
	}
	regs->ax = ret;
	ub_region_get(region);
	/* The checks above must hold in speculation, too. */
	barrier_nospec();
	return ub_enter(regs, slot->code, region, account, fsbase, limit);
}

/* A call begins whose gap may be timed. */
void ub_before(void)
{
	ub_detect_before(rdtsc());
}
