/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples of runs: the time of the gaps of entries, native and translated, and the number
 * of dispatches.
 */
#ifndef _UB_SAMPLE_H
#define _UB_SAMPLE_H

#include <linux/types.h>

struct pt_regs;
struct ub_proc;
struct ub_region;

/* The sample taken of a run. */
enum ub_sample {
	UB_SAMPLE_NONE,
	UB_SAMPLE_GAP,		/* exit before the first call: time the gap */
	UB_SAMPLE_RUN,		/* count dispatches, time entry and exit */
	UB_SAMPLE_NATIVE,		/* do not run: time the gap natively */
	UB_SAMPLE_PASS,		/* do not run, time nothing */
};

void ub_sample_native(struct ub_proc *proc, const struct pt_regs *regs);
void ub_sample_boosted(struct ub_proc *proc, u64 ip, u32 nr, u64 cycles);
void ub_sample_run(struct ub_proc *proc, u64 ip, u32 nr, u64 dispatched, u64 overhead);
void ub_sample_reset(struct ub_proc *proc, u64 ip, u32 nr);
bool ub_sample_margin(const struct ub_region *region, s64 *margin);

#endif /* _UB_SAMPLE_H */
