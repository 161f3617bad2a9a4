/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An open file of /dev/ub: the processes that it has attached, and the ring of events that
 * user space reads.
 */
#ifndef _UB_CLIENT_H
#define _UB_CLIENT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "ub.h"

struct pid_namespace;

#define UB_EVENTS	256	/* power of two */
struct ub_client {
	struct mutex mutex;	/* procs, attach and load */
	struct list_head procs;
	struct pid_namespace *ns;	/* of the opener */
	bool follows;		/* descendants of some; under mutex */
	u32 nr_followed;	/* processes; under the lock of children.c */
	spinlock_t lock;	/* the ring */
	wait_queue_head_t wait;
	u32 head, tail;
	u64 lost;
	u64 reported;		/* part of .lost that was reported */
	struct ub_event *ring;
};

#endif /* _UB_CLIENT_H */
