// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detects hot sites of attached processes, and times their gaps natively.
 *
 * The time from the end of one hooked call to the start of the same task's next is
 * the gap after the first call's site (its resume address and number), plus a transition.
 * A site is timed a few dozen times and then gets a verdict: hot, too rare, or too long.  A
 * hot site is timed a second time a little later before it is reported.  A site with a
 * verdict is parked: the trampoline lets its calls pass.  Every UB_TUNE_REARM_MS all sites
 * are unparked, so that changed behaviour is found.
 *
 * Threads race without locks here, on purpose: a lost sample does no harm.
 */
#include <linux/entry-common.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/syscall.h>
#include <asm/tsc.h>

#include "detect.h"
#include "eligible.h"
#include "gap.h"
#include "proc.h"
#include "queue.h"
#include "sample_budget.h"
#include "site_table.h"
#include "trace_gap.h"
#include "tunables.h"
#include "ub.h"

#define UB_SAMPLES	256	/* gaps for a verdict, at most */
#define UB_AGAIN	24	/* gaps that confirm the previous verdict */
#define UB_FAR		4	/* multiple of the limit that is far too long */
#define UB_TRIES	2	/* calls for each sample, more make a site busy */
#define UB_REPORT_MAX	6	/* at most 2^6 epochs between two reports */
#define UB_TRACED	6	/* first reports that may trace the gap */
#define UB_ANYWAY	2	/* first reports that trace an unchanged gap, too */
#define UB_LASTING_MS	100	/* time for which a site must be hot; at most the window */
#define UB_WARM_MAX	2	/* epochs in which a site may be warm but not hot */
#define UB_WAIT_NS	(100 * NSEC_PER_MSEC)	/* longest wait for another gap's trace */
#define UB_WAIT_MS	10	/* between two attempts at a trace */
#define UB_TURNS	8	/* samples for each reading of the clock */
#define UB_SAMPLE_NS	250	/* approximate cost of timing a gap */
#define UB_STEPS_LEAST	64	/* least steps for which a trace must be paid */

static void ub_unpark(struct work_struct *work)
{
	ub_sites_unpark_all();
}
static DECLARE_DELAYED_WORK(ub_unpark_work, ub_unpark);

void ub_detect_exit(void)
{
	cancel_delayed_work_sync(&ub_unpark_work);
}

static u64 ub_cycles(u64 ns)
{
	return div64_u64(ns * tsc_khz, 1000000);
}

/* Number of gaps for a verdict: a short burst is not worth a region. */
static u64 ub_needed(void)
{
	return min_t(u64, ub_tune(UB_TUNE_HOT_CALLS), UB_SAMPLES);
}

static u64 ub_lasting_ns(void)
{
	return min_t(u64, ub_tune(UB_TUNE_WINDOW_MS), UB_LASTING_MS) * NSEC_PER_MSEC;
}

/*
 * The site is hot at .now: true if it was hot a little earlier, too.  Otherwise it is
 * parked until the next check: connecting clients cause bursts of calls that are not worth
 * a region.
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
	ub_site_park(proc, site->ip, site->nr);
	queue_delayed_work(ub_queue, &ub_unpark_work, nsecs_to_jiffies(lasting) + 1);
	return false;
}

/* True if .now equals .before within an eighth. */
static bool ub_is_about(u64 now, u64 before)
{
	return now >= before - before / 8 && now <= before + before / 8;
}

/* True if a gap time changed by so much that user space would try again. */
static bool ub_is_other(u64 now, u64 before)
{
	return now > 2 * before || 2 * now < before;
}

/* True if the site was reported and its gap time is about the same since. */
bool ub_detect_is_reported(const struct ub_site *site)
{
	return READ_ONCE(site->reports) &&
	       ub_is_about(READ_ONCE(site->native), READ_ONCE(site->reported));
}

/*
 * True if the site has no verdict yet, but enough calls to become hot soon.  Called at the
 * end of an epoch.  False after UB_WARM_MAX such epochs: clients that connect and disconnect
 * cause bursts of calls repeatedly.
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

/* True if most calls gave no sample.  If the last verdict was busy, fewer calls decide. */
static bool ub_is_busy(const struct ub_site *site)
{
	u64 need = ub_needed();

	if (site->before == UB_SITE_BUSY && site->samples < UB_AGAIN)
		need = min_t(u64, need, UB_AGAIN);
	return site->tries > UB_TRIES * need;
}

/* True if the gap is so long that a few samples decide. */
static bool ub_is_far_too_long(const struct ub_site *site)
{
	return site->native >> UB_FRACTION >
	       UB_FAR * ub_cycles(ub_tune(UB_TUNE_GAP_NS));
}

/* The verdict on a site from .need gaps, or UB_SITE_OPEN. */
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

