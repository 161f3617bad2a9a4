// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trials and leases: bounds on the loss that a region causes before its gain is known.
 *
 * A region on trial has a credit of run time, which user space grants.  Between its runs
 * it is closed (ub_dead[]), so at most one thread is inside, the one whose run is under
 * way: a run opens the region, and a timer closes it after a slice, whereupon the run exits
 * at the end of its current call.  The time of the run is taken off the credit.  When the
 * credit is used up, the entries are parked until more is granted.  So whatever user space
 * does, a region on trial takes no more run time than was granted, plus the rest of one
 * call at the end of the last slice.
 *
 * A confirmed region runs without a limit and is not timed; its lease, if it has one, ends
 * by a timer, too.  The module itself renews a lease as long as calls save more than runs
 * cost, by prices that user space has set: so a region that gains is not stopped because
 * user space is late, and a region that begins to lose is stopped.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <asm/tsc.h>

#include "compat.h"
#include "backoff.h"
#include "proc.h"
#include "region.h"
#include "sample.h"
#include "sample_budget.h"
#include "site_table.h"
#include "trial.h"
#include "ub.h"

#define UB_TRIAL_SAMPLE_NS	250	/* approximate cost of timing a gap natively */
#define UB_TRIAL_CROWD		16	/* attempts while busy until an entry is parked */
#define UB_TRIAL_PHASE		0x9e3779b9	/* the golden ratio, in parts of 2^32 */
#define UB_TRIAL_CYCLES		(1ULL << 40)	/* bound on the cycles counted for a run */
/*
 * Upper bound of the time of a segment.  Time of a run beyond this and its slice is the
 * rest of a call, which takes as long natively, or is due to interrupts or a hypervisor.
 */
#define UB_TRIAL_SEGMENT_NS	200000

/* Under the lock.  Leaves a dead or suspended region unchanged. */
static void ub_trial_open(struct ub_region *region)
{
	cmpxchg(&ub_dead[region->slot], UB_CLOSED, UB_LIVE);
}

static void ub_trial_close(struct ub_region *region)
{
	cmpxchg(&ub_dead[region->slot], UB_LIVE, UB_CLOSED);
}

/* Suspend the region, or restore the state that its trial requires. */
void ub_trial_suspend(struct ub_region *region, bool suspend)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&region->ledger.lock, flags);
	/* cmpxchg() leaves a region unchanged that dies concurrently. */
	if (suspend)
		cmpxchg(&ub_dead[region->slot], UB_LIVE, UB_SUSPENDED);
	else
		cmpxchg(&ub_dead[region->slot], UB_SUSPENDED,
			region->trial ? UB_CLOSED : UB_LIVE);
	raw_spin_unlock_irqrestore(&region->ledger.lock, flags);
}

static enum hrtimer_restart ub_trial_slice(struct hrtimer *timer)
{
	struct ub_region *region = container_of(timer, struct ub_region, ledger.slice);
	unsigned long flags;

	raw_spin_lock_irqsave(&region->ledger.lock, flags);
	/* The region may have been confirmed before. */
	if (region->trial != UB_TRIAL_NONE)
		ub_trial_close(region);
	raw_spin_unlock_irqrestore(&region->ledger.lock, flags);
	return HRTIMER_NORESTART;
}

/* Under the lock. */
static void ub_trial_lease_begin(struct ub_region *region)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	u64 ns;

	ledger->calls = ub_region_dispatched(region);
	ledger->ran = ub_region_runs(region);
	/* Between 3/4 and 5/4 of .lease_ns, so that no program runs in phase with it. */
	ledger->phase += UB_TRIAL_PHASE;
	ns = ledger->lease_ns - ledger->lease_ns / 4 +
	     mul_u64_u32_shr(ledger->lease_ns / 2, ledger->phase, 32);
	ledger->lease_end = ledger->lease_ns ? ktime_get_ns() + ns : 0;
	if (ledger->lease_end)
		hrtimer_start(&ledger->lease, ns_to_ktime(ledger->lease_end),
			      HRTIMER_MODE_ABS_HARD);
}

