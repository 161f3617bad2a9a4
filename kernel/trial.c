// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a region costs before it is known to gain.
 *
 * A region on trial has a credit of run time, which user space grants.  Between its runs
 * it is closed (ub_dead[]), so no thread is inside but the one whose run is under way:
 * that opens it, and a timer closes it again after a slice, upon which the
 * run leaves behind the call that it is in.  What it took is taken off the credit.
 * Once nothing is left the entries are asleep until more is granted.  Whatever user
 * space does or does not do, a region on trial therefore takes no more run time than was
 * granted, plus what is left of one call when the last slice ends.
 *
 * One that is confirmed runs without a limit and is not timed; its lease, if it has
 * one, ends by a timer, too.  The module renews a lease by itself as long as calls save
 * what runs cost, by prices that user space has named: so a region that gains is not left
 * because user space is late, and one that begins to lose is.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <asm/tsc.h>

#include "compat.h"
#include "internal.h"

#define UB_TRIAL_LOOK_NS	250	/* what it takes to time a gap natively, about */
#define UB_TRIAL_CROWD		16	/* entries that find it busy before they go to sleep */
#define UB_TRIAL_PHASE		0x9e3779b9	/* the golden ratio, in parts of 2^32 */
#define UB_TRIAL_CYCLES		(1ULL << 40)	/* of a run, more are not counted */
/*
 * No segment takes longer.  What a run takes beyond that and its slice is the rest of a
 * call, which is the same natively, or somebody else's: interrupts, a hypervisor's.
 */
#define UB_TRIAL_SEGMENT_NS	200000

/* Under the lock.  Never in the way of one that dies, or is suspended. */
static void ub_trial_open(struct ub_region *region)
{
	cmpxchg(&ub_dead[region->slot], UB_CLOSED, UB_LIVE);
}

static void ub_trial_close(struct ub_region *region)
{
	cmpxchg(&ub_dead[region->slot], UB_LIVE, UB_CLOSED);
}

/* Suspended regions come back as what they are. */
void ub_trial_suspend(struct ub_region *region, bool suspend)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&region->ledger.lock, flags);
	/* Never in the way of one that dies meanwhile. */
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
	/* It may have been confirmed meanwhile. */
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
	/* Between 3/4 and 5/4 of it, so that no program is in step with it. */
	ledger->phase += UB_TRIAL_PHASE;
	ns = ledger->lease_ns - ledger->lease_ns / 4 +
	     mul_u64_u32_shr(ledger->lease_ns / 2, ledger->phase, 32);
	ledger->lease_end = ledger->lease_ns ? ktime_get_ns() + ns : 0;
	if (ledger->lease_end)
		hrtimer_start(&ledger->lease, ns_to_ktime(ledger->lease_end),
			      HRTIMER_MODE_ABS_HARD);
}

/*
 * Under the lock: have that many calls saved less than the runs cost, again?  One average
 * of gaps may be spoiled by whatever interrupted a few of them.
 */
static bool ub_trial_lost(struct ub_region *region, u64 calls, u64 runs)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	s64 saving = ledger->saving_ns, gain, margin;

	if (ledger->timed && ub_detect_margin(region, &margin)) {
		if (ledger->margin == S64_MIN)
			ledger->margin = margin;
		saving += clamp_t(s64, margin - ledger->margin, S32_MIN, S32_MAX);
	}
	/* So the products fit. */
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
	/* It may have been given another one meanwhile. */
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
	/* If another one has begun the timer is started already. */
	return HRTIMER_NORESTART;
}

/* The region is made. */
void ub_trial_setup(struct ub_region *region, u32 credit_ns)
{
	struct ub_trial_ledger *ledger = &region->ledger;

	raw_spin_lock_init(&ledger->lock);
	ub_hrtimer_setup(&ledger->slice, ub_trial_slice, HRTIMER_MODE_REL_PINNED_HARD);
	ub_hrtimer_setup(&ledger->lease, ub_trial_lease, HRTIMER_MODE_ABS_HARD);
	ledger->left_ns = credit_ns;
	region->trial = credit_ns ? UB_TRIAL_ON : UB_TRIAL_NONE;
}

/* The region goes away, and nobody else can reach it. */
void ub_trial_exit(struct ub_region *region)
{
	hrtimer_cancel(&region->ledger.slice);
	hrtimer_cancel(&region->ledger.lease);
}

