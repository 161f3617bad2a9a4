// SPDX-License-Identifier: GPL-2.0-only
#include <linux/build_bug.h>
#include <linux/sched.h>
#include <linux/thread_info.h>

static_assert(TIF_RSEQ != TIF_NOTIFY_RESUME);

bool ub_probe(void);
bool ub_probe(void)
{
	return current->rseq.event.slowpath;
}
