/* SPDX-License-Identifier: GPL-2.0-only */
/* Seccomp filters: which tasks with one are eligible, and whether filters allow a call. */
#ifndef _UB_SECCOMP_H
#define _UB_SECCOMP_H

#include <linux/types.h>

struct pt_regs;
struct task_struct;

/* Offsets of members of struct seccomp_filter, in bytes. */
extern struct ub_seccomp_layout {
	u32 prev;		/* struct seccomp_filter * */
	u32 prog;		/* struct bpf_prog * */
	u32 allowed;		/* bitmap by number of the call */
	u32 calls;		/* bits of .allowed; 0: there is no bitmap */
} ub_seccomp_layout;

void ub_seccomp_init(void);
bool ub_seccomp_usable(void);
bool ub_seccomp_serves(const struct task_struct *task, unsigned long work);
bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr);
void ub_seccomp_rehearse(const struct pt_regs *regs);

#endif /* _UB_SECCOMP_H */
