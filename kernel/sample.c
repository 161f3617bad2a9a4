// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples of runs and of the gaps of entries.
 *
 * Some entries are not taken, which times their gaps natively; some runs exit before their
 * first dispatch, which times the same gaps in the translation; of some runs the dispatches
 * are counted, and entry and exit timed.  Racy, as is all site data.
 */
#include <linux/math64.h>
#include <linux/ptrace.h>
#include <asm/tsc.h>

#include "gap.h"
#include "proc.h"
#include "region.h"
#include "sample.h"
#include "site_table.h"

static struct ub_site *ub_site_of_entry(struct ub_proc *proc, u64 ip, u32 nr)
{
	struct ub_site *site = ub_site_of(proc, ip, nr, true);
	u32 epoch = READ_ONCE(ub_epoch);

	if (site && (site->epoch != epoch || site->verdict != UB_SITE_ENTRY)) {
		site->epoch = epoch;
		site->verdict = UB_SITE_ENTRY;
	}
	return site;
}

/*
 * The site has become an entry of a region on trial: discard the samples of any other
 * translation.
 */
void ub_sample_reset(struct ub_proc *proc, u64 ip, u32 nr)
{
	struct ub_site *site = ub_site_of(proc, ip, nr, false);

	if (!site)
		return;
	WRITE_ONCE(site->boosted_samples, 0);
	WRITE_ONCE(site->boosted, 0);
	WRITE_ONCE(site->overhead, 0);
	WRITE_ONCE(site->runs, 0);
	WRITE_ONCE(site->dispatched, 0);
}

/* The entry behind the call of .regs is not taken this time: start timing its gap natively. */
void ub_sample_native(struct ub_proc *proc, const struct pt_regs *regs)
{
	if (ub_site_of_entry(proc, regs->ip, regs->orig_ax))
		ub_gap_begin(regs->ip, regs->orig_ax);
}

/* Record a run that took .cycles and exited before its first system call. */
void ub_sample_boosted(struct ub_proc *proc, u64 ip, u32 nr, u64 cycles)
{
	struct ub_site *site = ub_site_of_entry(proc, ip, nr);

	if (!site)
		return;
	ub_site_average(&site->boosted, cycles, site->boosted_samples);
	site->boosted_samples++;
}

/* Record a sampled run: its dispatches, and the cycles of its entry and exit. */
void ub_sample_run(struct ub_proc *proc, u64 ip, u32 nr, u64 dispatched, u64 overhead)
{
	struct ub_site *site = ub_site_of_entry(proc, ip, nr);

	if (!site)
		return;
	ub_site_average(&site->overhead, overhead, site->runs);
	site->runs++;
	site->dispatched += dispatched;
}

/*
 * Set .margin to the time in ns by which the gaps of a region's entries are shorter than
 * natively, averaged over the sampled runs; negative if they are longer.  False without
 * samples.  Racy; from any context.
 */
bool ub_sample_margin(const struct ub_region *region, s64 *margin)
{
	u64 weights = 0;
	s64 sum = 0;
	u32 i;

	for (i = 0; i < region->nr_entries; i++) {
		const struct ub_entry *entry = &region->entries[i];
		const struct ub_site *site = ub_site_of(region->proc, entry->user_ip,
							entry->nr, false);
		u64 runs;

		if (!site || !READ_ONCE(site->native_samples) ||
		    !READ_ONCE(site->boosted_samples))
			continue;
		runs = min_t(u64, READ_ONCE(site->runs), U16_MAX) + 1;
		sum += (s64)runs * ((s64)min_t(u64, READ_ONCE(site->native), U32_MAX) -
				    (s64)min_t(u64, READ_ONCE(site->boosted), U32_MAX));
		weights += runs;
	}
	if (!weights)
		return false;
	*margin = div64_s64(div64_s64(sum, weights) * 1000000, tsc_khz ?: 1) >> UB_FRACTION;
	return true;
}
