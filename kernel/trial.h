/* SPDX-License-Identifier: GPL-2.0-only */
/* Trials and leases: bounds on the loss that a region causes before its gain is known. */
#ifndef _UB_TRIAL_H
#define _UB_TRIAL_H

#include <linux/types.h>

#include "sample.h"
#include "ub.h"

struct ub_proc;
struct ub_region;

void ub_trial_setup(struct ub_region *region, u32 credit_ns);
void ub_trial_exit(struct ub_region *region);
enum ub_sample ub_trial_begin(struct ub_region *region, u32 entry, bool *running);
void ub_trial_finish(struct ub_region *region, u64 cycles);
void ub_trial_suspend(struct ub_region *region, bool suspend);
int ub_trial_grant(struct ub_proc *proc, struct ub_trial *trial);

#endif /* _UB_TRIAL_H */
