// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sites of attached processes are hot, and what their gaps cost natively.
 *
 * The time from the end of one hooked call to the start of the same task's next is
 * the gap after the first call's site (its resume address), plus a transition.  A
 * site is timed a few dozen times and then decided: hot, too rare, or too long.  Heat
 * must last: a site is looked at again a little later before it counts as hot.  What
 * is decided is asleep: the trampoline knows it and does not come here.  Every
 * UB_TUNE_REARM_MS all wake, so that changed behaviour is found.
 *
 * Everything here is lossy on purpose: threads race, a lost sample changes nothing.
 */
#include <linux/entry-common.h>
#include <linux/hash.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <asm/syscall.h>
#include <asm/tsc.h>

#include "internal.h"

#define UB_SAMPLES	256	/* gaps that decide about a site, at most */
#define UB_AGAIN	24	/* are enough to say that it is as it was */
#define UB_FAR		4	/* times as long as may be is beyond doubt */
#define UB_FIRST	8	/* samples of which the least counts */
#define UB_TRIES	2	/* times as many calls may be needed for them */
#define UB_WAYS		4	/* places in the table where a site may be */
#define UB_REPORT_MAX	6	/* reports get rarer up to 2^6 epochs */
#define UB_TRACED	6	/* first ones with which its way may be traced */
#define UB_ANYWAY	2	/* the same, even if gaps are as they were */
#define UB_LASTING_MS	100	/* heat must last for so long, if the window does */
#define UB_WARM_MAX	2	/* epochs in which a site may seem hot in vain */
#define UB_NAPS		6	/* of an idle entry, before it is given up */
#define UB_GOOD		32	/* runs after which it has earned another try */
#define UB_WAIT_NS	(100 * NSEC_PER_MSEC)	/* at most, while others are traced */
#define UB_WAIT_MS	10	/* between two looks whether they are */
#define UB_TURNS	8	/* samples from one look at the clock to the next */
#define UB_LOOK_NS	250	/* what it takes to time a gap, about */
#define UB_STEPS_LEAST	64	/* of a way, to be sure of its end */

/* Sites that are asleep.  The trampoline looks here; two ways. */
u64 ub_cold[UB_COLD_SIZE];
/* Calls that it let pass, by the number that stands in ub_filter. */
DEFINE_PER_CPU(u64 [UB_FILTER_BUSY + 1], ub_cold_calls);
/* The call whose gap is being timed.  The trampoline looks at .task. */
DEFINE_PER_CPU(struct ub_last, ub_last);

static u32 ub_epoch = 1;
static void ub_rearm(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_rearm_work, ub_rearm);
static void ub_wake(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_wake_work, ub_wake);

/* The trampoline computes the same. */
static u64 ub_cold_tag(const struct ub_proc *proc, u64 ip)
{
	return ((unsigned long)proc->mm >> 6) ^ ip;
}

static void ub_site_sleep(const struct ub_proc *proc, u64 ip)
{
	u64 tag = ub_cold_tag(proc, ip);
	u32 at = tag & (UB_COLD_SIZE - 1);

	/* Calls that the trampoline lets pass must be counted for somebody. */
	if (READ_ONCE(proc->number) == UB_FILTER_BUSY)
		return;
	if (READ_ONCE(ub_cold[at]) && READ_ONCE(ub_cold[at]) != tag)
		at ^= 1;
	WRITE_ONCE(ub_cold[at], tag);
}

static void ub_site_wake(const struct ub_proc *proc, u64 ip)
{
	u64 tag = ub_cold_tag(proc, ip);
	u32 at = tag & (UB_COLD_SIZE - 1);
	int way;

	for (way = 0; way < 2; way++, at ^= 1)
		if (READ_ONCE(ub_cold[at]) == tag)
			WRITE_ONCE(ub_cold[at], 0);
}

/* Who is decided goes to sleep again at its next call. */
static void ub_wake(struct work_struct *work)
{
	u32 i;

	for (i = 0; i < UB_COLD_SIZE; i++)
		if (READ_ONCE(ub_cold[i]))
			WRITE_ONCE(ub_cold[i], 0);
}

static void ub_rearm(struct work_struct *work)
{
	ub_rest_look(ub_epoch);
	ub_hook_look();
	WRITE_ONCE(ub_epoch, ub_epoch + 1);
	ub_wake(work);
	if (atomic_read(&ub_attached))
		schedule_delayed_work(&ub_rearm_work,
				      msecs_to_jiffies(ub_tune(UB_TUNE_REARM_MS)));
}

