/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of a run: completes the user state, and counts. */
#ifndef _UB_LEAVE_H
#define _UB_LEAVE_H

#include <linux/types.h>

struct pt_regs;

/* What the caller of ub_enter() learns of a run, if it asks. */
struct ub_outcome {
	u64 ended;		/* TSC when the code was left */
	u32 reason;		/* enum ub_exit_reason; 0: the task is being killed */
	bool dispatched;	/* at least one call was */
};

/*
 * ub_frame.account is the struct ub_backoff * of the entry, or a struct ub_outcome *, plus
 * bits that say so, and whether softirqs are off and the FPU registers the user's.
 */
#define UB_ACCOUNT_OUTCOME	1UL
#define UB_ACCOUNT_VECTOR	2UL
#define UB_ACCOUNT_BITS		(UB_ACCOUNT_OUTCOME | UB_ACCOUNT_VECTOR)

void ub_left(struct pt_regs *regs, u64 host_flags);	/* called by ub_leave only */

#endif /* _UB_LEAVE_H */
