// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sched.h>

void *ub_probe(void);
void *ub_probe(void)
{
	return current->throttle_disk;
}