/* A process was attached; an earlier one may have had its mm. */
void ub_detect_start(void)
{
	mod_delayed_work(system_wq, &ub_rearm_work, 0);
}

void ub_detect_exit(void)
{
	cancel_delayed_work_sync(&ub_rearm_work);
	cancel_delayed_work_sync(&ub_wake_work);
}

/* With .claim, a place is made for a site that has none. */
static struct ub_site *ub_site_of(struct ub_proc *proc, u64 ip, bool claim)
{
	u32 base = hash_64(ip, ilog2(UB_SITES)), way;
	u32 epoch = READ_ONCE(ub_epoch);
	struct ub_site *victim = NULL;

	for (way = 0; way < UB_WAYS; way++) {
		struct ub_site *site = &proc->sites[(base + way) & (UB_SITES - 1)];
		u64 there = READ_ONCE(site->ip);

		if (there == ip)
			return site;
		/* Those that are still at work keep their places. */
		if (!victim && (!there || epoch - READ_ONCE(site->epoch) > 1))
			victim = site;
	}
	if (!claim || !victim)
		return NULL;
	memset(victim, 0, sizeof(*victim));
	WRITE_ONCE(victim->ip, ip);
	return victim;
}

/*
 * A moving average that no single interrupt can spoil; UB_FRACTION bits behind.  .before:
 * samples there were.  Of the first ones the least counts: what runs for the first time
 * takes many times longer.
 */
static void ub_average(u64 *average, u64 sample, u32 before)
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

static u64 ub_cycles(u64 ns)
{
	return div64_u64(ns * tsc_khz, 1000000);
}

/* Gaps that decide about a site: a burst of a few is not worth a region. */
static u64 ub_needed(void)
{
	return min_t(u64, ub_tune(UB_TUNE_HOT_CALLS), UB_SAMPLES);
}

static u64 ub_lasting_ns(void)
{
	return min_t(u64, ub_tune(UB_TUNE_WINDOW_MS), UB_LASTING_MS) * NSEC_PER_MSEC;
}

/*
 * The site is hot at .now.  Was it so a little earlier?  Else it sleeps until it is time
 * to ask again: clients that connect make bursts of calls, which no region is worth.
 */
static bool ub_has_lasted(struct ub_proc *proc, struct ub_site *site, u64 now)
{
	u64 window = ub_tune(UB_TUNE_WINDOW_MS) * NSEC_PER_MSEC;
	u64 lasting = ub_lasting_ns();
	u64 since = now - site->promised_ns;

	if (site->promised_ns && since >= lasting && since <= lasting + 2 * window) {
		site->start_ns = now;
		return true;
	}
	if (!site->promised_ns || since >= lasting)
		site->promised_ns = now;
	site->samples = 0;
	site->tries = 0;
	site->start_ns = 0;
	ub_site_sleep(proc, site->ip);
	queue_delayed_work(system_wq, &ub_wake_work, nsecs_to_jiffies(lasting) + 1);
	return false;
}

/* Does a gap that took .before take .now?  Give or take an eighth. */
static bool ub_is_about(u64 now, u64 before)
{
	return now >= before - before / 8 && now <= before + before / 8;
}

/* Would user space try it again, now that a gap that took .before takes .now? */
static bool ub_is_other(u64 now, u64 before)
{
	return now > 2 * before || 2 * now < before;
}

/* Has user space been told how hot it is, and nothing has changed since? */
bool ub_detect_is_known(const struct ub_site *site)
{
	return READ_ONCE(site->reports) &&
	       ub_is_about(READ_ONCE(site->native), READ_ONCE(site->told));
}

/* Nobody has looked at the process for a while: what was found out is of another time. */
void ub_detect_anew(struct ub_proc *proc)
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

/*
 * Not decided yet, but with so many calls that it may well turn out to be hot?  Asked at
 * the end of an epoch.  One that so often was and came to nothing is taken at its word:
 * clients that come and go make bursts of calls again and again.
 */
