/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One site of a process, with its samples and verdict.  proc.h holds a table of sites,
 * site_table.h the functions on that table.
 */
#ifndef _UB_SITE_H
#define _UB_SITE_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "retrace.h"
#include "ub.h"

#define UB_SITES		UB_SITES_MAX	/* power of two */
#define UB_FIRST		8	/* first samples, of which the least counts */
#define UB_FRACTION		4	/* fraction bits of averages */

struct ub_site {
	u64 ip;			/* resume address, with .nr the identity */
	u64 start_ns;		/* CLOCK_MONOTONIC, of the first call since it was
				 * unparked, or 0; of the verdict, if hot
				 */
	u64 promised_ns;	/* CLOCK_MONOTONIC, when it was first found hot, or 0 */
	u64 native;		/* gap and transition, cycles, UB_FRACTION */
	u64 boosted;		/* the same gap in a translation; same unit */
	u64 overhead;		/* of a run; same unit */
	u64 reported;		/* .native at the last report */
	u64 traced;		/* .native when its gap was traced, once it was hot */
	u64 runs;		/* sampled runs */
	u64 dispatched;		/* dispatches in them */
	u32 native_samples, boosted_samples;
	u32 nr;
	u32 epoch;		/* of the following fields */
	u32 samples, tries;
	u32 next_report;	/* epoch */
	u8 reports;
	u8 verdict;		/* enum ub_site_verdict */
	u8 before;		/* the previous verdict */
	u8 warm;		/* epochs in which it was warm, but not hot */
	struct ub_retrace retrace;
};

/*
 * Moving average with UB_FRACTION fraction bits, robust against a single interrupt.
 * .before: number of earlier samples.  Of the first samples the least counts: code that runs
 * for the first time takes many times longer.
 */
static inline void ub_site_average(u64 *average, u64 sample, u32 before)
{
	u64 old = READ_ONCE(*average);

	sample = min_t(u64, sample, U32_MAX) << UB_FRACTION;
	if (old && before < UB_FIRST) {
		sample = min(sample, old);
	} else if (old) {
		sample = min(sample, 2 * old);
		sample = old - (old >> 3) + (sample >> 3);
	}
	WRITE_ONCE(*average, sample ?: 1);
}

#endif /* _UB_SITE_H */
