// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks of the allow-listed system-call handlers.
 *
 * ftrace's direct calls let the start of a handler call the trampoline without a
 * register save.  Handlers run after the entry work (seccomp, ptrace, audit) and
 * before the exit work, on every kernel since 4.17.  They are hooked only while some process
 * is watched (watch.c), and UB_LINGER longer; handlers that are not listed are never patched.
 *
 * If a handler has another user (a livepatch, a probe, a tracer, a BPF trampoline), all
 * its calls stay native, in regions, too: a dispatch enters behind the ftrace prologue and
 * would bypass the other user, who may change the result.  Any other user is detected in
 * the same way: the call at the start of the handler is not to the trampoline.
 */
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <asm/text-patching.h>

#include "compat.h"
#include "handler.h"
#include "hook.h"
#include "invalidate.h"
#include "run.h"
#include "trace_gap.h"
#include "trampoline.h"

#define UB_LINGER	(HZ / 10) /* until handlers are unhooked that nobody needs */
#define UB_HOLD		HZ	/* upper bound of the time in which a livepatch is enabled */
#define UB_SYNC_NS	5000	/* approximate time that patching takes from each CPU */
#define UB_NAMED	4	/* handlers that one check names in the log, at most */

static DEFINE_MUTEX(ub_bodies_mutex);	/* taken under ftrace's locks */
static bool ub_held;			/* treat all handlers as used by others ... */
static unsigned long ub_held_until;	/* ... until then */
static void ub_hook_check_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_check_work, ub_hook_check_work);

static struct ftrace_ops ub_ops;
static DEFINE_MUTEX(ub_hook_mutex);
static unsigned int ub_hook_users;
static bool ub_hooked;
/* One reference to the module, from the first hook until no task is inside. */
static bool ub_hook_reference;
static struct delayed_work ub_drain_work;
/* CPU time that hooking and unhooking took the last time, and how often each was done. */
static u64 ub_hook_ns, ub_unhook_ns;
static u64 ub_hooks, ub_unhooks;

/*
 * Set the filter.  It must not be freed before: ftrace_free_filter() leaves a dangling
 * hash, so an ftrace_ops whose filter was freed must not be used again.  With .unused, only
 * handlers without another user; -EBUSY if there are none.
 */
static int ub_hook_filter(bool unused)
{
	unsigned long *ips;
	unsigned int i, n = 0;
	int err;

	ips = kcalloc(ARRAY_SIZE(ub_handlers), sizeof(*ips), GFP_KERNEL);
	if (!ips)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++)
		if (ub_handlers[i].fentry &&
		    (!unused || ub_handler_is_unused(&ub_handlers[i])))
			ips[n++] = ub_handlers[i].fentry;
	err = n ? ftrace_set_filter_ips(&ub_ops, ips, n, 0, 1) : -EBUSY;
	kfree(ips);
	return err;
}

int ub_hook_init(void)
{
	int err;

	ub_handler_init();
	err = ub_hook_filter(false);
	if (err)
		pr_err("ub: ftrace refuses to hook the system-call handlers (%d)\n", err);
	return err;
}

/*
 * Under ub_bodies_mutex.  Update whether the handler has other users; true if that has
 * changed.  .news counts the handlers with a new other user.
 */
static bool ub_hook_check_one(struct ub_handler *h, unsigned int *news)
{
	unsigned long called = ub_handler_calls(h), body = 0;

	/* ftrace is patching the handler: leave the decision to the next check. */
	if (*(const u8 *)h->fentry == INT3_INSN_OPCODE)
		return false;
	if (called == (unsigned long)ub_trampoline) {
		called = 0;
		if (!ub_held)
			body = h->fentry + UB_CALL_SIZE;
	}
	if (called && !h->user && ++*news <= UB_NAMED)
		pr_info("ub: %s is also hooked by %pS: its calls stay native\n",
			h->name, (void *)called);
	h->user = called;
	if (ub_bodies[h->nr] == body)
		return false;
	WRITE_ONCE(ub_bodies[h->nr], body);
	return true;
}

/* Under ub_bodies_mutex.  The set of handlers that regions may call has changed. */
static void ub_hook_changed(void)
{
	ub_handler_changed();
	ub_region_invalidate_all();
}

/* Detect other users of the handlers.  Every epoch, since tracers give no notice. */
void ub_hook_check(void)
{
	unsigned int i, news = 0;
	bool changed = false;

	mutex_lock(&ub_bodies_mutex);
	if (ub_held && time_after_eq(jiffies, ub_held_until))
		ub_held = false;
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++)
		if (ub_handlers[i].fentry)
			changed |= ub_hook_check_one(&ub_handlers[i], &news);
	if (news > UB_NAMED)
		pr_info("ub: %u more handlers are also hooked by others\n", news - UB_NAMED);
	if (changed)
		ub_hook_changed();
	mutex_unlock(&ub_bodies_mutex);
}

static void ub_hook_check_work(struct work_struct *work)
{
	ub_hook_check();
}

#ifdef UB_OPS_FUNC_PARAMETERS
/*
 * ftrace calls this before an IPMODIFY user (a livepatch) shares a handler with a direct
 * call ("ftrace: Allow IPMODIFY and DIRECT ops on the same function", 6.0).  The trampoline
 * supports that.  The new user is not enabled yet and its handlers are not known, so all
 * handlers count as used until it is.
 */
