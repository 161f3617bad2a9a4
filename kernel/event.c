// SPDX-License-Identifier: GPL-2.0-only
/* What user space hears of: a ring of events for each open file. */
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "internal.h"

int ub_event_setup(struct ub_client *client)
{
	spin_lock_init(&client->lock);
	init_waitqueue_head(&client->wait);
	client->ring = kvcalloc(UB_EVENTS, sizeof(*client->ring), GFP_KERNEL);
	return client->ring ? 0 : -ENOMEM;
}

/* Completes a copy of event and queues it; never sleeps. */
void ub_event_send(struct ub_proc *proc, const struct ub_event *event)
{
	struct ub_client *client;

	spin_lock(&proc->lock);
	client = proc->client;	/* detach takes the lock before it goes away */
	if (client) {
		spin_lock(&client->lock);
		if (client->head - client->tail < UB_EVENTS) {
			struct ub_event *slot;

			slot = &client->ring[client->head++ % UB_EVENTS];
			*slot = *event;
			slot->proc = proc->id;
			slot->time_ns = ktime_get_ns();
			slot->tid = task_pid_nr(current);
		} else {
			client->lost++;
		}
		spin_unlock(&client->lock);
		wake_up_interruptible(&client->wait);
	}
	spin_unlock(&proc->lock);
}

/*
 * Same, with words of the user's stack from event->sp up: those that are there.  The
 * program would not touch them now, so no page is brought in and nothing waits
 * (userfaultfd) for it.
 */
void ub_event_with_stack(struct ub_proc *proc, struct ub_event *event)
{
	unsigned long left;

	pagefault_disable();
	left = copy_from_user(event->stack, (void __user *)event->sp,
			      sizeof(event->stack));
	pagefault_enable();
	event->stack_words = (sizeof(event->stack) - left) / sizeof(u64);
	ub_event_send(proc, event);
}

static bool ub_event_take(struct ub_client *client, struct ub_event *event)
{
	bool any;

	spin_lock(&client->lock);
	any = client->head != client->tail;
	if (any)
		*event = client->ring[client->tail++ % UB_EVENTS];
	spin_unlock(&client->lock);
	return any;
}

ssize_t ub_event_read(struct ub_client *client, char __user *to, size_t size,
		      bool block)
{
	struct ub_event event;
	size_t done = 0;

	if (size < sizeof(event))
		return -EINVAL;
	while (size - done >= sizeof(event)) {
		if (!ub_event_take(client, &event)) {
			int err;

			if (done)
				break;
			if (!block)
				return -EAGAIN;
			err = wait_event_interruptible(client->wait,
					READ_ONCE(client->head) !=
					READ_ONCE(client->tail));
			if (err)
				return err;
			continue;
		}
		if (copy_to_user(to + done, &event, sizeof(event)))
			return done ?: -EFAULT;
		done += sizeof(event);
	}
	return done;
}
