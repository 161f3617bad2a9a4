/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The account of a region on trial, or with a lease.  Each region has one (region.h);
 * trial.c updates it.
 */
#ifndef _UB_TRIAL_LEDGER_H
#define _UB_TRIAL_LEDGER_H

#include <linux/hrtimer.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct ub_trial_ledger {
	raw_spinlock_t lock;
	bool busy;			/* a run on trial is under way */
	bool reported;			/* the end of the trial was reported to the client */
	u8 crowd;			/* consecutive attempts to enter while busy */
	s64 left_ns;			/* credit */
	u64 slice_ns;			/* of the current run; 0: the run ends after one gap */
	u64 switches;			/* context switches of its thread at its start */
	u64 spent_ns;			/* by runs on trial */
	u64 runs;			/* runs on trial */
	u64 lease_end;			/* CLOCK_MONOTONIC in ns, 0: never */
	u64 lease_ns;			/* average length of a lease */
	u32 phase;			/* varies the length */
	u32 saving_ns, run_ns;		/* for each call, each run; 0: the lease is not renewed */
	bool timed;			/* the saving changes with .margin */
	u8 strikes;			/* consecutive leases that lost */
	s64 margin;			/* ub_sample_margin() at the confirmation, or when
					 * first known; S64_MIN before
					 */
	u64 calls, ran;			/* dispatched calls and runs when the lease began */
	u64 lost_ns;			/* in leases that lost */
	struct hrtimer slice;		/* ends a run on trial */
	struct hrtimer lease;
};

#endif /* _UB_TRIAL_LEDGER_H */
