// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gap that is being timed on each CPU: from the end of a hooked call to the start of
 * the next call of the same task.
 */
#include <linux/percpu.h>

#include "gap.h"

/* The call whose gap is being timed.  The trampoline reads .task. */
DEFINE_PER_CPU(struct ub_gap, ub_gap);

/* Discard the gaps being timed on all CPUs: their start times are stale. */
void ub_gap_forget_all(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(ub_gap.task, cpu), NULL);
}
