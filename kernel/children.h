/* SPDX-License-Identifier: GPL-2.0-only */
/* Follows forks and execs of attached processes and of all their descendants. */
#ifndef _UB_CHILDREN_H
#define _UB_CHILDREN_H

#include <linux/types.h>

struct pid;
struct ub_client;

int ub_children_follow(struct ub_client *client, struct pid *pid, u64 proc);
void ub_children_leave(struct ub_client *client, struct pid *pid);
void ub_children_release(struct ub_client *client);
void ub_children_exit(void);

#endif /* _UB_CHILDREN_H */