/*
 * Under the lock: true if .calls have saved less than .runs cost, in UB_TRIAL_STRIKES leases
 * in a row.  Interrupts in a few gaps may distort a single average.
 */
static bool ub_trial_lost(struct ub_region *region, u64 calls, u64 runs)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	s64 saving = ledger->saving_ns, gain, margin;

	if (ledger->timed && ub_sample_margin(region, &margin)) {
		if (ledger->margin == S64_MIN)
			ledger->margin = margin;
		saving += clamp_t(s64, margin - ledger->margin, S32_MIN, S32_MAX);
	}
	/* Clamped so that the products fit in 64 bits. */
	gain = (s64)min_t(u64, calls, S32_MAX / 2) * clamp_t(s64, saving, S32_MIN, S32_MAX) -
	       (s64)min_t(u64, runs, S32_MAX / 2) * min_t(s64, ledger->run_ns, S32_MAX);
	if (gain > -UB_TRIAL_TRIFLE_NS) {
		ledger->strikes = 0;
		return false;
	}
	ledger->lost_ns -= gain;
	return ++ledger->strikes >= UB_TRIAL_STRIKES;
}

static enum hrtimer_restart ub_trial_lease(struct hrtimer *timer)
{
	struct ub_region *region = container_of(timer, struct ub_region, ledger.lease);
	struct ub_trial_ledger *ledger = &region->ledger;
	u64 calls, runs;
	unsigned long flags;

	raw_spin_lock_irqsave(&ledger->lock, flags);
	/* The region may have a new lease. */
	if (region->trial == UB_TRIAL_NONE && ledger->lease_end &&
	    ktime_get_ns() >= ledger->lease_end) {
		calls = ub_region_dispatched(region) - ledger->calls;
		runs = ub_region_runs(region) - ledger->ran;
		if (!ledger->saving_ns || ub_trial_lost(region, calls, runs)) {
			WRITE_ONCE(region->trial, UB_TRIAL_OVER);
			ub_trial_close(region);
		} else if (!calls && !runs) {
			WRITE_ONCE(region->trial, UB_TRIAL_IDLE);
			ub_trial_close(region);
		} else {
			ub_trial_lease_begin(region);
		}
	}
	raw_spin_unlock_irqrestore(&ledger->lock, flags);
	/* A new lease has started the timer already. */
	return HRTIMER_NORESTART;
}

/* Initialize the ledger of a new region. */
void ub_trial_setup(struct ub_region *region, u32 credit_ns)
{
	struct ub_trial_ledger *ledger = &region->ledger;

	raw_spin_lock_init(&ledger->lock);
	ub_hrtimer_setup(&ledger->slice, ub_trial_slice, HRTIMER_MODE_REL_PINNED_HARD);
	ub_hrtimer_setup(&ledger->lease, ub_trial_lease, HRTIMER_MODE_ABS_HARD);
	ledger->left_ns = credit_ns;
	region->trial = credit_ns ? UB_TRIAL_ON : UB_TRIAL_NONE;
}

/* The region is being freed and cannot be found any more. */
void ub_trial_exit(struct ub_region *region)
{
	hrtimer_cancel(&region->ledger.slice);
	hrtimer_cancel(&region->ledger.lease);
}

/* Not inlined: the event would take stack that runs need. */
static noinline_for_stack void ub_trial_tell(struct ub_region *region)
{
	struct ub_event event = {
		.type = UB_EVENT_TRIAL,
		.region = region->number,
	};

	/* If the ring is full, the loss of the event is reported to the client. */
	ub_proc_send(region->proc, &event);
}

/*
 * The next sample of an entry on trial: first the gap in the translation, which takes some
 * microseconds, then the native gap and runs by turns.
 */
