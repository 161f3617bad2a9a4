/* SPDX-License-Identifier: GPL-2.0-only */
/* Gap tracing: single-steps one gap and hands its path to user space. */
#ifndef _UB_TRACE_GAP_H
#define _UB_TRACE_GAP_H

#include <linux/types.h>

#include "ub.h"

struct pt_regs;
struct ub_proc;

int ub_trace_gap_init(void);
void ub_trace_gap_exit(void);
bool ub_trace_gap_begin(struct ub_proc *proc, struct pt_regs *regs, u32 nr, bool urgent,
			u32 steps);
u64 ub_trace_gap_cost(u32 steps);
bool ub_trace_gap_is_on(void);
int ub_trace_gap_take(struct ub_proc *proc, struct ub_path *path);

#endif /* _UB_TRACE_GAP_H */
