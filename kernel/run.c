// SPDX-License-Identifier: GPL-2.0-only
/* Enters a translation, and completes the user state after its exit. */
#include <linux/bottom_half.h>
#include <linux/nospec.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
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
#include "gap.h"
#include "lookup.h"
#include "proc.h"
#include "region.h"
#include "run.h"
#include "sample.h"
#include "task_work.h"
#include "trace.h"
#include "trace_gap.h"
#include "trial.h"
#include "tunables.h"
#include "ub.h"
#include "x87.h"

/* Otherwise the compiler zeroes the variable: ten instructions for each run. */
#if __has_attribute(__uninitialized__)
#define UB_UNINITIALIZED	__attribute__((__uninitialized__))
#else
#define UB_UNINITIALIZED
#endif

/* compiler_attributes.h has it only in late releases of 6.1. */
#if __has_attribute(__no_stack_protector__)
#define UB_NO_STACK_PROTECTOR	__attribute__((__no_stack_protector__))
#else
#define UB_NO_STACK_PROTECTOR
#endif

#define UB_ARITH_FLAGS		(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
				 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

/* Room for the pushes of ub_enter() and for the compiler's spills below them. */
#define UB_STACK_SLACK	512

/* Tasks of attached processes that are between the trampoline's two calls. */
DEFINE_PER_CPU(long, ub_inside);

/* The reason why a region that is not live is not entered. */
static noinline u32 ub_region_decline_reason(const struct ub_region *region)
{
	return ub_region_is_dead(region) ? UB_DECLINE_DEAD : ub_task_decline_reason();
}

static u64 ub_fsbase(void)
{
	return cpu_feature_enabled(X86_FEATURE_FSGSBASE) ? rdfsbase() : ub_read_fs_base();
}

static u64 ub_arith(u64 flags, u64 raw)
{
	return (flags & ~(u64)UB_ARITH_FLAGS) | (raw & UB_ARITH_FLAGS);
}

/* Complete the user state in pt_regs for the exit that was taken. */
static void ub_complete(struct pt_regs *regs, const struct ub_exit *exit,
			const struct ub_launch *launch)
{
	u64 raw = launch->host_flags;

	if (exit->flags & UB_EXITF_SLOT_FLAGS)
		raw = launch->flags;
	else if (exit->flags & UB_EXITF_SLOT_SYSFLAGS)
		raw = launch->sysflags;
	if (exit->flags & UB_EXITF_R11_SYS)
		regs->r11 = ub_arith(regs->flags, launch->r11);
	if (exit->flags & UB_EXITF_CX_SYS)
		regs->cx = exit->cx;
	regs->flags = ub_arith(regs->flags, raw);
	regs->ip = exit->user_ip;
	/* Otherwise a user rax equal to a restart code would be taken for one. */
	if (!(exit->flags & UB_EXITF_DISPATCHED))
		regs->orig_ax = -1;
}

/*
 * The general registers, one bit each, that hold no user address.  If the code clamped one
 * of them, that caused the exit, whether or not the access itself would have faulted.
 */
static u64 ub_nonpointers(const struct pt_regs *regs)
{
	static const u8 at[] = {
		offsetof(struct pt_regs, ax), offsetof(struct pt_regs, cx),
		offsetof(struct pt_regs, dx), offsetof(struct pt_regs, bx),
		offsetof(struct pt_regs, sp), offsetof(struct pt_regs, bp),
		offsetof(struct pt_regs, si), offsetof(struct pt_regs, di),
		offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9),
		offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
		offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13),
		offsetof(struct pt_regs, r14), offsetof(struct pt_regs, r15),
	};
	u64 found = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		if (at[i] != offsetof(struct pt_regs, sp) &&
		    *(const unsigned long *)((const u8 *)regs + at[i]) >= TASK_SIZE_MAX)
			found |= 1ULL << i;
	return found;
}

/* Not inlined: the event would take stack that the frame of ub_run() needs. */
static noinline_for_stack void
ub_report_miss(struct ub_region *region, const struct pt_regs *regs, u32 number,
	       u64 target, bool owed)
{
	const struct ub_exit *exit = &region->exits[number];
	struct ub_event event = {
		.type = UB_EVENT_MISS,
		.nr = exit->reason,
		.region = region->number,
		.exit = number,
		.ip = exit->user_ip,
		.sp = regs->sp,
	};

	if (exit->flags & UB_EXITF_TARGET)
		event.target = target;
	else if (exit->reason == UB_EXIT_SYSCALL)
		event.target = (u32)regs->ax;
	else if (exit->reason == UB_EXIT_FAULT)
		event.target = ub_nonpointers(regs);
	/* An ordinary fault, for example a page not present: nothing to report. */
	if (exit->reason == UB_EXIT_FAULT && !event.target)
		return;
	/* A lost event is owed: a later event of any exit makes up for it. */
	if (!ub_proc_send_with_stack(region->proc, &event))
		WRITE_ONCE(region->owed, region->owed + 1);
	else if (owed && region->owed)
		WRITE_ONCE(region->owed, region->owed - 1);
}

