/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock of a program's memory map, for which nobody waits for long.
 *
 * Whoever reads a page of a file system that does not answer holds it for ever: by
 * /proc/PID/mem, also the program itself.
 */
#ifndef _UB_MAP_LOCK_H
#define _UB_MAP_LOCK_H

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "compat.h"

#define UB_MAP_LOCK_TIME	HZ

/* Take it for writing.  -ETIMEDOUT if others hold it; -EINTR at a fatal signal. */
static inline int ub_map_lock(struct mm_struct *mm)
{
	unsigned long end = jiffies + UB_MAP_LOCK_TIME;

	while (!ub_mmap_write_trylock(mm)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		schedule_timeout_killable(1);
	}
	return 0;
}

#endif /* _UB_MAP_LOCK_H */
