/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events for user space: one ring for each open file.  Events of a process go through
 * proc.h, which finds its client.
 */
#ifndef _UB_EVENT_H
#define _UB_EVENT_H

#include <linux/types.h>

#include "ub.h"

struct ub_client;

int ub_event_setup(struct ub_client *client);
void ub_event_release(struct ub_client *client);
bool ub_event_queue(struct ub_client *client, u64 proc, const struct ub_event *event);
void ub_event_lose(struct ub_client *client);
bool ub_event_waits(struct ub_client *client);
ssize_t ub_event_read(struct ub_client *client, char __user *to, size_t size,
		      bool block);

#endif /* _UB_EVENT_H */