/* Exits that a larger or better region may avoid. */
#define UB_MISSES	((1U << UB_EXIT_RET_MISS) | (1U << UB_EXIT_CALL_MISS) |	\
			 (1U << UB_EXIT_JUMP_MISS) | (1U << UB_EXIT_FRONTIER) |	\
			 (1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

/* Of these only some are avoidable, so they are reported beyond the limit, too. */
#define UB_MIXED	((1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

/* Number of hits up to which an entry is sampled more often. */
#define UB_YOUNG	2048
/* Usual bound on the steps of an entry's gap: gaps of entries are short. */
#define UB_STEPS_USUAL	512
/* Gaps of an entry that are traced while its region is on trial. */
#define UB_TRIAL_TRACES	2

static u64 ub_dispatched_here(const struct ub_region *region)
{
	return __this_cpu_read(ub_dispatched[region->slot]);
}

/*
 * Run the region from .entry.  Called and returns with preemption off.  Returns the reason
 * why the region was not entered (then .regs are unchanged), or 0.  .since: TSC at the end
 * of the call before the run, if .sample is not UB_SAMPLE_NONE.
 */
static __always_inline u32
ub_run(struct ub_region *region, u32 entry, u32 offset, struct pt_regs *regs,
       enum ub_sample sample, u64 since)
{
	struct ub_launch launch UB_UNINITIALIZED; /* ub_enter() sets the other fields */
	u64 came = regs->ip, began = 0, ended = 0, count = 0, exits;
	struct ub_proc *proc = region->proc;
	const struct ub_exit *exit;
	int cpu = -1;
	bool dispatched;

	launch.limit = TASK_SIZE_MAX;
	launch.fsbase = ub_fsbase();
	launch.sysflags = regs->flags;
	launch.budget = ub_tune(UB_TUNE_BUDGET);
	if (!ub_regs_are_eligible(regs, regs->ax))
		return ub_regs_decline_reason(regs);
	if (launch.fsbase >= TASK_SIZE_MAX)
		return UB_DECLINE_FSBASE;
	/* popfq of this image must not clear AC, which would close SMAP. */
	if (cpu_feature_enabled(X86_FEATURE_SMAP))
		launch.sysflags |= X86_EFLAGS_AC;
	/* The frame must be below the current stack pointer. */
	if (current_stack_pointer < (unsigned long)regs - UB_FRAME_REGS + UB_STACK_SLACK)
		return UB_DECLINE_STACK;

	/* Pairs with the grace period after ub_dead[] is set. */
	if (READ_ONCE(ub_dead[region->slot]))
		return ub_region_decline_reason(region);
	if (!ub_task_is_eligible())
		return ub_task_decline_reason();
	if (region->vector) {
		/* As fpregs_lock(), then load the registers as a return to user mode would. */
		local_bh_disable();
		if (test_thread_flag(TIF_NEED_FPU_LOAD))
			ub_load_fpu();
		if (region->x87 && !ub_x87_masked()) {
			local_bh_enable();
			return UB_DECLINE_X87;
		}
	}
	if (unlikely(sample != UB_SAMPLE_NONE)) {
		cpu = smp_processor_id();
		count = ub_dispatched_here(region);
		/* Makes the first dispatch exit; the flag has no other effect. */
		if (sample == UB_SAMPLE_GAP)
			set_thread_flag(TIF_NOTIFY_RESUME);
		began = rdtsc();
	}
	ub_region_get(region);
	/* Each dispatch sets orig_ax: -1 afterwards means that there was none. */
	regs->orig_ax = -1;
	/* The checks above must hold in speculation, too. */
	barrier_nospec();
	ub_enter(regs, region->code + offset, &launch);
	if (unlikely(sample != UB_SAMPLE_NONE)) {
		ended = rdtsc();
		if (cpu == smp_processor_id())
			count = ub_dispatched_here(region) - count;
		else
			sample = UB_SAMPLE_NONE;
	}
	/* Branch history of user code must not steer indirect branches of the kernel. */
	if (ub_clears_history())
		ub_clear_history();
	if (region->vector) {
		if (launch.fip)
			ub_x87_leave(launch.fip);
		local_bh_enable();
	}

	if (unlikely(launch.exit >= region->nr_exits)) {
		pr_err_once("ub: region %u left through unknown exit %u\n",
			    region->number, launch.exit);
		force_sig(SIGKILL);
		ub_region_put(region, 0);
		return UB_DECLINE_NONE;
	}
	dispatched = regs->orig_ax != -1UL;
	exit = &region->exits[launch.exit];
	ub_complete(regs, exit, &launch);
	if (!(exit->flags & UB_EXITF_DISPATCHED))
		ub_rseq_interrupted();

	if (!READ_ONCE(proc->first_run_ns))
		WRITE_ONCE(proc->first_run_ns, ktime_get_ns());
	exits = READ_ONCE(region->counts[launch.exit]) + 1;
	WRITE_ONCE(region->counts[launch.exit], exits);
	if ((1U << exit->reason) & UB_MISSES) {
		bool owed = exits > ub_tune(UB_TUNE_MISS_EVENTS);

		if (!owed || unlikely(READ_ONCE(region->owed)) ||
		    ((1U << exit->reason) & UB_MIXED && !(exits & (exits - 1))))
			ub_report_miss(region, regs, launch.exit, launch.target, owed);
	}
	trace_ub_exit(region->number, launch.exit, exit->reason, exit->user_ip);
	/* Runs without a dispatch report misses; after a few of them the entry is parked. */
	if (sample == UB_SAMPLE_NONE)
		ub_backoff_run(region, entry, dispatched);
	if (sample == UB_SAMPLE_GAP && exit->reason == UB_EXIT_WORK && !count)
		ub_sample_boosted(proc, came, ended - began + ub_dispatch_duties(regs));
	else if (sample == UB_SAMPLE_RUN)
		ub_sample_run(proc, came, count,
			      rdtsc() - ended + began - since);
	ub_region_put(region, exit->reason);
	return UB_DECLINE_NONE;
}

/*
 * The sample that is due at an entry after .hits hits.  A young entry is sampled more often.
 * The samples rotate: the gap in the translation, a run, the native gap, a run.
 */
static __always_inline enum ub_sample ub_sample_due(u32 hits)
{
	static const enum ub_sample turns[] = {
		UB_SAMPLE_GAP, UB_SAMPLE_RUN, UB_SAMPLE_NATIVE, UB_SAMPLE_RUN,
	};
	u32 bits;

	if (likely(hits & 3))
		return UB_SAMPLE_NONE;
	bits = hits < 64 ? 2 : hits < UB_YOUNG ? 4 : ub_tune(UB_TUNE_SAMPLE_BITS) - 2;
	if (hits & ((1U << bits) - 1))
		return UB_SAMPLE_NONE;
	return turns[(hits >> bits) & 3];
}

/*
 * An entry is not taken this time: trace its gap, for paths that are missing in the region,
 * if .trace and the budgets allow it, or else time it natively.  True if it is traced.
 */
static bool ub_pass_entry(struct ub_proc *proc, struct pt_regs *regs, long ret, bool trace,
			  bool urgent)
{
	if (trace && ub_is_eligible(regs, ret) &&
	    ub_trace_gap_begin(proc, regs, urgent, UB_STEPS_USUAL))
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

/* The call of an attached task has returned: run a translation, or sample the gap. */
static __always_inline long ub_hook_after(struct pt_regs *regs, long ret)
{
	struct ub_entry_slot *slot;
	struct ub_region *region;
	struct ub_proc *proc;
	enum ub_sample sample;
	u64 since = 0, began = 0;
	u32 entry, declined;
	bool trial = false;
	long saved;

	/* Also an RCU read-side critical section for the lookups. */
	preempt_disable();
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
	slot = ub_entry_find(proc, regs->ip);
	if (!slot) {
		ub_detect_after(proc, regs, ret);
		goto native;
	}
	if (unlikely(ub_backoff_holds(&slot->region->backoff[slot->entry]))) {
		ub_backoff_park(slot->region, slot->entry);
		goto native;
	}
	region = slot->region;
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
		sample = ub_sample_due(slot->hits++);
	}
	if (unlikely(sample != UB_SAMPLE_NONE) && !trial) {
		if (sample == UB_SAMPLE_NATIVE) {
			bool young = slot->hits < UB_YOUNG && !(slot->hits & (16 | 64));

			ub_pass_entry(proc, regs, ret, young, slot->hits < 64);
			goto native;
		}
		since = rdtsc();
	}

	entry = slot->entry;
	saved = regs->ax;
	regs->ax = ret;
	declined = ub_run(region, entry, slot->code_offset, regs, sample, since);
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
	ub_backoff_run(region, entry, false);
native:
	this_cpu_inc(proc->cpu->native);
out:
	preempt_enable();
	return ret;
}

/*
 * Called for tasks whose mm may be attached, in place of the handler's body.
 * Returns what goes to the user's rax.
 */
UB_NO_STACK_PROTECTOR
long ub_hook(struct pt_regs *regs, unsigned long body)
{
	long (*handler)(const struct pt_regs *regs) = (void *)body;
	long ret;

	this_cpu_inc(ub_inside);
	if (this_cpu_read(ub_gap.task) == current)
		ub_detect_before(rdtsc());

	ret = handler(regs);

	/*
	 * Ignore a handler that was called from inside another one, and an emulated
	 * vsyscall, during which a failed user access raises a signal.
	 */
	if (regs == task_pt_regs(current) && regs->ip < TASK_SIZE_MAX)
		ret = ub_hook_after(regs, ret);
	this_cpu_dec(ub_inside);
	return ret;
}
