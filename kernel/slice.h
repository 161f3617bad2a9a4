/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bounds the time of segments, which run with preemption off: few instructions, or a timer
 * that ends them.
 */
#ifndef _UB_SLICE_H
#define _UB_SLICE_H

#include <linux/percpu.h>
#include <linux/types.h>

/* Instructions of a segment while no timer runs on its CPU. */
#define UB_SLICE_BUDGET		4096
/* Budget of a segment that the timer ends: less than segments themselves come to. */
#define UB_SLICE_TAKEN		(-(1 << 30))

/* Budget of the next segment on this CPU; read at entries and dispatches. */
DECLARE_PER_CPU(u32, ub_budget);

void ub_slice_begin(void);
void ub_slice_tuned(void);
void ub_slice_init(void);
void ub_slice_exit(void);

#endif /* _UB_SLICE_H */