/* Not inlined: the event would take the room that runs need. */
static noinline_for_stack void ub_trial_tell(struct ub_region *region)
{
	struct ub_event event = {
		.type = UB_EVENT_TRIAL,
		.region = region->number,
	};

	/* If there was no room the client hears that something was lost. */
	ub_event_send(region->proc, &event);
}

/*
 * First what the gap takes in the translation, which some microseconds tell, then what
 * it takes natively, and what runs are worth.
 */
static enum ub_look ub_trial_look(struct ub_idle *idle)
{
	static const u8 turns[] = {
		UB_LOOK_GAP, UB_LOOK_GAP, UB_LOOK_GAP, UB_LOOK_NATIVE,
		UB_LOOK_RUN, UB_LOOK_NATIVE, UB_LOOK_RUN, UB_LOOK_NATIVE,
		UB_LOOK_RUN, UB_LOOK_NATIVE, UB_LOOK_RUN, UB_LOOK_RUN,
	};
	u8 turn = READ_ONCE(idle->looks) % ARRAY_SIZE(turns);

	WRITE_ONCE(idle->looks, turn + 1);
	return turns[turn];
}

/*
 * A thread has come to an entry of a region that is not simply live.  With preemption
 * off.  What is it to do there?  .running: ub_trial_finish() must follow.
 */
enum ub_look ub_trial_begin(struct ub_region *region, u32 entry, bool *running)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	enum ub_look look = UB_LOOK_PASS;
	bool tell = false, leave = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&ledger->lock, flags);
	if (region->trial == UB_TRIAL_OVER) {
		tell = !ledger->told;
		ledger->told = true;
		leave = true;
	} else if (region->trial == UB_TRIAL_NONE) {
		look = UB_LOOK_NOT;	/* confirmed at this moment */
	} else if (region->trial == UB_TRIAL_IDLE) {
		look = UB_LOOK_NOT;
		WRITE_ONCE(region->trial, UB_TRIAL_NONE);
		ub_trial_open(region);
		ub_trial_lease_begin(region);
	} else if (ledger->busy) {
		/* Whose run sleeps in a call may do so for long. */
		leave = ++ledger->crowd >= UB_TRIAL_CROWD;
		if (leave)
			ledger->crowd = 0;
	} else {
		ledger->crowd = 0;
		look = ub_trial_look(&region->idle[entry]);
		if (look == UB_LOOK_NATIVE) {
			ledger->left_ns -= UB_TRIAL_LOOK_NS;
			ledger->spent_ns += UB_TRIAL_LOOK_NS;
		} else {
			ledger->busy = true;
			ledger->slice_ns = 0;
			ledger->switches = current->nvcsw + current->nivcsw;
			*running = true;
			ub_trial_open(region);
		}
		if (look == UB_LOOK_RUN) {
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
		ub_detect_leave(region, entry);
	return look;
}

/* The run is over, or did not come about; .cycles since it began.  Preemption is off. */
void ub_trial_finish(struct ub_region *region, u64 cycles)
{
	struct ub_trial_ledger *ledger = &region->ledger;
	u64 took = div64_u64(min(cycles, UB_TRIAL_CYCLES) * 1000000, tsc_khz ?: 1);
	bool tell = false;
	unsigned long flags;

	hrtimer_try_to_cancel(&ledger->slice);
	raw_spin_lock_irqsave(&ledger->lock, flags);
	/* One that slept was not at work meanwhile, and left once the slice was over. */
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
		tell = !ledger->told;
		ledger->told = true;
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
	if (!ub_detect_margin(region, &ledger->margin))
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
	trial->cpu_ns = ub_cost_cpu(proc);
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
		/* Also if its lease has ended: what is known is of better times. */
		anew = region->trial == UB_TRIAL_NONE ||
		       region->trial == UB_TRIAL_IDLE || ledger->lease_end;
		ledger->lease_end = 0;
		if (anew)
			ub_trial_close(region);
		WRITE_ONCE(region->trial, ledger->left_ns > 0 ? UB_TRIAL_ON :
								UB_TRIAL_OVER);
	}
	if (confirm || trial->grant_ns)
		ledger->told = false;
	raw_spin_unlock_irqrestore(&ledger->lock, flags);

	/* They were asleep, if it was over. */
	for (i = 0; i < region->nr_entries && (confirm || trial->grant_ns); i++) {
		if (anew)
			ub_detect_fresh(proc, region->entries[i].user_ip);
		ub_detect_entry(proc, region->entries[i].user_ip);
	}
	return 0;
}
