// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way into a translation and out of it.
 *
 * Whatever is unusual about a task or its registers is declined: the native
 * return to user mode that follows is always exact.
 */
#include <linux/bottom_half.h>
#include <linux/entry-common.h>
#include <linux/nospec.h>
#include <linux/posix-timers.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/timekeeping.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fsgsbase.h>
#include <asm/processor.h>
#include <asm/segment.h>
#include <asm/tsc.h>

#include "compat.h"
#include "internal.h"

/* The compiler would clear it, ten instructions for each run. */
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

#define CREATE_TRACE_POINTS
#include "trace.h"

/* User flags with which translated code would not behave as the original. */
#define UB_ODD_FLAGS	(X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_IOPL |	\
			 X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_AC |	\
			 X86_EFLAGS_ID | X86_EFLAGS_VM | X86_EFLAGS_VIF |	\
			 X86_EFLAGS_VIP)

/* Room for ub_enter's pushes and what the compiler keeps below them. */
#define UB_STACK_SLACK	512

/* Work at each system call, by whom it is asked for. */
static u32 ub_syscall_oddity(unsigned long work)
{
	if (work & SYSCALL_WORK_SECCOMP && !ub_seccomp_usable())
		return UB_DECLINE_SECCOMP;
	if (work & (SYSCALL_WORK_SYSCALL_TRACE | SYSCALL_WORK_SYSCALL_EMU |
		    SYSCALL_WORK_SYSCALL_EXIT_TRAP))
		return UB_DECLINE_PTRACE;
	if (work & SYSCALL_WORK_SYSCALL_AUDIT)
		return UB_DECLINE_AUDIT;
	if (work & SYSCALL_WORK_SYSCALL_TRACEPOINT)
		return UB_DECLINE_TRACEPOINT;
	/* Alone, it is strict mode. */
	return work == SYSCALL_WORK_SECCOMP ? UB_DECLINE_SECCOMP : UB_DECLINE_SYSCALL_WORK;
}

static bool ub_has_breakpoints(const struct thread_struct *thread)
{
	BUILD_BUG_ON(HBP_NUM != 4);
	return (unsigned long)thread->ptrace_bps[0] |
	       (unsigned long)thread->ptrace_bps[1] |
	       (unsigned long)thread->ptrace_bps[2] |
	       (unsigned long)thread->ptrace_bps[3];
}

/*
 * Membarrier for rseq restarts all running rseq critical sections, but cannot restart one
 * in a segment before the segment ends.
 */
bool ub_has_rseq_barrier(struct mm_struct *mm)
{
#ifdef CONFIG_MEMBARRIER
	return atomic_read(&mm->membarrier_state) &
	       MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ;
#else
	return false;
#endif
}

static bool ub_has_shadow_stack(const struct thread_struct *thread)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return thread->features;
#else
	return false;
#endif
}

/*
 * A timer that measures user time (ITIMER_VIRTUAL, timers on such clocks) would stand
 * still, since segments count as system time.  What is asked is when the next of them
 * expires, U64_MAX if none does; others measure the sum with system time.
 */
bool ub_times_user(const struct task_struct *task)
{
#ifdef CONFIG_POSIX_TIMERS
	return (READ_ONCE(task->signal->posix_cputimers.bases[CPUCLOCK_VIRT].nextevt) &
		READ_ONCE(task->posix_cputimers.bases[CPUCLOCK_VIRT].nextevt)) != U64_MAX;
#else
	return false;
#endif
}

/* Why each run of .task, which has .mm, is declined, or 0.  It need not be current. */
u32 ub_lasting_oddity(struct task_struct *task, struct mm_struct *mm)
{
	unsigned long flags = READ_ONCE(task_thread_info(task)->flags);
	unsigned long work = READ_ONCE(task_thread_info(task)->syscall_work);

	if (work && !ub_seccomp_serves(task, work))
		return ub_syscall_oddity(work);
	if (READ_ONCE(task->ptrace))
		return UB_DECLINE_PTRACE;
	if (flags & _TIF_BLOCKSTEP)
		return UB_DECLINE_STEP;
	if (flags & _TIF_NOTSC)
		return UB_DECLINE_NOTSC;
	if (ub_has_breakpoints(&task->thread))
		return UB_DECLINE_BREAKPOINT;
	if (ub_has_rseq_barrier(mm))
		return UB_DECLINE_RSEQ;
	if (ub_has_shadow_stack(&task->thread))
		return UB_DECLINE_SHADOW_STACK;
	return ub_times_user(task) ? UB_DECLINE_USER_TIME : UB_DECLINE_NONE;
}

/*
 * With preemption off: what is checked must still hold when the segment begins.  A
 * task that was preempted or moved since would run with a stale rseq cpu_id, say.
 * docs/limits.md has what of it may change during a run, and how that is noticed.
 */
