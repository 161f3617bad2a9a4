// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backoff of entries from which nothing is dispatched.
 *
 * Racy, as is all site data: a lost update does no harm.
 */
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "backoff.h"
#include "region.h"
#include "site_table.h"
#include "tunables.h"

#define UB_BACKOFF_MAX		6	/* backoffs, then the entry is given up */
#define UB_BACKOFF_FORGET	32	/* runs with a dispatch that reset the count */

/* True if the entry must not be taken in this epoch, or never again. */
bool ub_backoff_holds(const struct ub_backoff *backoff)
{
	u8 times = READ_ONCE(backoff->times);

	return times > UB_BACKOFF_MAX ||
	       (times && (s32)(READ_ONCE(backoff->until) - READ_ONCE(ub_epoch)) > 0);
}

/* Park the entry again: all sites were unparked, but its backoff is not over. */
void ub_backoff_park(struct ub_region *region, u32 entry)
{
	ub_site_park(region->proc, region->entries[entry].user_ip,
		     region->entries[entry].nr);
}

/*
 * Account for a run from an entry, with or without a dispatch.  If more than two of three
 * runs dispatch nothing, the entry is not taken for one epoch, then for two, four and so on,
 * and finally until its region changes.  Whether runs with a dispatch pay is not decided
 * here.
 */
void ub_backoff_run(struct ub_region *region, struct ub_backoff *backoff, bool dispatched)
{
	u32 runs = READ_ONCE(backoff->runs);

	if (likely(dispatched)) {
		if (runs) {
			WRITE_ONCE(backoff->runs, runs - min(runs, 2U));
			WRITE_ONCE(backoff->good, READ_ONCE(backoff->good) + 1);
		}
		return;
	}
	if (++runs > ub_tune(UB_TUNE_IDLE_RUNS)) {
		u8 times = READ_ONCE(backoff->times);

		if (READ_ONCE(backoff->good) >= UB_BACKOFF_FORGET)
			times = 0;
		runs = 0;
		WRITE_ONCE(backoff->good, 0);
		WRITE_ONCE(backoff->until, READ_ONCE(ub_epoch) + (1U << times));
		WRITE_ONCE(backoff->times, times + 1);
		ub_backoff_park(region, backoff - region->backoff);
	}
	WRITE_ONCE(backoff->runs, runs);
}
