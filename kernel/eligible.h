/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a task may enter a translation, and why not.  ub_task_is_eligible() and
 * ub_regs_are_eligible() are called before each run.
 */
#ifndef _UB_ELIGIBLE_H
#define _UB_ELIGIBLE_H

#include <linux/build_bug.h>
#include <linux/entry-common.h>
#include <linux/posix-timers.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/processor.h>
#include <asm/segment.h>

#include "compat.h"
#include "seccomp.h"

/*
 * If any of these thread flags is set, the kernel has work to do before user code
 * continues.  User-return notifiers restore host MSRs after KVM ran a guest.
 */
#define UB_THREAD_WORK		((u32)(EXIT_TO_USER_MODE_WORK | _TIF_SINGLESTEP | \
				       _TIF_USER_RETURN_NOTIFY))

/* User flags with which translated code would not behave as the original. */
#define UB_INELIGIBLE_FLAGS \
	(X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | \
	 X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID | X86_EFLAGS_VM |  \
	 X86_EFLAGS_VIF | X86_EFLAGS_VIP)

u32 ub_decline_reason(const struct pt_regs *regs, u64 ax);
bool ub_is_eligible(const struct pt_regs *regs, u64 ax);
u32 ub_lasting_decline_reason(struct task_struct *task, struct mm_struct *mm);
u32 ub_task_decline_reason(void);
u32 ub_regs_decline_reason(const struct pt_regs *regs);

/*
 * Each of the following is 0 unless the state is present, so that one branch is enough for
 * all of them.
 */
static inline unsigned long ub_has_breakpoints(const struct thread_struct *thread)
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
static inline unsigned long ub_has_rseq_barrier(struct mm_struct *mm)
{
#ifdef CONFIG_MEMBARRIER
	return atomic_read(&mm->membarrier_state) &
	       MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ;
#else
	return 0;
#endif
}

static inline unsigned long ub_has_shadow_stack(const struct thread_struct *thread)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return thread->features;
#else
	return 0;
#endif
}

/*
 * A timer that measures user time (ITIMER_VIRTUAL, timers on such clocks) would not
 * advance, since segments count as system time.  The check reads the next expiry of such
 * timers, U64_MAX if there is none; other timers measure the sum with system time.
 */
static inline unsigned long ub_times_user(const struct task_struct *task)
{
#ifdef CONFIG_POSIX_TIMERS
	return ~(READ_ONCE(task->signal->posix_cputimers.bases[CPUCLOCK_VIRT].nextevt) &
		 READ_ONCE(task->posix_cputimers.bases[CPUCLOCK_VIRT].nextevt));
#else
	return 0;
#endif
}

/*
 * Whether current, which is .task, may run a segment as far as it is not a question of its
 * registers.  With preemption off: the state checked must not change before the segment
 * begins.  A task that was preempted or migrated in between could run with a stale rseq cpu_id.
 * docs/limits.md lists the states that may change during a run, and how that is detected.
 */
static __always_inline bool ub_task_is_eligible(struct task_struct *task)
{
	unsigned long work = READ_ONCE(task_thread_info(task)->syscall_work);
	unsigned long odd;

	/* Each dispatch runs the filters. */
	if (unlikely(work) && !ub_seccomp_serves(task, work))
		return false;
	odd = ub_has_rseq_barrier(task->mm);
	/* One after the other: all together would take more registers than are free. */
	OPTIMIZER_HIDE_VAR(odd);
	/* CR4.TSD does not stop RDTSC at CPL 0. */
	odd |= READ_ONCE(task_thread_info(task)->flags) &
	       (UB_THREAD_WORK | _TIF_BLOCKSTEP | _TIF_NOTSC);
	OPTIMIZER_HIDE_VAR(odd);
	odd |= READ_ONCE(task->ptrace);
	odd |= ub_has_breakpoints(&task->thread);
	OPTIMIZER_HIDE_VAR(odd);
	/* perf sets breakpoints, too; one that excludes the kernel would not trigger. */
	odd |= __this_cpu_read(cpu_dr7) & DR_GLOBAL_ENABLE_MASK;
	OPTIMIZER_HIDE_VAR(odd);
	odd |= ub_has_shadow_stack(&task->thread);
	odd |= ub_times_user(task);
	return !odd;
}

/*
 * A restart needs the signal code in the return to user mode.  The codes for it are the first
 * of those that are not for users, so one comparison finds them; it also finds results
 * that are no codes, but negative, which are rare.
 */
static inline bool ub_may_restart(long result)
{
	BUILD_BUG_ON(ERESTARTSYS != 512 || ERESTART_RESTARTBLOCK != 516);
	return result <= -ERESTARTSYS;
}

/* False after SYSCALL only if a tracer changed the registers. */
static __always_inline bool ub_regs_are_of_syscall(const struct pt_regs *regs)
{
	if (regs->cs != __USER_CS)
		return false;
	return ub_syscall_keeps_rcx() || (regs->cx == regs->ip && regs->r11 == regs->flags);
}

/* .limit: TASK_SIZE_MAX */
static __always_inline bool ub_regs_are_eligible(const struct pt_regs *regs, u64 ax, u64 limit)
{
	if (!ub_regs_are_of_syscall(regs))
		return false;
	if (regs->flags & UB_INELIGIBLE_FLAGS)
		return false;
	if (regs->sp >= limit)
		return false;
	return !ub_may_restart(ax);
}

#endif /* _UB_ELIGIBLE_H */