static bool ub_task_is_odd(void)
{
	struct thread_struct *thread = &current->thread;
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);

	/* CR4.TSD does not stop RDTSC at CPL 0. */
	if (READ_ONCE(current_thread_info()->flags) &
	    (UB_THREAD_WORK | _TIF_BLOCKSTEP | _TIF_NOTSC))
		return true;
	/* Each dispatch asks the filters. */
	if (work && !ub_seccomp_serves(current, work))
		return true;
	if (current->ptrace)
		return true;
	if (ub_has_breakpoints(thread))
		return true;
	/* perf sets breakpoints too, and those that leave out the kernel would miss. */
	if (hw_breakpoint_active())
		return true;
	return ub_has_rseq_barrier(current->mm) || ub_has_shadow_stack(thread) ||
	       ub_times_user(current);
}

/* Why ub_task_is_odd() has just said so. */
static noinline u32 ub_task_oddity(void)
{
	unsigned long flags = READ_ONCE(current_thread_info()->flags);
	u32 lasting = ub_lasting_oddity(current, current->mm);

	if (lasting)
		return lasting;
	if (hw_breakpoint_active())
		return UB_DECLINE_BREAKPOINT;
	if (flags & _TIF_USER_RETURN_NOTIFY)
		return UB_DECLINE_VCPU;
	if (flags & _TIF_SINGLESTEP)
		return UB_DECLINE_STEP;
	return UB_DECLINE_WORK;
}

static bool ub_regs_are_odd(const struct pt_regs *regs, u64 ax)
{
	/* Never so after SYSCALL, unless a tracer changed them. */
	if (regs->cs != __USER_CS || regs->cx != regs->ip ||
	    regs->r11 != regs->flags)
		return true;
	if (regs->flags & UB_ODD_FLAGS)
		return true;
	if (regs->sp >= TASK_SIZE_MAX)
		return true;
	/* A restart needs the signal code that runs on the way to user mode. */
	return ax >= (unsigned long)-ERESTART_RESTARTBLOCK &&
	       ax <= (unsigned long)-ERESTARTSYS;
}

/* Why ub_regs_are_odd() has just said so. */
static noinline u32 ub_regs_oddity(const struct pt_regs *regs)
{
	if (regs->cs != __USER_CS || regs->cx != regs->ip ||
	    regs->r11 != regs->flags || regs->sp >= TASK_SIZE_MAX)
		return UB_DECLINE_REGISTERS;
	return regs->flags & UB_ODD_FLAGS ? UB_DECLINE_FLAGS : UB_DECLINE_RESTART;
}

/* Why a region that is not live is not entered. */
static noinline u32 ub_region_oddity(const struct ub_region *region)
{
	return ub_region_is_dead(region) ? UB_DECLINE_DEAD : ub_task_oddity();
}

/* Nothing is special about current, which returns from a call with .ax. */
bool ub_is_ordinary(const struct pt_regs *regs, u64 ax)
{
	return !ub_task_is_odd() && !ub_regs_are_odd(regs, ax);
}

/* Why not, if so; what lasts comes first. */
u32 ub_oddity(const struct pt_regs *regs, u64 ax)
{
	if (ub_task_is_odd())
		return ub_task_oddity();
	return ub_regs_are_odd(regs, ax) ? ub_regs_oddity(regs) : UB_DECLINE_NONE;
}

static u64 ub_fsbase(void)
{
	return cpu_feature_enabled(X86_FEATURE_FSGSBASE) ? rdfsbase() : ub_read_fs_base();
}

static u64 ub_arith(u64 flags, u64 raw)
{
	return (flags & ~(u64)UB_ARITH_FLAGS) | (raw & UB_ARITH_FLAGS);
}

/* Make pt_regs the user state at the exit that was taken. */
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
	/* Else a user rax that looks like a restart code would be taken for one. */
	if (!(exit->flags & UB_EXITF_DISPATCHED))
		regs->orig_ax = -1;
}

/*
 * The general registers, one bit each, that hold no user address.  Where the code has
 * clamped one of them it has left for that, whether or not the access would have failed.
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

/* Not inlined: the event would take the room that the frame below needs. */
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
	/* A page that is not there yet, say: nothing to be learned from. */
	if (exit->reason == UB_EXIT_FAULT && !event.target)
		return;
	/* One that found no room is made up for by a later one, of whatever exit. */
	if (!ub_event_with_stack(region->proc, &event))
		WRITE_ONCE(region->owed, region->owed + 1);
	else if (owed && region->owed)
		WRITE_ONCE(region->owed, region->owed - 1);
}

