// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports forks and execs of the descendants of attached processes.
 *
 * A forked child has its own mm and so starts native; so does a program after exec.
 * The client gets an event for both and may attach them.  All descendants are followed from
 * fork to exit, attached or not: when a process forks twice to become a daemon, the
 * intermediate process exits before a client could attach it.  Only forks, execs and exits
 * have a cost, and only while some client follows.
 *
 * A process without a number in the client's PID namespace is not reported, nor are its
 * descendants, which have none either.
 */
#include <linux/binfmts.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "children.h"
#include "client.h"
#include "event.h"

#define UB_FOLLOW_BITS	8	/* log2 of the hash size */
#define UB_FOLLOW_MAX	8192	/* processes of one client */

/*
 * A process that .client follows.  All that it may follow are allocated at once: the probes
 * run with preemption off, where PREEMPT_RT allows to allocate and to free nothing.
 */
struct ub_followed {
	struct hlist_node hash;		/* by pid, or in client->spare */
	struct pid *pid;		/* of the thread group; a reference; NULL: unused */
	struct ub_client *client;
	u64 proc;			/* its attachment, or an ancestor's */
};

static DEFINE_HASHTABLE(ub_followed, UB_FOLLOW_BITS);
/* Protects the table; a client in the table is not freed while this is held. */
static DEFINE_RAW_SPINLOCK(ub_follow_lock);
static DEFINE_MUTEX(ub_children_mutex);
static unsigned int ub_children_users;
static struct tracepoint *ub_fork_point, *ub_exec_point, *ub_exit_point;

/* Under the lock. */
static struct ub_followed *ub_follow_find(struct ub_client *client, struct pid *pid)
{
	struct ub_followed *each;

	hash_for_each_possible(ub_followed, each, hash, (unsigned long)pid)
		if (each->pid == pid && each->client == client)
			return each;
	return NULL;
}

/* Under the lock.  False if .client follows as many processes as it may. */
static bool ub_follow_add(struct ub_client *client, struct pid *pid, u64 proc)
{
	struct ub_followed *new;

	if (hlist_empty(&client->spare))
		return false;
	new = hlist_entry(client->spare.first, struct ub_followed, hash);
	hlist_del_init(&new->hash);
	new->pid = get_pid(pid);
	new->client = client;
	new->proc = proc;
	hash_add(ub_followed, &new->hash, (unsigned long)pid);
	return true;
}

/*
 * Under the lock.  The caller puts the pid that is returned: without the lock, unless it has
 * another reference.
 */
static struct pid *ub_follow_drop(struct ub_followed *each)
{
	struct pid *pid = each->pid;

	hash_del(&each->hash);
	if (each->client->follows)
		hlist_add_head(&each->hash, &each->client->spare);
	each->pid = NULL;
	return pid;
}

/* Under the lock.  .child is a new child of the followed .parent. */
static void ub_follow_child(const struct ub_followed *parent, struct task_struct *child,
			    bool shares)
{
	struct ub_event event = { .type = UB_EVENT_FORK };
	struct ub_client *client = parent->client;

	event.target = task_tgid_nr_ns(child, client->ns);
	if (!event.target)
		return;
	if (!ub_follow_add(client, task_tgid(child), parent->proc)) {
		ub_event_lose(client);
		return;
	}
	/* A vfork() child is reported at its exec. */
	if (!shares)
		ub_event_queue(client, parent->proc, &event);
}

static void ub_on_fork(void *data, struct task_struct *parent,
		       struct task_struct *child)
{
	struct pid *pid = task_tgid(parent);
	struct ub_followed *each;
	struct hlist_node *next;

	/* Kernel threads and new threads do not count.  The child does not run yet. */
	if (!child->mm || same_thread_group(parent, child))
		return;
	raw_spin_lock(&ub_follow_lock);
	/* Nodes that the loop adds are before the current one. */
	hash_for_each_possible_safe(ub_followed, each, next, hash, (unsigned long)pid)
		if (each->pid == pid)
			ub_follow_child(each, child, child->mm == parent->mm);
	raw_spin_unlock(&ub_follow_lock);
}

static void ub_on_exec(void *data, struct task_struct *task, pid_t old,
		       struct linux_binprm *bprm)
{
	struct pid *pid = task_tgid(task);
	struct ub_followed *each;

	raw_spin_lock(&ub_follow_lock);
	hash_for_each_possible(ub_followed, each, hash, (unsigned long)pid) {
		struct ub_event event = { .type = UB_EVENT_EXEC };

		if (each->pid != pid)
			continue;
		event.target = task_tgid_nr_ns(task, each->client->ns);
		if (event.target)
			ub_event_queue(each->client, each->proc, &event);
	}
	raw_spin_unlock(&ub_follow_lock);
}

