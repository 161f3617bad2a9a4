// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attached processes, found by their mm.
 *
 * An attachment belongs to the open file that made it and ends with it, or when the
 * mm goes away: exec brings a new mm and a forked child has its own, so both run
 * natively.
 */
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/mmu_notifier.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "internal.h"

DEFINE_HASHTABLE(ub_procs, UB_PROC_BITS);
static DEFINE_SPINLOCK(ub_procs_lock);
static DECLARE_BITMAP(ub_numbers, UB_FILTER_BUSY);	/* in use; 0 never is */
static atomic64_t ub_next_id = ATOMIC64_INIT(1);
atomic_t ub_attached = ATOMIC_INIT(0);

/* The trampoline computes the same. */
static u16 *ub_filter_of(struct mm_struct *mm)
{
	return &ub_filter[((unsigned long)mm >> 6) & (UB_FILTER_SIZE - 1)];
}

static u64 ub_cold_sum(u16 number)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ub_cold_calls, cpu)[number]);
	return sum;
}

/* Calls that the trampoline let pass since the process was attached. */
u64 ub_proc_cold_calls(const struct ub_proc *proc)
{
	u16 number = READ_ONCE(proc->number);
	u64 sum = READ_ONCE(proc->old_cold);

	if (number && number != UB_FILTER_BUSY)
		sum += ub_cold_sum(number) - proc->cold_base;
	return sum;
}

static void ub_proc_free(struct rcu_head *rcu)
{
	struct ub_proc *proc = container_of(rcu, struct ub_proc, rcu);

	kvfree(rcu_dereference_protected(proc->entries, true));
	put_pid(proc->pid);
	free_percpu(proc->cpu);
	kfree(proc);
}

void ub_proc_put(struct ub_proc *proc)
{
	if (refcount_dec_and_test(&proc->refs))
		call_rcu(&proc->rcu, ub_proc_free);
}

/* Under ub_procs_lock. */
static void ub_proc_give_number(struct ub_proc *proc)
{
	u16 number = find_next_zero_bit(ub_numbers, UB_FILTER_BUSY, 1);

	if (number != UB_FILTER_BUSY) {
		set_bit(number, ub_numbers);
		proc->cold_base = ub_cold_sum(number);
	}
	WRITE_ONCE(proc->number, number);
}

/* Under ub_procs_lock. */
static void ub_proc_take_number(struct ub_proc *proc)
{
	u16 number = proc->number;

	WRITE_ONCE(proc->old_cold, ub_proc_cold_calls(proc));
	WRITE_ONCE(proc->number, UB_FILTER_BUSY);
	if (number != UB_FILTER_BUSY)
		clear_bit(number, ub_numbers);
}

/* What the trampoline is to know of the process: look closer, let it rest, or neither. */
static u16 ub_filter_word(const struct ub_proc *proc)
{
	if (!READ_ONCE(proc->looked))
		return 0;
	if (proc->number == UB_FILTER_BUSY)
		return UB_FILTER_BUSY;
	if (READ_ONCE(proc->rest) || READ_ONCE(proc->paused))
		return proc->number | UB_FILTER_REST;
	return proc->number;
}

/* Under ub_procs_lock.  Those that share a word all have UB_FILTER_BUSY, or 0. */
static void ub_filter_update(u16 *filter)
{
	struct ub_proc *proc;
	u16 word = 0;
	int bucket;

	hash_for_each(ub_procs, bucket, proc, hash)
		if (ub_filter_of(proc->mm) == filter)
			word |= ub_filter_word(proc);
	WRITE_ONCE(*filter, word);
}

/* The trampoline is to treat its tasks in another way. */
void ub_proc_filter(struct ub_proc *proc)
{
	spin_lock(&ub_procs_lock);
	if (proc->hashed)
		ub_filter_update(ub_filter_of(proc->mm));
	spin_unlock(&ub_procs_lock);
}

