// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attached processes.
 *
 * An attachment belongs to the open file that made it and ends with it, or when the
 * mm goes away: exec brings a new mm and a forked child has its own, so both run
 * natively.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "attach.h"
#include "children.h"
#include "client.h"
#include "epoch.h"
#include "invalidate.h"
#include "load.h"
#include "map_lock.h"
#include "proc.h"
#include "sample_budget.h"
#include "watch.h"

static atomic64_t ub_next_id = ATOMIC64_INIT(1);

static struct ub_proc *ub_proc_of_notifier(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct ub_proc, notifier);
}

static int ub_invalidate_start(struct mmu_notifier *notifier,
			       const struct mmu_notifier_range *range)
{
	ub_region_invalidate(ub_proc_of_notifier(notifier), range->start,
			     range->end, mmu_notifier_range_blockable(range));
	return 0;
}

static void ub_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct ub_proc *proc = ub_proc_of_notifier(notifier);
	struct ub_event event = { .type = UB_EVENT_GONE };

	ub_proc_unhash(proc);
	/* First: no list of regions may be empty because the process ends. */
	WRITE_ONCE(proc->gone, true);
	ub_region_end(proc);
	ub_sample_budget_end(proc);
	ub_proc_send(proc, &event);
}

static const struct mmu_notifier_ops ub_notifier_ops = {
	.invalidate_range_start = ub_invalidate_start,
	.release = ub_mm_release,
};

/* The mm of task .nr in .ns; .pid gets a reference to the pid of its thread group. */
static struct mm_struct *ub_mm_of_pid(pid_t nr, struct pid_namespace *ns,
				      struct pid **pid)
{
	struct task_struct *task;
	struct mm_struct *mm;

	rcu_read_lock();
	task = pid_task(find_pid_ns(nr, ns), PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	if (!task)
		return ERR_PTR(-ESRCH);
	*pid = get_task_pid(task, PIDTYPE_TGID);
	if (test_tsk_thread_flag(task, TIF_ADDR32))
		mm = ERR_PTR(-ENOEXEC);
	else if (READ_ONCE(task->vfork_done))
		mm = ERR_PTR(-EAGAIN);
	else
		mm = get_task_mm(task) ?: ERR_PTR(-EINVAL);
	put_task_struct(task);
	/* A vfork() child of the caller before its exec: the mm is the caller's. */
	if (!IS_ERR(mm) && mm == current->mm) {
		mmput(mm);
		mm = ERR_PTR(-EAGAIN);
	}
	if (IS_ERR(mm))
		put_pid(*pid);
	return mm;
}

/* Under client->mutex. */
int ub_proc_attach(struct ub_client *client, struct ub_attach *attach)
{
	struct mm_struct *mm;
	struct ub_proc *proc;
	struct pid *pid;
	int err;

	if (attach->flags & ~UB_ATTACHF_ALL)
		return -EINVAL;
	mm = ub_mm_of_pid(attach->pid, client->ns, &pid);
	if (IS_ERR(mm))
		return PTR_ERR(mm);

	err = -ENOMEM;
	proc = kzalloc(sizeof(*proc), GFP_KERNEL);
	if (!proc)
		goto put_pid;
	proc->cpu = alloc_percpu(struct ub_proc_cpu);
	if (!proc->cpu)
		goto free;
	refcount_set(&proc->refs, 1);
	mutex_init(&proc->regions_mutex);
	raw_spin_lock_init(&proc->lock);
	INIT_LIST_HEAD(&proc->regions);
	proc->mm = mm;
	proc->pid = pid;
	proc->client = client;
	proc->trusted = attach->flags & UB_ATTACHF_TRUSTED;
	proc->id = atomic64_inc_return(&ub_next_id);
	proc->notifier.ops = &ub_notifier_ops;
	proc->attach_ns = ktime_get_ns();

	err = ub_watch_attach(proc);
	if (err)
		goto free_percpu;
	err = ub_map_lock(mm);
	if (err)
		goto unhook;
	/* Pins struct mm_struct, so its address is not reused before detach. */
	err = __mmu_notifier_register(&proc->notifier, mm);
	mmap_write_unlock(mm);
	if (err)
		goto unhook;
	err = ub_proc_hash(proc);
	if (err)
		goto unregister;
	if (attach->flags & UB_ATTACHF_CHILDREN) {
		err = ub_children_follow(client, pid, proc->id);
		if (err)
			goto unhash;
		proc->children = true;
	}
	list_add(&proc->node, &client->procs);
	atomic_inc(&ub_attached);
	ub_epoch_start();
	ub_watch_start(proc);
	attach->proc = proc->id;
	/* The last user would wait for the files of the program. */
	mmput_async(mm);
	return 0;

unhash:
	ub_proc_unhash(proc);
unregister:
	/* Tasks may have looked up the process, and may be sending events. */
	raw_spin_lock(&proc->lock);
	proc->client = NULL;
	raw_spin_unlock(&proc->lock);
	mmu_notifier_unregister(&proc->notifier, mm);
	ub_watch_detach(proc);
	mmput_async(mm);
	ub_proc_put(proc);
	return err;
unhook:
	ub_watch_detach(proc);
free_percpu:
	free_percpu(proc->cpu);
free:
	kfree(proc);
put_pid:
	put_pid(pid);
	mmput_async(mm);
	return err;
}

/* Under client->mutex. */
void ub_proc_detach(struct ub_proc *proc)
{
	/* A process that has exited or execed meanwhile is still followed. */
	if (proc->children && !READ_ONCE(proc->gone))
		ub_children_leave(proc->client, proc->pid);
	list_del(&proc->node);
	atomic_dec(&ub_attached);
	ub_proc_unhash(proc);
	ub_region_unload_all(proc);
	/* Unregistering calls .release, which must not report the process as gone. */
	raw_spin_lock(&proc->lock);
	proc->client = NULL;
	raw_spin_unlock(&proc->lock);
	mmu_notifier_unregister(&proc->notifier, proc->mm);
	ub_watch_detach(proc);
	ub_proc_put(proc);
}