static enum ub_sample ub_trial_sample(struct ub_backoff *backoff)
{
	static const u8 turns[] = {
		UB_SAMPLE_GAP, UB_SAMPLE_GAP, UB_SAMPLE_GAP, UB_SAMPLE_NATIVE,
		UB_SAMPLE_RUN, UB_SAMPLE_NATIVE, UB_SAMPLE_RUN, UB_SAMPLE_NATIVE,
		UB_SAMPLE_RUN, UB_SAMPLE_NATIVE, UB_SAMPLE_RUN, UB_SAMPLE_RUN,
	};
	u8 turn = READ_ONCE(backoff->samples) % ARRAY_SIZE(turns);

	WRITE_ONCE(backoff->samples, turn + 1);
	return turns[turn];
}

/*
 * A thread is at an entry of a region that is on trial, over or idle.  With preemption off.
 * Returns the sample to take there.  Sets .running if ub_trial_finish() must follow.
 */
enum ub_sample ub_trial_begin(struct ub_region *region, u32 entry, bool *running)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	enum ub_sample sample = UB_SAMPLE_PASS;
	bool tell = false, leave = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&ledger->lock, flags);
	if (region->trial == UB_TRIAL_OVER) {
		tell = !ledger->reported;
		ledger->reported = true;
		leave = true;
	} else if (region->trial == UB_TRIAL_NONE) {
		sample = UB_SAMPLE_NONE;	/* confirmed concurrently */
	} else if (region->trial == UB_TRIAL_IDLE) {
		sample = UB_SAMPLE_NONE;
		WRITE_ONCE(region->trial, UB_TRIAL_NONE);
		ub_trial_open(region);
		ub_trial_lease_begin(region);
	} else if (ledger->busy) {
		/* The run inside may sleep in a call for a long time. */
		leave = ++ledger->crowd >= UB_TRIAL_CROWD;
		if (leave)
			ledger->crowd = 0;
	} else {
		ledger->crowd = 0;
		sample = ub_trial_sample(&region->backoff[entry]);
		if (sample == UB_SAMPLE_NATIVE) {
			ledger->left_ns -= UB_TRIAL_SAMPLE_NS;
			ledger->spent_ns += UB_TRIAL_SAMPLE_NS;
		} else {
			ledger->busy = true;
			ledger->slice_ns = 0;
			ledger->switches = current->nvcsw + current->nivcsw;
			*running = true;
			ub_trial_open(region);
		}
		if (sample == UB_SAMPLE_RUN) {
			ledger->slice_ns = clamp_t(s64, ledger->left_ns, 1,
						   UB_TRIAL_SLICE_NS);
			hrtimer_start(&ledger->slice, ns_to_ktime(ledger->slice_ns),
				      HRTIMER_MODE_REL_PINNED_HARD);
		}
	}
	raw_spin_unlock_irqrestore(&ledger->lock, flags);
	if (tell)
		ub_trial_tell(region);
	if (leave)
		ub_backoff_park(region, entry);
	return sample;
}

/* A run has ended, or was declined; .cycles since its start.  With preemption off. */
void ub_trial_finish(struct ub_region *region, u64 cycles)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	u64 took = div64_u64(min(cycles, UB_TRIAL_CYCLES) * 1000000, tsc_khz ?: 1);
	bool tell = false;
	unsigned long flags;

	hrtimer_try_to_cancel(&ledger->slice);
	raw_spin_lock_irqsave(&ledger->lock, flags);
	/* Sleep does not count: a run that slept is charged its slice at most. */
	if (ledger->switches != current->nvcsw + current->nivcsw && ledger->slice_ns)
		took = min(took, ledger->slice_ns);
	took = min(took, ledger->slice_ns + UB_TRIAL_SEGMENT_NS);
	ledger->busy = false;
	ledger->left_ns -= took;
	ledger->spent_ns += took;
	ledger->runs++;
	if (region->trial != UB_TRIAL_NONE)
		ub_trial_close(region);
	if (region->trial == UB_TRIAL_ON && ledger->left_ns <= 0) {
		WRITE_ONCE(region->trial, UB_TRIAL_OVER);
		tell = !ledger->reported;
		ledger->reported = true;
	}
	raw_spin_unlock_irqrestore(&ledger->lock, flags);
	if (tell)
		ub_trial_tell(region);
}

