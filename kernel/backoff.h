/* SPDX-License-Identifier: GPL-2.0-only */
/* Backoff of entries from which nothing is dispatched: they are not taken for some epochs. */
#ifndef _UB_BACKOFF_H
#define _UB_BACKOFF_H

#include <linux/types.h>

struct ub_region;

/* One for each entry; racy. */
struct ub_backoff {
	u32 runs;		/* without a dispatch, minus two for each run with one */
	u32 good;		/* runs with a dispatch since the last backoff */
	u32 until;		/* first epoch in which the entry may be taken again */
	u8 times;		/* consecutive backoffs without enough good runs in between */
	u8 samples;		/* samples while on trial, modulo the cycle length */
	u8 traced;		/* gaps traced while on trial */
};

bool ub_backoff_holds(const struct ub_backoff *backoff);
void ub_backoff_park(struct ub_region *region, u32 entry);
void ub_backoff_run(struct ub_region *region, struct ub_backoff *backoff, bool dispatched);

#endif /* _UB_BACKOFF_H */