static void ub_on_exit(void *data, struct task_struct *task)
{
	struct pid *pid = task_tgid(task);
	struct ub_followed *each;
	struct hlist_node *next;

	/* The process ends with its last thread. */
	if (atomic_read(&task->signal->live))
		return;
	raw_spin_lock(&ub_follow_lock);
	hash_for_each_possible_safe(ub_followed, each, next, hash, (unsigned long)pid)
		/* The process, which has not been released yet, has a reference, too. */
		if (each->pid == pid)
			put_pid(ub_follow_drop(each));
	raw_spin_unlock(&ub_follow_lock);
}

static void ub_children_find(struct tracepoint *point, void *unused)
{
	if (!strcmp(point->name, "sched_process_fork"))
		ub_fork_point = point;
	else if (!strcmp(point->name, "sched_process_exec"))
		ub_exec_point = point;
	else if (!strcmp(point->name, "sched_process_exit"))
		ub_exit_point = point;
}

static int ub_children_register(void)
{
	int err;

	for_each_kernel_tracepoint(ub_children_find, NULL);
	if (!ub_fork_point || !ub_exec_point || !ub_exit_point)
		return -EOPNOTSUPP;
	err = tracepoint_probe_register(ub_fork_point, ub_on_fork, NULL);
	if (err)
		return err;
	err = tracepoint_probe_register(ub_exec_point, ub_on_exec, NULL);
	if (err)
		goto fork;
	err = tracepoint_probe_register(ub_exit_point, ub_on_exit, NULL);
	if (err)
		goto exec;
	return 0;
exec:
	tracepoint_probe_unregister(ub_exec_point, ub_on_exec, NULL);
fork:
	tracepoint_probe_unregister(ub_fork_point, ub_on_fork, NULL);
	return err;
}

/* One more client follows children: register the probes. */
static int ub_children_get(void)
{
	int err = 0;

	mutex_lock(&ub_children_mutex);
	if (!ub_children_users)
		err = ub_children_register();
	if (!err)
		ub_children_users++;
	mutex_unlock(&ub_children_mutex);
	return err;
}

static void ub_children_put(void)
{
	mutex_lock(&ub_children_mutex);
	if (!--ub_children_users) {
		tracepoint_probe_unregister(ub_fork_point, ub_on_fork, NULL);
		tracepoint_probe_unregister(ub_exec_point, ub_on_exec, NULL);
		tracepoint_probe_unregister(ub_exit_point, ub_on_exit, NULL);
	}
	mutex_unlock(&ub_children_mutex);
}

/* The client begins to follow children.  Under client->mutex. */
static int ub_children_open(struct ub_client *client)
{
	struct ub_followed *all = kvcalloc(UB_FOLLOW_MAX, sizeof(*all), GFP_KERNEL);
	int i, err;

	if (!all)
		return -ENOMEM;
	err = ub_children_get();
	if (err) {
		kvfree(all);
		return err;
	}
	for (i = 0; i < UB_FOLLOW_MAX; i++)
		hlist_add_head(&all[i].hash, &client->spare);
	client->followed = all;
	client->follows = true;
	return 0;
}

/*
 * Follow the process, attached as .proc, and all its descendants from now on.
 * Under client->mutex.
 */
int ub_children_follow(struct ub_client *client, struct pid *pid, u64 proc)
{
	struct ub_followed *old;
	int err = client->follows ? 0 : ub_children_open(client);

	if (err)
		return err;
	raw_spin_lock(&ub_follow_lock);
	old = ub_follow_find(client, pid);
	if (old)
		old->proc = proc;
	else if (!ub_follow_add(client, pid, proc))
		err = -ENOMEM;
	raw_spin_unlock(&ub_follow_lock);
	return err;
}

/* Stop following the process; its known descendants are still followed. */
void ub_children_leave(struct ub_client *client, struct pid *pid)
{
	struct pid *followed = NULL;
	struct ub_followed *each;

	raw_spin_lock(&ub_follow_lock);
	each = ub_follow_find(client, pid);
	if (each)
		followed = ub_follow_drop(each);
	raw_spin_unlock(&ub_follow_lock);
	put_pid(followed);
}

/* The client's file is closed. */
void ub_children_release(struct ub_client *client)
{
	int i;

	if (!client->follows)
		return;
	/* From now on no process is added. */
	raw_spin_lock(&ub_follow_lock);
	client->follows = false;
	INIT_HLIST_HEAD(&client->spare);
	raw_spin_unlock(&ub_follow_lock);
	for (i = 0; i < UB_FOLLOW_MAX; i++) {
		struct ub_followed *each = &client->followed[i];
		struct pid *pid = NULL;

		raw_spin_lock(&ub_follow_lock);
		if (each->pid)
			pid = ub_follow_drop(each);
		raw_spin_unlock(&ub_follow_lock);
		put_pid(pid);
	}
	kvfree(client->followed);
	ub_children_put();
}

/* No client follows any more, but a probe may still run. */
void ub_children_exit(void)
{
	tracepoint_synchronize_unregister();
}
