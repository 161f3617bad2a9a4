/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workqueue of the module, for all of its work items.
 *
 * Its workers are bound to no CPU.  A system call queues work on the CPU of its program, and
 * the work may take milliseconds (hooking): the scheduler finds a better place for it, and
 * CPUs that are isolated stay so.
 */
#ifndef _UB_QUEUE_H
#define _UB_QUEUE_H

struct workqueue_struct;

extern struct workqueue_struct *ub_queue;

int ub_queue_init(void);
void ub_queue_exit(void);

#endif /* _UB_QUEUE_H */
