/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tunables, which apply to all attachments.  Each has one value, read without a lock, and
 * bounds; device.c sets them.
 */
#ifndef _UB_TUNABLES_H
#define _UB_TUNABLES_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "ub.h"

extern struct ub_tunable_range {
	u64 value, min, max;
} ub_tunables[UB_TUNABLES];

static inline u64 ub_tune(enum ub_tunable what)
{
	return READ_ONCE(ub_tunables[what].value);
}

#endif /* _UB_TUNABLES_H */
