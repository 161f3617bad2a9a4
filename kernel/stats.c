// SPDX-License-Identifier: GPL-2.0-only
/* Statistics: of one attachment by ioctl, of the module in debugfs. */
#include <linux/debugfs.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "arena.h"
#include "arena_text.h"
#include "client.h"
#include "eligible.h"
#include "hook.h"
#include "proc.h"
#include "region.h"
#include "rest.h"
#include "stats.h"
#include "watch.h"

static struct dentry *ub_dir;

/* The first thread's lasting reason if all threads are declined for one now, else 0. */
static u32 ub_always_declined(struct ub_proc *proc)
{
	struct task_struct *leader, *task;
	u32 always = UB_DECLINE_NONE;

	rcu_read_lock();
	leader = pid_task(proc->pid, PIDTYPE_TGID);
	if (!leader)
		goto out;
	for_each_thread(leader, task) {
		u32 reason;

		/* The process has ended or execed; the mm is only compared. */
		if (READ_ONCE(task->mm) != proc->mm)
			continue;
		reason = ub_lasting_decline_reason(task, proc->mm);
		if (!reason) {
			always = UB_DECLINE_NONE;
			break;
		}
		always = always ?: reason;
	}
out:
	rcu_read_unlock();
	return always;
}

void ub_stats_get(struct ub_proc *proc, struct ub_stats *stats)
{
	struct ub_region *region;
	int cpu, i;

	BUILD_BUG_ON(UB_DECLINES > UB_DECLINE_SLOTS);
	stats->flags = READ_ONCE(proc->gone) ? UB_STATSF_GONE : 0;
	if (proc->trusted)
		stats->flags |= UB_STATSF_TRUSTED;
	stats->always = ub_always_declined(proc);
	if (READ_ONCE(proc->resting) && !READ_ONCE(proc->gone))
		stats->flags |= UB_STATSF_RESTING;
	stats->native = ub_proc_calls(proc);
	for_each_possible_cpu(cpu) {
		stats->declined += READ_ONCE(per_cpu_ptr(proc->cpu, cpu)->declined);
		stats->filtered += READ_ONCE(per_cpu_ptr(proc->cpu, cpu)->filtered);
		for (i = 0; i < UB_DECLINES; i++)
			stats->declines[i] +=
				READ_ONCE(per_cpu_ptr(proc->cpu, cpu)->declines[i]);
	}
	stats->attach_ns = proc->attach_ns;
	stats->first_run_ns = READ_ONCE(proc->first_run_ns);
	stats->uncounted_ns = ub_watch_uncounted(proc);

	mutex_lock(&proc->regions_mutex);
	stats->dispatched = proc->old_dispatched;
	stats->native += proc->old_entered;
	for (i = 0; i < UB_EXIT_REASONS; i++)
		stats->exits[i] = proc->old_exits[i];
	list_for_each_entry(region, &proc->regions, node) {
		stats->dispatched += ub_region_dispatched(region);
		stats->native += ub_region_entered(region);
		ub_region_exits(region, stats->exits);
		if (region->listed && !ub_region_is_dead(region)) {
			stats->regions++;
			stats->code_bytes += region->code_length;
		}
	}
	for (i = 0; i < UB_EXIT_REASONS; i++)
		stats->runs += stats->exits[i];
	if (proc->client)
		stats->events_lost = READ_ONCE(proc->client->lost);
	mutex_unlock(&proc->regions_mutex);
}

static int ub_stats_show(struct seq_file *m, void *unused)
{
	struct ub_region *region = NULL;

	seq_printf(m, "attached %d\n", atomic_read(&ub_attached));
	mutex_lock(&ub_region_mutex);
	seq_printf(m, "arena_used %zu\narena_size %lu\n", ub_arena_used(),
		   UB_ARENA_SIZE);
	ub_hook_show(m);
	ub_rest_show(m);
	while ((region = ub_region_next_live(region)))
		seq_printf(m, "region %u bytes %u entries %u faults %u tasks %llu dead %u runs %llu dispatched %llu trusted %u\n",
			   region->number, region->code_length,
			   region->nr_entries, region->nr_faults,
			   ub_region_tasks(region), ub_dead[region->slot],
			   ub_region_runs(region),
			   ub_region_dispatched(region), region->trusted);
	mutex_unlock(&ub_region_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ub_stats);

void ub_stats_init(void)
{
	ub_dir = debugfs_create_dir("ub", NULL);
	debugfs_create_file("stats", 0400, ub_dir, NULL, &ub_stats_fops);
}

void ub_stats_exit(void)
{
	debugfs_remove(ub_dir);
}