/* Under the lock. */
static void ub_trial_confirm(struct ub_region *region, const struct ub_trial *trial)
{
	struct ub_trial_ledger *ledger = &region->ledger;

	ledger->left_ns = 0;
	ledger->lease_ns = trial->lease_ns;
	ledger->saving_ns = trial->saving_ns;
	ledger->run_ns = trial->run_ns;
	ledger->timed = trial->flags & UB_TRIALF_TIMED;
	if (!ub_sample_margin(region, &ledger->margin))
		ledger->margin = S64_MIN;
	ledger->strikes = 0;
	WRITE_ONCE(region->trial, UB_TRIAL_NONE);
	ub_trial_open(region);
	ub_trial_lease_begin(region);
}

static bool ub_trial_is_valid(const struct ub_trial *trial)
{
	if (trial->flags & ~UB_TRIALF_ALL || trial->reserved ||
	    trial->grant_ns > UB_TRIAL_GRANT_MAX || trial->lease_ns > UB_TRIAL_LEASE_MAX)
		return false;
	if (trial->flags & UB_TRIALF_CONFIRM && trial->grant_ns)
		return false;
	if (!(trial->flags & UB_TRIALF_CONFIRM) && trial->lease_ns)
		return false;
	if (trial->lease_ns ? trial->lease_ns < UB_TRIAL_LEASE_MIN : trial->saving_ns)
		return false;
	return trial->saving_ns || (!trial->run_ns && !(trial->flags & UB_TRIALF_TIMED));
}

/* UB_IOC_TRIAL; under client->mutex. */
int ub_trial_grant(struct ub_proc *proc, struct ub_trial *trial)
{
	struct ub_region *region;
	bool confirm = trial->flags & UB_TRIALF_CONFIRM;
	struct ub_trial_ledger *ledger;
	unsigned long flags;
	bool anew = false;
	u32 i;

	if (!ub_trial_is_valid(trial))
		return -EINVAL;
	trial->cpu_ns = ub_sample_budget_cpu(proc);
	if (!trial->region && !confirm && !trial->grant_ns)
		return 0;
	region = ub_region_find(proc, trial->region);
	if (!region)
		return -ENOENT;
	ledger = &region->ledger;

	raw_spin_lock_irqsave(&ledger->lock, flags);
	trial->left_ns = ledger->left_ns;
	trial->spent_ns = ledger->spent_ns;
	trial->runs = ledger->runs;
	trial->lost_ns = ledger->lost_ns;
	trial->state = region->trial;
	if (confirm) {
		ub_trial_confirm(region, trial);
	} else if (trial->grant_ns) {
		ledger->left_ns = min_t(s64, ledger->left_ns + trial->grant_ns,
					UB_TRIAL_GRANT_MAX);
		/* Also if its lease has ended: samples from before may be outdated. */
		anew = region->trial == UB_TRIAL_NONE ||
		       region->trial == UB_TRIAL_IDLE || ledger->lease_end;
		ledger->lease_end = 0;
		if (anew)
			ub_trial_close(region);
		WRITE_ONCE(region->trial, ledger->left_ns > 0 ? UB_TRIAL_ON :
								UB_TRIAL_OVER);
	}
	if (confirm || trial->grant_ns)
		ledger->reported = false;
	raw_spin_unlock_irqrestore(&ledger->lock, flags);

	/* The entries were parked if the trial was over. */
	for (i = 0; i < region->nr_entries && (confirm || trial->grant_ns); i++) {
		const struct ub_entry *entry = &region->entries[i];

		if (anew)
			ub_sample_reset(proc, entry->user_ip, entry->nr);
		ub_site_unpark(proc, entry->user_ip, entry->nr);
	}
	return 0;
}
