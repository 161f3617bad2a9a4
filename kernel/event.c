// SPDX-License-Identifier: GPL-2.0-only
/* What user space hears of: a ring of events for each open file. */
#include <linux/pid_namespace.h>
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

/* An event could not be made, or not be kept: the client will hear of that. */
void ub_event_lose(struct ub_client *client)
{
	spin_lock(&client->lock);
	client->lost++;
	spin_unlock(&client->lock);
	wake_up_interruptible(&client->wait);
}

/*
 * Completes a copy of event and queues it; never sleeps.  False if there was no room.
 * Whoever calls sees to it that the client stays.
 */
bool ub_event_queue(struct ub_client *client, u64 proc, const struct ub_event *event)
{
	bool room;

	spin_lock(&client->lock);
	room = client->head - client->tail < UB_EVENTS;
	if (room) {
		struct ub_event *slot;

		slot = &client->ring[client->head++ % UB_EVENTS];
		*slot = *event;
		slot->proc = proc;
		slot->time_ns = ktime_get_ns();
		slot->tid = task_pid_nr_ns(current, client->ns);
	} else {
		client->lost++;
	}
	spin_unlock(&client->lock);
	wake_up_interruptible(&client->wait);
	return room;
}

/* The same for the client of proc, if it has one: else nothing is lost. */
bool ub_event_send(struct ub_proc *proc, const struct ub_event *event)
{
	bool sent = true;

	spin_lock(&proc->lock);
	/* Detach takes the lock before the client goes away. */
	if (proc->client)
		sent = ub_event_queue(proc->client, proc->id, event);
	spin_unlock(&proc->lock);
	return sent;
}

/*
 * Same, with words of the user's stack from event->sp up: those that are there.  The
 * program would not touch them now, so no page is brought in and nothing waits
 * (userfaultfd) for it.
 */
bool ub_event_with_stack(struct ub_proc *proc, struct ub_event *event)
{
	unsigned long left;

	pagefault_disable();
	left = copy_from_user(event->stack, (void __user *)event->sp,
			      sizeof(event->stack));
	pagefault_enable();
	event->stack_words = (sizeof(event->stack) - left) / sizeof(u64);
	return ub_event_send(proc, event);
}

/* Is there something to read? */
bool ub_event_waits(struct ub_client *client)
{
	return READ_ONCE(client->head) != READ_ONCE(client->tail) ||
	       READ_ONCE(client->lost) != READ_ONCE(client->told);
}

static bool ub_event_take(struct ub_client *client, struct ub_event *event)
{
	bool any = true;

	spin_lock(&client->lock);
	if (client->lost != client->told) {
		/* First: what is asked for because of it is newer than all that waits. */
		*event = (struct ub_event){
			.type = UB_EVENT_LOST,
			.time_ns = ktime_get_ns(),
			.target = client->lost - client->told,
		};
		client->told = client->lost;
	} else if (client->head != client->tail) {
		*event = client->ring[client->tail++ % UB_EVENTS];
	} else {
		any = false;
	}
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
						       ub_event_waits(client));
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
