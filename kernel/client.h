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
#include <linux/workqueue.h>

#include "ub.h"

struct pid_namespace;
struct ub_followed;

#define UB_EVENTS	256	/* power of two */
struct ub_client {
	struct mutex mutex;	/* procs, attach and load */
	struct list_head procs;
	struct pid_namespace *ns;	/* of the opener */
	bool follows;		/* descendants of some; under mutex */
	struct ub_followed *followed;	/* processes, and room for more */
	struct hlist_head spare;	/* of these the unused; under the lock of children.c */
	raw_spinlock_t lock;	/* the ring */
	wait_queue_head_t wait;
	struct work_struct wake;	/* where readers cannot be woken at once */
	u32 head, tail;
	u64 lost;
	u64 reported;		/* part of .lost that was reported */
	struct ub_event *ring;
};

#endif /* _UB_CLIENT_H */
