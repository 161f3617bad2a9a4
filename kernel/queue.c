// SPDX-License-Identifier: GPL-2.0-only
/* The workqueue of the module. */
#include <linux/errno.h>
#include <linux/workqueue.h>

#include "queue.h"

struct workqueue_struct *ub_queue;

int ub_queue_init(void)
{
	ub_queue = alloc_workqueue("ub", WQ_UNBOUND, 0);
	return ub_queue ? 0 : -ENOMEM;
}

/* Nobody queues work any more; wait for what is queued. */
void ub_queue_exit(void)
{
	destroy_workqueue(ub_queue);
}
