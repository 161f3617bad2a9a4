// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the client of an attachment what becomes of its process' children.
 *
 * A forked child has its own mm and so starts native; so does a program after exec.
 * The client hears of both and may attach them.  Nobody pays for this but forks and
 * execs while some attachment asks for it.
 */
#include <linux/binfmts.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "internal.h"

static DEFINE_MUTEX(ub_children_mutex);
static unsigned int ub_children_users;
static struct tracepoint *ub_fork_point, *ub_exec_point;

/* Under RCU.  .mm is only compared. */
static void ub_child_event(struct mm_struct *mm, u32 type, pid_t pid)
{
	struct ub_proc *proc = mm ? ub_proc_of_mm(mm) : NULL;
	struct ub_event event = { .type = type, .target = pid };

	if (proc && READ_ONCE(proc->children))
		ub_event_send(proc, &event);
}

static void ub_on_fork(void *data, struct task_struct *parent,
		       struct task_struct *child)
{
	/* Threads belong to the process; a vfork is heard of when it execs. */
	if (!child->mm || child->mm == parent->mm)
		return;
	rcu_read_lock();
	ub_child_event(parent->mm, UB_EVENT_FORK, task_pid_nr(child));
	rcu_read_unlock();
}

static void ub_on_exec(void *data, struct task_struct *task, pid_t old,
		       struct linux_binprm *bprm)
{
	struct task_struct *parent;

	rcu_read_lock();
	parent = rcu_dereference(task->real_parent);
	ub_child_event(READ_ONCE(parent->mm), UB_EVENT_EXEC, task_pid_nr(task));
	rcu_read_unlock();
}

static void ub_children_look(struct tracepoint *point, void *unused)
{
	if (!strcmp(point->name, "sched_process_fork"))
		ub_fork_point = point;
	else if (!strcmp(point->name, "sched_process_exec"))
		ub_exec_point = point;
}

static int ub_children_register(void)
{
	int err;

	for_each_kernel_tracepoint(ub_children_look, NULL);
	if (!ub_fork_point || !ub_exec_point)
		return -EOPNOTSUPP;
	err = tracepoint_probe_register(ub_fork_point, ub_on_fork, NULL);
	if (err)
		return err;
	err = tracepoint_probe_register(ub_exec_point, ub_on_exec, NULL);
	if (err)
		tracepoint_probe_unregister(ub_fork_point, ub_on_fork, NULL);
	return err;
}

/* One more attachment wants to hear of children. */
int ub_children_get(void)
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

void ub_children_put(void)
{
	mutex_lock(&ub_children_mutex);
	if (!--ub_children_users) {
		tracepoint_probe_unregister(ub_fork_point, ub_on_fork, NULL);
		tracepoint_probe_unregister(ub_exec_point, ub_on_exec, NULL);
	}
	mutex_unlock(&ub_children_mutex);
}

/* No attachment is left; a probe may still be on its last steps. */
void ub_children_exit(void)
{
	tracepoint_synchronize_unregister();
}