bool ub_detect_is_warm(struct ub_site *site)
{
	u64 promised = READ_ONCE(site->promised_ns);

	if (2 * (u64)READ_ONCE(site->samples) < ub_needed() &&
	    (!promised || ktime_get_mono_fast_ns() - promised >=
			  ub_tune(UB_TUNE_REARM_MS) * NSEC_PER_MSEC))
		return false;
	if (READ_ONCE(site->warm) >= UB_WARM_MAX)
		return false;
	WRITE_ONCE(site->warm, site->warm + 1);
	return true;
}

/* Have most of its calls come to nothing?  Those that are known for it need fewer. */
static bool ub_is_busy(const struct ub_site *site)
{
	u64 need = ub_needed();

	if (site->before == UB_SITE_BUSY && site->samples < UB_AGAIN)
		need = min_t(u64, need, UB_AGAIN);
	return site->tries > UB_TRIES * need;
}

/* Some gaps of it would do to say so. */
static bool ub_is_far_too_long(const struct ub_site *site)
{
	return site->native >> UB_FRACTION >
	       UB_FAR * ub_cycles(ub_tune(UB_TUNE_GAP_NS));
}

/* What .need gaps say about a site, or UB_SITE_OPEN. */
static u8 ub_verdict(const struct ub_site *site, u64 need, u64 now)
{
	u64 calls = ub_tune(UB_TUNE_HOT_CALLS);
	u64 window = ub_tune(UB_TUNE_WINDOW_MS) * NSEC_PER_MSEC;
	u64 passed = now - site->start_ns;

	if (site->samples < need)
		return passed > window && passed * calls > need * window ?
		       UB_SITE_RARE : UB_SITE_OPEN;
	if (passed * calls > site->samples * window)
		return UB_SITE_RARE;
	if ((site->native >> UB_FRACTION) > ub_cycles(ub_tune(UB_TUNE_GAP_NS)))
		return UB_SITE_LONG;
	return UB_SITE_HOT;
}

/* Is what was found out about the site this time enough? */
static void ub_decide(struct ub_proc *proc, struct ub_site *site)
{
	u64 need = ub_needed(), now;
	u8 verdict;

	/* Looking at the clock costs more than all the rest. */
	if (site->samples % UB_TURNS && site->samples < need)
		return;
	now = ktime_get_mono_fast_ns();

	/* Most sites are as they were, or beyond doubt, which costs little to find. */
	verdict = ub_verdict(site, min_t(u64, need, UB_AGAIN), now);
	if (verdict != site->before && !ub_is_far_too_long(site))
		verdict = ub_verdict(site, need, now);
	if (verdict == UB_SITE_HOT && site->before != UB_SITE_HOT &&
	    !ub_has_lasted(proc, site, now))
		return;
	if (verdict == UB_SITE_HOT)
		WRITE_ONCE(site->warm, 0);
	site->verdict = verdict;
}

/* A hooked call begins while a gap of this task is being timed. */
void ub_detect_before(u64 now)
{
	struct ub_site *site;
	struct ub_proc *proc;
	struct ub_last last;

	preempt_disable();
	last = *this_cpu_ptr(&ub_last);
	__this_cpu_write(ub_last.task, NULL);
	preempt_enable();
	if (last.task != current)
		return;

	rcu_read_lock();
	proc = ub_proc_of_mm(current->mm);
	site = proc ? ub_site_of(proc, last.ip, false) : NULL;
	if (site) {
		ub_average(&site->native, now - last.tsc, site->native_samples);
		site->native_samples++;
		site->samples++;
		if (site->verdict == UB_SITE_OPEN)
			ub_decide(proc, site);
	}
	rcu_read_unlock();
}

static void ub_time_gap(u64 ip)
{
	preempt_disable();
	__this_cpu_write(ub_last.ip, ip);
	__this_cpu_write(ub_last.tsc, rdtsc());
	__this_cpu_write(ub_last.task, current);
	preempt_enable();
}

/*
 * In how many steps its gap should be over: many instructions take less than a cycle,
 * but the transition, which is none of them, takes hundreds.
 */
static u32 ub_steps_of(const struct ub_site *site)
{
	u64 cycles = READ_ONCE(site->native) >> UB_FRACTION;

	return min_t(u64, max_t(u64, cycles, UB_STEPS_LEAST),
		     ub_tune(UB_TUNE_PATH_STEPS));
}

/*
 * Returns false if the site's way is better waited for: without it user space would
 * have to guess, and build what loses.
 */