/* Exits that a better region would not take. */
#define UB_MISSES	((1U << UB_EXIT_RET_MISS) | (1U << UB_EXIT_CALL_MISS) |	\
			 (1U << UB_EXIT_JUMP_MISS) | (1U << UB_EXIT_FRONTIER) |	\
			 (1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

/* Those of which only some can be mended: others must not hide them. */
#define UB_MIXED	((1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

/* Called from generated code with preemption off and softirqs just on again. */
void ub_softirq(void)
{
	local_bh_disable();
	local_bh_enable();
}

/* Entries are looked at more often until they were taken so many times. */
#define UB_YOUNG	2048
/* Their gaps are short, or they would not be entries. */
#define UB_STEPS_USUAL	512

static u64 ub_dispatched_here(const struct ub_region *region)
{
	return __this_cpu_read(ub_dispatched[region->slot]);
}

/*
 * With preemption off, as it is again at the end.  Returns why the region was not entered
 * (then regs are as they were), or 0.  .since: when the call that led here had ended, if
 * .look says to find something out.
 */
static __always_inline u32
ub_run(struct ub_region *region, u32 entry, u32 offset, struct pt_regs *regs,
       enum ub_look look, u64 since)
{
	struct ub_launch launch UB_UNINITIALIZED; /* ub_enter sets the rest */
	u64 came = regs->ip, began = 0, ended = 0, count = 0, exits;
	struct ub_proc *proc = region->proc;
	const struct ub_exit *exit;
	int cpu = -1;
	bool idle;

	launch.limit = TASK_SIZE_MAX;
	launch.fsbase = ub_fsbase();
	launch.sysflags = regs->flags;
	launch.budget = ub_tune(UB_TUNE_BUDGET);
	if (ub_regs_are_odd(regs, regs->ax))
		return ub_regs_oddity(regs);
	if (launch.fsbase >= TASK_SIZE_MAX)
		return UB_DECLINE_FSBASE;
	/* Whoever loads this image whole must not close SMAP with it. */
	if (cpu_feature_enabled(X86_FEATURE_SMAP))
		launch.sysflags |= X86_EFLAGS_AC;
	/* The frame must lie below everything that is on the stack now. */
	if (current_stack_pointer < (unsigned long)regs - UB_FRAME_REGS + UB_STACK_SLACK)
		return UB_DECLINE_STACK;

	/* Looking at dead pairs with the grace period that follows setting it. */
	if (READ_ONCE(ub_dead[region->slot]))
		return ub_region_oddity(region);
	if (ub_task_is_odd())
		return ub_task_oddity();
	if (region->vector) {
		/* As fpregs_lock(), and then what the way to user mode would do. */
		local_bh_disable();
		if (test_thread_flag(TIF_NEED_FPU_LOAD))
			ub_load_fpu();
		if (region->x87 && !ub_x87_masked()) {
			local_bh_enable();
			return UB_DECLINE_X87;
		}
	}
	if (unlikely(look != UB_LOOK_NOT)) {
		cpu = smp_processor_id();
		count = ub_dispatched_here(region);
		/* Makes the first dispatch leave; else it means nothing. */
		if (look == UB_LOOK_GAP)
			set_thread_flag(TIF_NOTIFY_RESUME);
		began = rdtsc();
	}
	/* Each dispatch sets it: so one sees whether there was any. */
	regs->orig_ax = -1;
	/* The checks above must hold in speculation as well. */
	barrier_nospec();
	ub_enter(regs, region->code + offset, &launch);
	if (unlikely(look != UB_LOOK_NOT)) {
		ended = rdtsc();
		if (cpu == smp_processor_id())
			count = ub_dispatched_here(region) - count;
		else
			look = UB_LOOK_NOT;
	}
	/* The user's branches are not to steer the kernel's indirect ones that follow. */
	if (ub_clears_history())
		ub_clear_history();
	if (region->vector) {
		if (launch.fip)
			ub_x87_leave(launch.fip);
		local_bh_enable();
	}

	if (unlikely(launch.exit >= region->nr_exits)) {
		pr_err_once("ub: region %u left by unknown exit %u\n",
			    region->number, launch.exit);
		force_sig(SIGKILL);
		return UB_DECLINE_NONE;
	}
	idle = regs->orig_ax == -1UL;
	exit = &region->exits[launch.exit];
	ub_complete(regs, exit, &launch);
	if (!(exit->flags & UB_EXITF_DISPATCHED))
		ub_rseq_interrupted();

	if (!READ_ONCE(proc->first_run_ns))
		WRITE_ONCE(proc->first_run_ns, ktime_get_ns());
	this_cpu_inc(region->cpu->runs);
	this_cpu_inc(proc->cpu->exits[exit->reason]);
	exits = READ_ONCE(region->counts[launch.exit]) + 1;
	WRITE_ONCE(region->counts[launch.exit], exits);
	if ((1U << exit->reason) & UB_MISSES) {
		bool owed = exits > ub_tune(UB_TUNE_MISS_EVENTS);

		if (!owed || unlikely(READ_ONCE(region->owed)) ||
		    ((1U << exit->reason) & UB_MIXED && !(exits & (exits - 1))))
			ub_report_miss(region, regs, launch.exit, launch.target, owed);
	}
	trace_ub_exit(region->number, launch.exit, exit->reason, exit->user_ip);
	/* Until it can do better, some idle runs are enough to tell what it lacks. */
	if (look == UB_LOOK_NOT)
		ub_detect_run(region, entry, !idle);
	if (look == UB_LOOK_GAP && exit->reason == UB_EXIT_WORK && !count)
		ub_control_boosted(proc, came, ended - began + ub_dispatch_duties(regs));
	else if (look == UB_LOOK_RUN)
		ub_control_run(proc, came, count,
			       rdtsc() - ended + began - since);
	return UB_DECLINE_NONE;
}

/*
 * Every so often an entry is looked at, more often while it is young: first its gap in
 * the translation, then a run, then its gap natively, then a run again.
 */
static __always_inline enum ub_look ub_look_of(u32 hits)
{
	static const enum ub_look turns[] = {
		UB_LOOK_GAP, UB_LOOK_RUN, UB_LOOK_NATIVE, UB_LOOK_RUN,
	};
	u32 bits;

	if (likely(hits & 3))
		return UB_LOOK_NOT;
	bits = hits < 64 ? 2 : hits < UB_YOUNG ? 4 : ub_tune(UB_TUNE_SAMPLE_BITS) - 2;
	if (hits & ((1U << bits) - 1))
		return UB_LOOK_NOT;
	return turns[(hits >> bits) & 3];
}

/* The call of an attached task has ended: what comes next? */
static __always_inline long ub_hook_after(struct pt_regs *regs, long ret)
{
	struct ub_entry_slot *slot;
	struct ub_region *region;
	struct ub_proc *proc;
	enum ub_look look;
	u64 since = 0, began = 0;
	u32 entry, declined;
	bool trial = false;
	long saved;

	/* Protects what is found by RCU as well. */
	preempt_disable();
	proc = ub_proc_of_mm(current->mm);
	if (!proc)
		goto out;
	this_cpu_inc(proc->cpu->native);
	slot = ub_entry_find(proc, regs->ip);
	if (!slot) {
		ub_detect_after(proc, regs, ret);
		goto out;
	}
	if (unlikely(ub_detect_is_left(&slot->region->idle[slot->entry]))) {
		ub_detect_leave(slot->region, slot->entry);
		goto out;
	}
	/* The region holds its process. */
	region = slot->region;
	if (unlikely(READ_ONCE(region->trial))) {
		began = rdtsc();
		look = ub_trial_begin(region, slot->entry, &trial);
		/* The trial's own doing is charged, but no part of what runs cost. */
		since = rdtsc();
		if (look == UB_LOOK_NATIVE)
			ub_control_native(proc, regs);
		if (look == UB_LOOK_NATIVE || look == UB_LOOK_PASS)
			goto out;
	} else {
		look = ub_look_of(slot->hits++);
	}
	if (unlikely(look != UB_LOOK_NOT) && !trial) {
		if (look == UB_LOOK_NATIVE) {
			/* Young entries: ways that the region does not have yet? */
			if (slot->hits >= UB_YOUNG || slot->hits & (16 | 64) ||
			    !ub_is_ordinary(regs, ret) ||
			    !ub_step_begin(proc, regs, slot->hits < 64,
					   UB_STEPS_USUAL))
				ub_control_native(proc, regs);
			goto out;
		}
		since = rdtsc();
	}

	ub_region_get(region);
	entry = slot->entry;
	saved = regs->ax;
	regs->ax = ret;
	declined = ub_run(region, entry, slot->code_offset, regs, look, since);
	if (likely(!declined)) {
		ret = regs->ax;
	} else {
		/* Most often a call that slept: there is work on the way out. */
		regs->ax = saved;
		this_cpu_inc(region->proc->cpu->declined);
		ub_count_decline(region->proc, declined);
		ub_detect_run(region, entry, false);
	}
	if (unlikely(trial))
		ub_trial_finish(region, rdtsc() - began);
	ub_region_put(region);
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
	if (this_cpu_read(ub_last.task) == current)
		ub_detect_before(rdtsc());

	ret = handler(regs);

	/*
	 * Another handler may have been called inside this one: not ours.  Nor is an
	 * emulated vsyscall, during which a failed user access raises a signal.
	 */
	if (regs == task_pt_regs(current) && regs->ip < TASK_SIZE_MAX)
		ret = ub_hook_after(regs, ret);
	this_cpu_dec(ub_inside);
	return ret;
}
