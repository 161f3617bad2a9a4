/* SPDX-License-Identifier: GPL-2.0-only */
/* Seccomp filters: which tasks with one are eligible, and whether filters allow a call. */
#ifndef _UB_SECCOMP_H
#define _UB_SECCOMP_H

#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/thread_info.h>
#include <linux/types.h>

struct pt_regs;

/* Offsets of members of struct seccomp_filter, in bytes. */
extern struct ub_seccomp_layout {
	u32 prev;		/* struct seccomp_filter * */
	u32 prog;		/* struct bpf_prog * */
	u32 allowed;		/* bitmap by number of the call */
	u32 calls;		/* bits of .allowed; 0: there is no bitmap */
} ub_seccomp_layout;

/* The layout was found: filters can be run. */
extern bool ub_seccomp_known;

void ub_seccomp_init(void);
bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr);
void ub_seccomp_rehearse(const struct pt_regs *regs);

static inline bool ub_seccomp_usable(void)
{
	return READ_ONCE(ub_seccomp_known);
}

/*
 * True if dispatches can do all of the task's .work, which is not 0.  A task in strict mode,
 * or one that its filter is about to kill, stays native.
 */
static inline bool ub_seccomp_serves(const struct task_struct *task, unsigned long work)
{
#ifdef CONFIG_SECCOMP
	return work == SYSCALL_WORK_SECCOMP && ub_seccomp_usable() &&
	       READ_ONCE(task->seccomp.mode) == SECCOMP_MODE_FILTER;
#else
	return false;
#endif
}

#endif /* _UB_SECCOMP_H */