static bool ub_report_hot(struct ub_proc *proc, struct ub_site *site,
			  struct pt_regs *regs, u64 ax)
{
	struct ub_event event = {
		.type = UB_EVENT_HOT,
		.nr = site->nr,
		.ip = regs->ip,
		.sp = regs->sp,
		.gap_ns = div64_u64((site->native >> UB_FRACTION) * 1000000,
				    tsc_khz ?: 1),
	};
	u32 odd = ub_oddity(regs, ax);
	u32 steps = ub_steps_of(site);
	bool ordinary = !odd;

	if (!site->reports && steps && !(ordinary && ub_step_begin(proc, regs, true, steps))) {
		u64 cost = ub_cost_clamp(ub_step_cost(steps));

		if (ordinary && ub_cost_left(proc, cost) < cost) {
			ub_cost_pause(proc, cost);
			return false;
		}
		if (ktime_get_mono_fast_ns() - site->start_ns < UB_WAIT_NS)
			return false;
	}
	/* It may have become another way meanwhile; steps cost the program a lot. */
	if (site->reports && site->reports < UB_TRACED && ordinary &&
	    (site->reports < UB_ANYWAY || ub_is_other(site->native, site->traced)) &&
	    ub_step_begin(proc, regs, false, steps))
		site->traced = site->native;
	/* One that nobody takes up, or that is known already, gets rarer. */
	site->next_report = site->epoch + (1U << site->reports);
	if (site->reports < UB_REPORT_MAX)
		site->reports++;
	site->told = site->native;
	if (odd) {
		event.exit = odd;
		ub_count_decline(proc, odd);
	}
	ub_event_with_stack(proc, &event);
	return true;
}

/*
 * A hooked call ended with .ax, and its resume address is no entry.  With preemption
 * off.
 */
void ub_detect_after(struct ub_proc *proc, struct pt_regs *regs, u64 ax)
{
	u32 epoch = READ_ONCE(ub_epoch);
	struct ub_site *site;

	/* It is here for another's sake only, whose word of the filter is the same. */
	if (!READ_ONCE(proc->looked))
		return;
	site = ub_site_of(proc, regs->ip, true);
	if (!site) {
		/* No place this time: not every time anew. */
		ub_site_sleep(proc, regs->ip);
		return;
	}
	if (site->epoch != epoch) {
		site->epoch = epoch;
		site->samples = 0;
		site->tries = 0;
		site->before = site->verdict;
		site->verdict = UB_SITE_OPEN;
		site->start_ns = ktime_get_mono_fast_ns();
		site->nr = regs->orig_ax;
	}
	if (!site->start_ns) {
		u64 now = ktime_get_mono_fast_ns();

		/* Woken for another's sake, or here since another's gap was timed. */
		if (now - site->promised_ns < ub_lasting_ns()) {
			ub_site_sleep(proc, regs->ip);
			return;
		}
		site->start_ns = now;
	}
	if (site->verdict == UB_SITE_OPEN) {
		if (ub_cost_left(proc, UB_LOOK_NS) < UB_LOOK_NS) {
			ub_cost_pause(proc, 0);
			ub_site_sleep(proc, regs->ip);
			return;
		}
		atomic64_add(UB_LOOK_NS, &proc->spent_ns);
		site->tries++;
		if (ub_is_busy(site))
			site->verdict = UB_SITE_BUSY;
	}
	if (site->verdict == UB_SITE_OPEN) {
		/* What the kernel does on the way out is no part of the gap. */
		if (!(READ_ONCE(current_thread_info()->flags) & UB_THREAD_WORK))
			ub_time_gap(regs->ip);
		return;
	}
	if (site->verdict == UB_SITE_HOT &&
	    (!site->reports || (s32)(epoch - site->next_report) >= 0) &&
	    !ub_report_hot(proc, site, regs, ax))
		mod_delayed_work(system_wq, &ub_wake_work, msecs_to_jiffies(UB_WAIT_MS));
	ub_site_sleep(proc, regs->ip);
}

/* ---- entries: what they cost natively and boosted -------------------------- */

static struct ub_site *ub_site_of_entry(struct ub_proc *proc, u64 ip)
{
	struct ub_site *site = ub_site_of(proc, ip, true);
	u32 epoch = READ_ONCE(ub_epoch);

	if (site && (site->epoch != epoch || site->verdict != UB_SITE_ENTRY)) {
		site->epoch = epoch;
		site->verdict = UB_SITE_ENTRY;
	}
	return site;
}

