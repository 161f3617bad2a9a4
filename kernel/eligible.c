// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which tasks may enter a translation.
 *
 * A task with any unusual state or registers is declined: the native return to user mode
 * that follows is always exact.
 */
#include <linux/entry-common.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

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
	if (!ub_regs_are_of_syscall(regs) || regs->sp >= TASK_SIZE_MAX)
		return UB_DECLINE_REGISTERS;
	return regs->flags & UB_INELIGIBLE_FLAGS ? UB_DECLINE_FLAGS : UB_DECLINE_RESTART;
}

/* True if current, which returns from a call with .ax, may enter a translation. */
bool ub_is_eligible(const struct pt_regs *regs, u64 ax)
{
	return ub_task_is_eligible(current) && ub_regs_are_eligible(regs, ax, TASK_SIZE_MAX);
}

/* The reason if ub_is_eligible() is false; lasting reasons come first. */
u32 ub_decline_reason(const struct pt_regs *regs, u64 ax)
{
	if (!ub_task_is_eligible(current))
		return ub_task_decline_reason();
	if (!ub_regs_are_eligible(regs, ax, TASK_SIZE_MAX))
		return ub_regs_decline_reason(regs);
	return UB_DECLINE_NONE;
}
