// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sites of a process.
 *
 * A site with a verdict is parked: the trampoline finds it in ub_parked[] and lets its
 * calls pass.  Threads race without locks here, on purpose: a lost sample does no harm.
 */
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <asm/tsc.h>

#include "proc.h"
#include "site_table.h"

#define UB_WAYS		4	/* slots of the table in which a site may be */

/* Parked sites: a two-way set-associative cache.  The trampoline reads it. */
u64 ub_parked[UB_PARKED_SIZE];

u32 ub_epoch = 1;

/* Must match the tag in the trampoline. */
static u64 ub_parked_tag(const struct ub_proc *proc, u64 ip, u32 nr)
{
	return (unsigned long)proc->mm ^ ip ^ (nr * UB_PARKED_NR);
}

void ub_site_park(const struct ub_proc *proc, u64 ip, u32 nr)
{
	u64 tag = ub_parked_tag(proc, ip, nr);
	u32 at = tag & (UB_PARKED_SIZE - 1);

	/* Without a counter for passed calls the trampoline must not let calls pass. */
	if (READ_ONCE(proc->number) == UB_FILTER_BUSY)
		return;
	if (READ_ONCE(ub_parked[at]) && READ_ONCE(ub_parked[at]) != tag)
		at ^= 1;
	WRITE_ONCE(ub_parked[at], tag);
}

void ub_site_unpark(const struct ub_proc *proc, u64 ip, u32 nr)
{
	u64 tag = ub_parked_tag(proc, ip, nr);
	u32 at = tag & (UB_PARKED_SIZE - 1);
	int way;

	for (way = 0; way < 2; way++, at ^= 1)
		if (READ_ONCE(ub_parked[at]) == tag)
			WRITE_ONCE(ub_parked[at], 0);
}

/* A site that keeps its verdict is parked again at its next call. */
void ub_sites_unpark_all(void)
{
	u32 i;

	for (i = 0; i < UB_PARKED_SIZE; i++)
		if (READ_ONCE(ub_parked[i]))
			WRITE_ONCE(ub_parked[i], 0);
}

/* The site of call .nr at .ip.  With .claim, a slot is allocated if the site has none. */
struct ub_site *ub_site_of(struct ub_proc *proc, u64 ip, u32 nr, bool claim)
{
	u32 base = hash_64(ip ^ (u64)nr << 48, ilog2(UB_SITES)), way;
	u32 epoch = READ_ONCE(ub_epoch);
	struct ub_site *victim = NULL;

	for (way = 0; way < UB_WAYS; way++) {
		struct ub_site *site = &proc->sites[(base + way) & (UB_SITES - 1)];
		u64 there = READ_ONCE(site->ip);

		if (there == ip && READ_ONCE(site->nr) == nr)
			return site;
		/* Sites of this epoch and of the last one are not evicted. */
		if (!victim && (!there || epoch - READ_ONCE(site->epoch) > 1))
			victim = site;
	}
	if (!claim || !victim)
		return NULL;
	memset(victim, 0, sizeof(*victim));
	WRITE_ONCE(victim->nr, nr);
	WRITE_ONCE(victim->ip, ip);
	return victim;
}

/*
 * A call was hooked.  Not all calls are noted: of parked sites the first one in an epoch, of
 * entries those that may be sampled, in turn whatever calls are made there.
 */
void ub_sites_note_call(struct ub_proc *proc, u32 nr)
{
	u32 *made = &proc->made[nr & (UB_CALLS - 1)], epoch = READ_ONCE(ub_epoch);

	/* All threads write it: once in an epoch is enough. */
	if (READ_ONCE(*made) != epoch)
		WRITE_ONCE(*made, epoch);
}

/* The process was not sampled for a while: samples of its sites are stale. */
void ub_sites_restart(struct ub_proc *proc)
{
	u64 now = ktime_get_mono_fast_ns();
	u32 i;

	for (i = 0; i < UB_SITES; i++) {
		struct ub_site *site = &proc->sites[i];

		if (READ_ONCE(site->verdict) != UB_SITE_OPEN)
			continue;
		site->samples = 0;
		site->tries = 0;
		site->start_ns = 0;
		if (site->promised_ns)
			site->promised_ns = now;
	}
}

/* For user space: copies up to .max sites, unsorted; returns their number. */
u32 ub_sites_list(struct ub_proc *proc, struct ub_site_info *to, u32 max)
{
	u64 khz = tsc_khz ?: 1;
	u32 i, n = 0;

	for (i = 0; i < UB_SITES && n < max; i++) {
		struct ub_site *site = &proc->sites[i];
		struct ub_site_info info = {
			.ip = READ_ONCE(site->ip),
			.nr = READ_ONCE(site->nr),
			.verdict = READ_ONCE(site->verdict),
			.native_ns = div64_u64(((site->native * 1000000) /
						khz), 1 << UB_FRACTION),
			.boosted_ns = div64_u64(((site->boosted * 1000000) /
						 khz), 1 << UB_FRACTION),
			.overhead_ns = div64_u64(((site->overhead * 1000000) /
						  khz), 1 << UB_FRACTION),
			.native_samples = READ_ONCE(site->native_samples),
			.boosted_samples = READ_ONCE(site->boosted_samples),
			.runs = READ_ONCE(site->runs),
			.dispatched = READ_ONCE(site->dispatched),
		};

		if (info.ip)
			to[n++] = info;
	}
	return n;
}