static int ub_proc_hash(struct ub_proc *proc)
{
	u16 *filter = ub_filter_of(proc->mm);
	struct ub_proc *other;
	bool shared = false;
	int bucket, err = 0;

	spin_lock(&ub_procs_lock);
	if (ub_proc_of_mm(proc->mm)) {
		err = -EBUSY;
		goto out;
	}
	/* The word can name one counter only: none is used, if it is shared. */
	hash_for_each(ub_procs, bucket, other, hash) {
		if (ub_filter_of(other->mm) == filter) {
			ub_proc_take_number(other);
			shared = true;
		}
	}
	if (shared)
		proc->number = UB_FILTER_BUSY;
	else
		ub_proc_give_number(proc);
	hash_add_rcu(ub_procs, &proc->hash, (unsigned long)proc->mm);
	proc->hashed = true;
	ub_filter_update(filter);
out:
	spin_unlock(&ub_procs_lock);
	return err;
}

static void ub_proc_unhash(struct ub_proc *proc)
{
	spin_lock(&ub_procs_lock);
	if (proc->hashed) {
		proc->hashed = false;
		hash_del_rcu(&proc->hash);
		ub_filter_update(ub_filter_of(proc->mm));
		ub_proc_take_number(proc);
	}
	spin_unlock(&ub_procs_lock);
}

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
	ub_region_end(proc);
	ub_cost_end(proc);
	WRITE_ONCE(proc->gone, true);
	ub_event_send(proc, &event);
}

static const struct mmu_notifier_ops ub_notifier_ops = {
	.invalidate_range_start = ub_invalidate_start,
	.release = ub_mm_release,
};

/* By its number in .ns.  Also a reference to the .pid of the thread group. */
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
	/* A child of the caller that is not through its exec yet, as vfork leaves it. */
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
	spin_lock_init(&proc->lock);
	INIT_LIST_HEAD(&proc->regions);
	proc->mm = mm;
	proc->pid = pid;
	proc->client = client;
	proc->id = atomic64_inc_return(&ub_next_id);
	proc->notifier.ops = &ub_notifier_ops;
	proc->attach_ns = ktime_get_ns();

	err = ub_cost_attach(proc);
	if (err)
		goto free_percpu;
	/* Holds the mm's structure, so its address stays ours until detach. */
	err = mmu_notifier_register(&proc->notifier, mm);
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
	ub_detect_start();
	ub_cost_start();
	ub_suspend_start();
	attach->proc = proc->id;
	mmput(mm);
	return 0;

unhash:
	ub_proc_unhash(proc);
unregister:
	/* Tasks may have found it, and events may be on their way. */
	spin_lock(&proc->lock);
	proc->client = NULL;
	spin_unlock(&proc->lock);
	mmu_notifier_unregister(&proc->notifier, mm);
	ub_cost_detach(proc);
	mmput(mm);
	ub_proc_put(proc);
	return err;
unhook:
	ub_cost_detach(proc);
free_percpu:
	free_percpu(proc->cpu);
free:
	kfree(proc);
put_pid:
	put_pid(pid);
	mmput(mm);
	return err;
}

/* Under client->mutex. */
void ub_proc_detach(struct ub_proc *proc)
{
	/* What has ended or runs another program by now is followed further. */
	if (proc->children && !READ_ONCE(proc->gone))
		ub_children_leave(proc->client, proc->pid);
	list_del(&proc->node);
	atomic_dec(&ub_attached);
	ub_proc_unhash(proc);
	ub_region_unload_all(proc);
	/* Unregistering calls release: it is not the process that is gone. */
	spin_lock(&proc->lock);
	proc->client = NULL;
	spin_unlock(&proc->lock);
	mmu_notifier_unregister(&proc->notifier, proc->mm);
	ub_cost_detach(proc);
	ub_proc_put(proc);
}

/* Under client->mutex. */
struct ub_proc *ub_proc_find(struct ub_client *client, u64 id)
{
	struct ub_proc *proc;

	list_for_each_entry(proc, &client->procs, node)
		if (proc->id == id)
			return proc;
	return NULL;
}

/* No segment of any region runs any more after this, nor does one of a later look-up. */
void ub_attach_drop_regions(void)
{
	struct ub_proc *proc;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(ub_procs, bucket, proc, hash)
		ub_region_invalidate(proc, 0, TASK_SIZE_MAX, false);
	rcu_read_unlock();
	synchronize_rcu();
}

void ub_attach_exit(void)
{
	rcu_barrier();
}