static int ub_hook_share(UB_OPS_FUNC_PARAMETERS)
{
	if (cmd != FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_PEER)
		return 0;
	mutex_lock(&ub_bodies_mutex);
	ub_held = true;
	ub_held_until = jiffies + UB_HOLD;
	memset(ub_bodies, 0, sizeof(ub_bodies));
	ub_hook_changed();
	mutex_unlock(&ub_bodies_mutex);
	mod_delayed_work(system_wq, &ub_check_work, UB_HOLD + 1);
	return 0;
}

static struct ftrace_ops ub_ops = { .ops_func = ub_hook_share };
#endif

static int ub_hook_register(void)
{
	int err = ub_register_direct(&ub_ops, (unsigned long)ub_trampoline);

	/* Some failures (livepatch) leave this set, and the next attempt would be refused. */
	if (err) {
		ub_ops.func = NULL;
		ub_ops.trampoline = 0;
	}
	return err;
}

/*
 * A function can have one direct call: if some handlers have another one already (BPF
 * trampolines), leave out all handlers in use.
 */
static int ub_hook_install(void)
{
	int err = ub_hook_filter(false);

	if (!err)
		err = ub_hook_register();
	if (err == -EBUSY) {
		err = ub_hook_filter(true);
		if (!err)
			err = ub_hook_register();
	}
	/* -EBUSY would tell user space that the process is attached already. */
	if (err == -EBUSY)
		err = -EADDRINUSE;
	if (!err)
		ub_hook_check();
	return err;
}

static int ub_hook_remove(void)
{
	return ub_unregister_direct(&ub_ops, (unsigned long)ub_trampoline);
}

/* CPU time of this thread.  Sleeping brings the scheduler's account up to date. */
static u64 ub_hook_clock(void)
{
	schedule_timeout_uninterruptible(1);
	return READ_ONCE(current->se.sum_exec_runtime);
}

/* CPU time since .began, with that of the other CPUs. */
static u64 ub_hook_took(u64 began)
{
	return ub_hook_clock() - began + num_online_cpus() * UB_SYNC_NS;
}

/* CPU time (ns) that it takes to hook the handlers and to unhook them again. */
u64 ub_hook_cost(void)
{
	u64 hook = READ_ONCE(ub_hook_ns);

	return hook + (READ_ONCE(ub_unhook_ns) ?: hook);
}

/* For debugfs. */
void ub_hook_show(struct seq_file *m)
{
	seq_printf(m, "hooked %u\nhooks %llu ns %llu\nunhooks %llu ns %llu\n",
		   READ_ONCE(ub_hooked), READ_ONCE(ub_hooks), READ_ONCE(ub_hook_ns),
		   READ_ONCE(ub_unhooks), READ_ONCE(ub_unhook_ns));
}

static long ub_hook_inside(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ub_inside, cpu));
	return sum;
}

/*
 * No process is watched any more: unhook, and drop the module reference once no task is inside.
 *
 * Unhooking waits for all tasks (RCU-tasks), seconds at worst, so it runs in a work item,
 * and is skipped if a process is watched again soon.  Long after that, tasks may sleep in a
 * handler with frames of the module on their stacks.  No task enters any more, so the sum
 * only decreases and zero is final; no gap tracing begins either.
 */
static void ub_hook_drain(struct work_struct *work)
{
	u64 began;

	mutex_lock(&ub_hook_mutex);
	if (ub_hook_users)
		goto out;
	if (ub_hooked) {
		began = ub_hook_clock();
		if (ub_hook_remove()) {
			/* ftrace failed; handlers still call the module: keep the reference. */
			pr_err("ub: ftrace cannot unhook the handlers: the module cannot be unloaded\n");
			goto out;
		}
		ub_hooked = false;
		ub_unhooks++;
		WRITE_ONCE(ub_unhook_ns, ub_hook_took(began));
	}
	if (ub_hook_inside() || ub_trace_gap_is_on()) {
		mod_delayed_work(system_wq, &ub_drain_work, HZ / 10);
	} else if (ub_hook_reference) {
		ub_hook_reference = false;
		module_put(THIS_MODULE);
	}
out:
	mutex_unlock(&ub_hook_mutex);
}

/* One more process is watched.  The caller adds it to ub_filter after this. */
int ub_hook_get(void)
{
	int err = 0;

	mutex_lock(&ub_hook_mutex);
	if (!ub_hook_reference) {
		ub_hook_reference = true;
		__module_get(THIS_MODULE);
	}
	if (!ub_hooked) {
		u64 began = ub_hook_clock();

		err = ub_hook_install();
		if (!err) {
			ub_hooks++;
			WRITE_ONCE(ub_hook_ns, ub_hook_took(began));
		}
	}
	if (!err) {
		ub_hooked = true;
		ub_hook_users++;
	} else if (!ub_hook_users) {
		mod_delayed_work(system_wq, &ub_drain_work, 0);
	}
	mutex_unlock(&ub_hook_mutex);
	return err;
}

void ub_hook_put(void)
{
	mutex_lock(&ub_hook_mutex);
	if (!--ub_hook_users)
		mod_delayed_work(system_wq, &ub_drain_work, UB_LINGER);
	mutex_unlock(&ub_hook_mutex);
}

/* No module reference is left, so no task is inside; wait for the last instructions. */
void ub_hook_exit(void)
{
	flush_delayed_work(&ub_drain_work);
	cancel_delayed_work_sync(&ub_check_work);
	synchronize_rcu_tasks();
	ftrace_free_filter(&ub_ops);
}

void ub_hook_setup(void)
{
	INIT_DELAYED_WORK(&ub_drain_work, ub_hook_drain);
}