/* Set the verdict of the site, if there are enough samples. */
static void ub_decide(struct ub_proc *proc, struct ub_site *site)
{
	u64 need = ub_needed(), now;
	u8 verdict;

	/* Reading the clock costs more than everything else here. */
	if (site->samples % UB_TURNS && site->samples < need)
		return;
	now = ktime_get_mono_fast_ns();

	/* A few samples are enough for an unchanged verdict or a far too long gap. */
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
	struct ub_gap gap;

	preempt_disable();
	gap = *this_cpu_ptr(&ub_gap);
	__this_cpu_write(ub_gap.task, NULL);
	preempt_enable();
	if (gap.task != current)
		return;

	rcu_read_lock();
	proc = ub_proc_of_mm(current->mm);
	site = proc ? ub_site_of(proc, gap.ip, gap.nr, false) : NULL;
	if (site) {
		ub_site_average(&site->native, now - gap.tsc, site->native_samples);
		site->native_samples++;
		site->samples++;
		if (site->verdict == UB_SITE_OPEN)
			ub_decide(proc, site);
	}
	rcu_read_unlock();
}

/*
 * Upper estimate of the instructions in the gap: one for each cycle.  Many instructions take
 * less than a cycle, but .native includes the transition, which takes hundreds.
 */
static u32 ub_steps_of(const struct ub_site *site)
{
	u64 cycles = READ_ONCE(site->native) >> UB_FRACTION;

	return min_t(u64, max_t(u64, cycles, UB_STEPS_LEAST),
		     ub_tune(UB_TUNE_PATH_STEPS));
}

/*
 * Returns false if the report should wait for a trace of the gap: without the trace user
 * space would have to guess the region, and the guess may lose.
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
	u32 reason = ub_decline_reason(regs, ax);
	u32 steps = ub_steps_of(site);
	bool eligible = !reason;

	if (!site->reports && steps &&
	    !(eligible && ub_trace_gap_begin(proc, regs, site->nr, true, steps))) {
		u64 cost = ub_sample_budget_clamp(ub_trace_gap_cost(steps));

		if (eligible && ub_sample_budget_left(proc, cost) < cost) {
			ub_sample_budget_pause(proc, cost);
			return false;
		}
		if (ktime_get_mono_fast_ns() - site->start_ns < UB_WAIT_NS)
			return false;
	}
	/* Trace again only if the path may have changed: steps are expensive. */
	if (site->reports && site->reports < UB_TRACED && eligible &&
	    (site->reports < UB_ANYWAY || ub_is_other(site->native, site->traced)) &&
	    ub_trace_gap_begin(proc, regs, site->nr, false, steps))
		site->traced = site->native;
	if (!ub_detect_is_reported(site))
		WRITE_ONCE(proc->news, site->epoch);
	/* The interval between reports of the same site doubles. */
	site->next_report = site->epoch + (1U << site->reports);
	if (site->reports < UB_REPORT_MAX)
		site->reports++;
	site->reported = site->native;
	if (reason) {
		event.exit = reason;
		ub_count_decline(proc, reason);
	}
	ub_proc_send_with_stack(proc, &event);
	return true;
}

/*
 * Called at the end of a hooked call that returned .ax, if no entry is behind it.  With
 * preemption off.
 */
void ub_detect_after(struct ub_proc *proc, struct pt_regs *regs, u64 ax)
{
	u32 epoch = READ_ONCE(ub_epoch), nr = regs->orig_ax;
	struct ub_site *site;

	/* Not watched: the call was hooked because of a collision in ub_filter. */
	if (!READ_ONCE(proc->watched))
		return;
	site = ub_site_of(proc, regs->ip, nr, true);
	if (!site) {
		/* The table is full: do not search it again at each call. */
		ub_site_park(proc, regs->ip, nr);
		return;
	}
	if (site->epoch != epoch) {
		site->epoch = epoch;
		site->samples = 0;
		site->tries = 0;
		site->before = site->verdict;
		site->verdict = UB_SITE_OPEN;
		site->start_ns = ktime_get_mono_fast_ns();
	}
	if (!site->start_ns) {
		u64 now = ktime_get_mono_fast_ns();

		/* Unparked with all others, or hooked because a gap was being timed. */
		if (now - site->promised_ns < ub_lasting_ns()) {
			ub_site_park(proc, regs->ip, nr);
			return;
		}
		site->start_ns = now;
	}
	if (site->verdict == UB_SITE_OPEN) {
		if (ub_sample_budget_left(proc, UB_SAMPLE_NS) < UB_SAMPLE_NS) {
			ub_sample_budget_pause(proc, 0);
			ub_site_park(proc, regs->ip, nr);
			return;
		}
		atomic64_add(UB_SAMPLE_NS, &proc->spent_ns);
		site->tries++;
		if (ub_is_busy(site))
			site->verdict = UB_SITE_BUSY;
	}
	if (site->verdict == UB_SITE_OPEN) {
		/* Exit work of the kernel would be counted as part of the gap. */
		if (!(READ_ONCE(current_thread_info()->flags) & UB_THREAD_WORK))
			ub_gap_begin(regs->ip, nr);
		return;
	}
	if (site->verdict == UB_SITE_HOT &&
	    (!site->reports || (s32)(epoch - site->next_report) >= 0) &&
	    !ub_report_hot(proc, site, regs, ax))
		mod_delayed_work(ub_queue, &ub_unpark_work, msecs_to_jiffies(UB_WAIT_MS));
	ub_site_park(proc, regs->ip, nr);
}
