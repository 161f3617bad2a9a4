/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a task may enter a translation, and why not.  ub_task_is_eligible() and
 * ub_regs_are_eligible() are called before each run.
 */
#ifndef _UB_ELIGIBLE_H
#define _UB_ELIGIBLE_H

#include <linux/entry-common.h>
#include <linux/ptrace.h>
#include <linux/types.h>
#include <asm/processor.h>
#include <asm/segment.h>

struct mm_struct;
struct task_struct;

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
bool ub_has_rseq_barrier(struct mm_struct *mm);
bool ub_times_user(const struct task_struct *task);
bool ub_task_is_eligible(void);
u32 ub_task_decline_reason(void);
u32 ub_regs_decline_reason(const struct pt_regs *regs);

static inline bool ub_regs_are_eligible(const struct pt_regs *regs, u64 ax)
{
	/* False after SYSCALL only if a tracer changed the registers. */
	if (regs->cs != __USER_CS || regs->cx != regs->ip ||
	    regs->r11 != regs->flags)
		return false;
	if (regs->flags & UB_INELIGIBLE_FLAGS)
		return false;
	if (regs->sp >= TASK_SIZE_MAX)
		return false;
	/* A restart needs the signal code in the return to user mode. */
	return ax < (unsigned long)-ERESTART_RESTARTBLOCK ||
	       ax > (unsigned long)-ERESTARTSYS;
}

#endif /* _UB_ELIGIBLE_H */
