// SPDX-License-Identifier: GPL-2.0-only
/* Events for user space: one ring for each open file. */
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "client.h"
#include "event.h"
#include "queue.h"

static void ub_event_wake_work(struct work_struct *work)
{
	wake_up_interruptible(&container_of(work, struct ub_client, wake)->wait);
}

/*
 * There is something to read.  Events are sent under raw locks, where PREEMPT_RT does not
 * allow the lock of a wait queue, as lockdep may tell on other kernels.
 */
static void ub_event_wake(struct ub_client *client)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || IS_ENABLED(CONFIG_PROVE_RAW_LOCK_NESTING))
		queue_work(ub_queue, &client->wake);
	else
		wake_up_interruptible(&client->wait);
}

int ub_event_setup(struct ub_client *client)
{
	raw_spin_lock_init(&client->lock);
	init_waitqueue_head(&client->wait);
	INIT_WORK(&client->wake, ub_event_wake_work);
	client->ring = kvcalloc(UB_EVENTS, sizeof(*client->ring), GFP_KERNEL);
	return client->ring ? 0 : -ENOMEM;
}

/* Nobody sends events to the client any more. */
void ub_event_release(struct ub_client *client)
{
	cancel_work_sync(&client->wake);
	kvfree(client->ring);
}

/* Count an event that could not be made or queued; the loss is reported to the client. */
void ub_event_lose(struct ub_client *client)
{
	raw_spin_lock(&client->lock);
	client->lost++;
	raw_spin_unlock(&client->lock);
	ub_event_wake(client);
}

/*
 * Complete a copy of .event and queue it; never sleeps.  False if there was no room.
 * The caller ensures that the client is not freed.
 */
bool ub_event_queue(struct ub_client *client, u64 proc, const struct ub_event *event)
{
	bool room;

	raw_spin_lock(&client->lock);
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
	raw_spin_unlock(&client->lock);
	ub_event_wake(client);
	return room;
}

/* True if there is an event to read. */
bool ub_event_waits(struct ub_client *client)
{
	return READ_ONCE(client->head) != READ_ONCE(client->tail) ||
	       READ_ONCE(client->lost) != READ_ONCE(client->reported);
}

static bool ub_event_take(struct ub_client *client, struct ub_event *event)
{
	bool any = true;

	raw_spin_lock(&client->lock);
	if (client->lost != client->reported) {
		/* First, so that the state the client then reads is newer than all events. */
		*event = (struct ub_event){
			.type = UB_EVENT_LOST,
			.time_ns = ktime_get_ns(),
			.target = client->lost - client->reported,
		};
		client->reported = client->lost;
	} else if (client->head != client->tail) {
		*event = client->ring[client->tail++ % UB_EVENTS];
	} else {
		any = false;
	}
	raw_spin_unlock(&client->lock);
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