/* The site has become an entry of a new region. */
void ub_detect_entry(struct ub_proc *proc, u64 ip)
{
	ub_site_wake(proc, ip);
}

/*
 * It has become an entry of a region on trial: what is known of another translation does
 * not count.
 */
void ub_detect_fresh(struct ub_proc *proc, u64 ip)
{
	struct ub_site *site = ub_site_of(proc, ip, false);

	if (!site)
		return;
	WRITE_ONCE(site->boosted_samples, 0);
	WRITE_ONCE(site->boosted, 0);
	WRITE_ONCE(site->overhead, 0);
	WRITE_ONCE(site->runs, 0);
	WRITE_ONCE(site->dispatched, 0);
}

/* The entry at regs->ip is not taken this time, to see what that costs. */
void ub_control_native(struct ub_proc *proc, const struct pt_regs *regs)
{
	struct ub_site *site = ub_site_of_entry(proc, regs->ip);

	if (!site)
		return;
	site->nr = regs->orig_ax;
	ub_time_gap(regs->ip);
}

/* A run that ended before its first system call took so long. */
void ub_control_boosted(struct ub_proc *proc, u64 ip, u64 cycles)
{
	struct ub_site *site = ub_site_of_entry(proc, ip);

	if (!site)
		return;
	ub_average(&site->boosted, cycles, site->boosted_samples);
	site->boosted_samples++;
}

/* A run that was looked at: what it dispatched, and what getting in and out took. */
void ub_control_run(struct ub_proc *proc, u64 ip, u64 dispatched, u64 overhead)
{
	struct ub_site *site = ub_site_of_entry(proc, ip);

	if (!site)
		return;
	ub_average(&site->overhead, overhead, site->runs);
	site->runs++;
	site->dispatched += dispatched;
}

/* Is the entry not to be taken yet, or not any more? */
bool ub_detect_is_left(const struct ub_idle *idle)
{
	u8 naps = READ_ONCE(idle->naps);

	return naps > UB_NAPS ||
	       (naps && (s32)(READ_ONCE(idle->until) - READ_ONCE(ub_epoch)) > 0);
}

/* All sites have been woken, but this one is not to be taken. */
void ub_detect_leave(struct ub_region *region, u32 entry)
{
	ub_site_sleep(region->proc, region->entries[entry].user_ip);
}

/*
 * An entry was taken and something was dispatched, or it was not.  One that is taken in
 * vain more than two times out of three is left alone, each time for twice as many
 * epochs, and in the end for as long as its region does not change.  What a run that
 * dispatches is worth is not for us to say.
 */
void ub_detect_run(struct ub_region *region, u32 entry, bool dispatched)
{
	struct ub_idle *idle = &region->idle[entry];
	u32 runs = READ_ONCE(idle->runs);

	if (likely(dispatched)) {
		if (runs) {
			WRITE_ONCE(idle->runs, runs - min(runs, 2U));
			WRITE_ONCE(idle->good, READ_ONCE(idle->good) + 1);
		}
		return;
	}
	if (++runs > ub_tune(UB_TUNE_IDLE_RUNS)) {
		u8 naps = READ_ONCE(idle->good) >= UB_GOOD ? 0 : READ_ONCE(idle->naps);

		runs = 0;
		WRITE_ONCE(idle->good, 0);
		WRITE_ONCE(idle->until, READ_ONCE(ub_epoch) + (1U << naps));
		WRITE_ONCE(idle->naps, naps + 1);
		ub_detect_leave(region, entry);
	}
	WRITE_ONCE(idle->runs, runs);
}

/* For user space: up to max sites, unsorted; how many there are. */
u32 ub_detect_sites(struct ub_proc *proc, struct ub_site_info *to, u32 max)
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

/*
 * By how many ns the gaps of a region's entries are shorter than natively, on average by
 * the runs that were looked at; below 0 if they are longer.  False if nothing is known.
 * Racy, as all here; from any context.
 */
bool ub_detect_margin(const struct ub_region *region, s64 *margin)
{
	u64 weights = 0;
	s64 sum = 0;
	u32 i;

	for (i = 0; i < region->nr_entries; i++) {
		const struct ub_site *site = ub_site_of(region->proc,
							region->entries[i].user_ip, false);
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
