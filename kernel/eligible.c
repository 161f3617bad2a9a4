// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which tasks may enter a translation.
 *
 * A task with any unusual state or registers is declined: the native return to user mode
 * that follows is always exact.
 */
#include <linux/entry-common.h>
#include <linux/posix-timers.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <asm/debugreg.h>
#include <asm/processor.h>

#include "eligible.h"
#include "seccomp.h"
#include "ub.h"

/* The reason to decline a task with .work at each system call. */
static u32 ub_syscall_decline_reason(unsigned long work)
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
	/* Seccomp alone: strict mode, or a filter that cannot be served. */
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
 * A timer that measures user time (ITIMER_VIRTUAL, timers on such clocks) would not
 * advance, since segments count as system time.  The check reads the next expiry of such
 * timers, U64_MAX if there is none; other timers measure the sum with system time.
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

/* The lasting reason to decline .task, which has .mm, or 0.  It need not be current. */
u32 ub_lasting_decline_reason(struct task_struct *task, struct mm_struct *mm)
{
	unsigned long flags = READ_ONCE(task_thread_info(task)->flags);
	unsigned long work = READ_ONCE(task_thread_info(task)->syscall_work);

	if (work && !ub_seccomp_serves(task, work))
		return ub_syscall_decline_reason(work);
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
 * With preemption off: the state checked must not change before the segment begins.  A
 * task that was preempted or migrated in between could run with a stale rseq cpu_id.
 * docs/limits.md lists the states that may change during a run, and how that is detected.
 */
bool ub_task_is_eligible(void)
{
	struct thread_struct *thread = &current->thread;
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);

	/* CR4.TSD does not stop RDTSC at CPL 0. */
	if (READ_ONCE(current_thread_info()->flags) &
	    (UB_THREAD_WORK | _TIF_BLOCKSTEP | _TIF_NOTSC))
		return false;
	/* Each dispatch runs the filters. */
	if (work && !ub_seccomp_serves(current, work))
		return false;
	if (current->ptrace)
		return false;
	if (ub_has_breakpoints(thread))
		return false;
	/* perf sets breakpoints, too; one that excludes the kernel would not trigger. */
	if (hw_breakpoint_active())
		return false;
	return !ub_has_rseq_barrier(current->mm) && !ub_has_shadow_stack(thread) &&
	       !ub_times_user(current);
}

/* The reason why ub_task_is_eligible() has just returned false. */
u32 ub_task_decline_reason(void)
{
	unsigned long flags = READ_ONCE(current_thread_info()->flags);
	u32 lasting = ub_lasting_decline_reason(current, current->mm);

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

/* The reason why ub_regs_are_eligible() has just returned false. */
u32 ub_regs_decline_reason(const struct pt_regs *regs)
{
	if (regs->cs != __USER_CS || regs->cx != regs->ip ||
	    regs->r11 != regs->flags || regs->sp >= TASK_SIZE_MAX)
		return UB_DECLINE_REGISTERS;
	return regs->flags & UB_INELIGIBLE_FLAGS ? UB_DECLINE_FLAGS : UB_DECLINE_RESTART;
}

/* True if current, which returns from a call with .ax, may enter a translation. */
bool ub_is_eligible(const struct pt_regs *regs, u64 ax)
{
	return ub_task_is_eligible() && ub_regs_are_eligible(regs, ax);
}

/* The reason if ub_is_eligible() is false; lasting reasons come first. */
u32 ub_decline_reason(const struct pt_regs *regs, u64 ax)
{
	if (!ub_task_is_eligible())
		return ub_task_decline_reason();
	if (!ub_regs_are_eligible(regs, ax))
		return ub_regs_decline_reason(regs);
	return UB_DECLINE_NONE;
}
