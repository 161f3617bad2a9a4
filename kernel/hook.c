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
 *
 * Handlers that no process has a use for are unhooked while others stay hooked.  So there are
 * several sets of them, each with an ftrace_ops of its own: its handlers can be changed only
 * while it is not registered.  No region calls a handler that is not hooked.
 */
#include <linux/bitmap.h>
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
#include "queue.h"
#include "run.h"
#include "trace_gap.h"
#include "trampoline.h"

#define UB_LINGER	(HZ / 10) /* until handlers are unhooked that nobody needs */
#define UB_HOLD		HZ	/* upper bound of the time in which a livepatch is enabled */
#define UB_SYNC_NS	5000	/* approximate time that patching takes from each CPU */
#define UB_OUTLIER	4	/* multiple of the last cost; more was not spent here */
#define UB_DRAIN_MAX	(2 * HZ) /* longest interval between looks at who is inside */
#define UB_HOOK_SETS	4
#define UB_NAMED	4	/* handlers that one check names in the log, at most */

static DEFINE_MUTEX(ub_bodies_mutex);	/* taken under ftrace's locks */
static bool ub_held;			/* treat all handlers as used by others ... */
static unsigned long ub_held_until;	/* ... until then */
static void ub_hook_check_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_check_work, ub_hook_check_work);

/* Handlers that are hooked and unhooked together, by their place in ub_handlers[]. */
struct ub_hook_set {
	struct ftrace_ops ops;
	DECLARE_BITMAP(handlers, UB_HANDLERS);
	bool on;
};

static struct ub_hook_set ub_hook_sets[UB_HOOK_SETS];
static DEFINE_MUTEX(ub_hook_mutex);
static unsigned int ub_hook_users;
static bool ub_hooked;
static bool ub_hook_whole;		/* all handlers that can be hooked are */
/* Handlers that are not hooked since no region calls them; under ub_bodies_mutex, too. */
static DECLARE_BITMAP(ub_hook_spared, UB_HANDLERS);
/* One reference to the module, from the first hook until no task is inside. */
static bool ub_hook_reference;
static struct delayed_work ub_drain_work;
/* CPU time that hooking and unhooking took the last time, and how often each was done. */
static u64 ub_hook_ns, ub_unhook_ns;
static unsigned long ub_drain_wait = HZ / 10;
static u64 ub_hooks, ub_unhooks;

/* The handlers that are hooked. */
static void ub_hook_present(unsigned long *handlers)
{
	struct ub_hook_set *set;

	bitmap_zero(handlers, UB_HANDLERS);
	for (set = ub_hook_sets; set < ub_hook_sets + UB_HOOK_SETS; set++)
		if (set->on)
			bitmap_or(handlers, handlers, set->handlers, UB_HANDLERS);
}

/*
 * Set the filter of a set that is not hooked: of .wanted, the handlers that are not hooked
 * by another set.  It must not be freed before: ftrace_free_filter() leaves a dangling
 * hash, so an ftrace_ops whose filter was freed must not be used again.  With .unused, only
 * handlers without another user; -EBUSY if there are none, -ENOENT if none is left.  An
 * empty filter would stand for all functions of the kernel.
 */
static int ub_hook_filter(struct ub_hook_set *set, const unsigned long *wanted, bool unused)
{
	DECLARE_BITMAP(present, UB_HANDLERS);
	unsigned long *ips;
	unsigned int i, n = 0;
	int err;

	ips = kcalloc(UB_HANDLERS, sizeof(*ips), GFP_KERNEL);
	if (!ips)
		return -ENOMEM;
	ub_hook_present(present);
	bitmap_zero(set->handlers, UB_HANDLERS);
	for_each_set_bit(i, wanted, UB_HANDLERS) {
		if (!ub_handlers[i].fentry || test_bit(i, present) ||
		    (unused && !ub_handler_is_unused(&ub_handlers[i])))
			continue;
		set_bit(i, set->handlers);
		ips[n++] = ub_handlers[i].fentry;
	}
	err = unused ? -EBUSY : -ENOENT;
	if (n)
		err = ftrace_set_filter_ips(&set->ops, ips, n, 0, 1);
	kfree(ips);
	return err;
}

int ub_hook_init(void)
{
	DECLARE_BITMAP(all, UB_HANDLERS);
	int err;

	ub_handler_init();
	bitmap_fill(all, UB_HANDLERS);
	err = ub_hook_filter(&ub_hook_sets[0], all, false);
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
	if (called == (unsigned long)ub_trampoline ||
	    (!called && test_bit(h - ub_handlers, ub_hook_spared))) {
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

/* Under ub_bodies_mutex. */
static void ub_hook_check_all(void)
{
	unsigned int i, news = 0;
	bool changed = false;

	if (ub_held && time_after_eq(jiffies, ub_held_until))
		ub_held = false;
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++)
		if (ub_handlers[i].fentry)
			changed |= ub_hook_check_one(&ub_handlers[i], &news);
	if (news > UB_NAMED)
		pr_info("ub: %u more handlers are also hooked by others\n", news - UB_NAMED);
	if (changed)
		ub_hook_changed();
}

/* Detect other users of the handlers.  Every epoch, since tracers give no notice. */
void ub_hook_check(void)
{
	mutex_lock(&ub_bodies_mutex);
	ub_hook_check_all();
	mutex_unlock(&ub_bodies_mutex);
}

/*
 * Regions are not affected while these handlers are not hooked.  A check sees either that a
 * handler is hooked or that it is spared: this is called before it is unhooked ...
 */
static void ub_hook_spare(const unsigned long *handlers)
{
	mutex_lock(&ub_bodies_mutex);
	bitmap_or(ub_hook_spared, ub_hook_spared, handlers, UB_HANDLERS);
	mutex_unlock(&ub_bodies_mutex);
}

/* ... and this after it is hooked again, or could not be: then a check ends the regions. */
static void ub_hook_unspare(const unsigned long *handlers)
{
	mutex_lock(&ub_bodies_mutex);
	bitmap_andnot(ub_hook_spared, ub_hook_spared, handlers, UB_HANDLERS);
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
 *
 * One that has come while the handler was unhooked was not announced.  It is enabled, and
 * ftrace calls this before the handler is hooked again, thus before any run that follows.
 */
static int ub_hook_share(UB_OPS_FUNC_PARAMETERS)
{
	if (cmd == FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_SELF)
		ub_hook_check();
	if (cmd != FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_PEER)
		return 0;
	mutex_lock(&ub_bodies_mutex);
	ub_held = true;
	ub_held_until = jiffies + UB_HOLD;
	memset(ub_bodies, 0, sizeof(ub_bodies));
	ub_hook_changed();
	mutex_unlock(&ub_bodies_mutex);
	mod_delayed_work(ub_queue, &ub_check_work, UB_HOLD + 1);
	return 0;
}
#endif

static int ub_hook_register(struct ub_hook_set *set)
{
	int err = ub_register_direct(&set->ops, (unsigned long)ub_trampoline);

	/* Some failures (livepatch) leave this set, and the next attempt would be refused. */
	if (err) {
		set->ops.func = NULL;
		set->ops.trampoline = 0;
	}
	set->on = !err;
	return err;
}

/*
 * A function can have one direct call: if some handlers have another one already (BPF
 * trampolines), leave out all handlers in use.
 */
static int ub_hook_add(struct ub_hook_set *set, const unsigned long *wanted)
{
	int err = ub_hook_filter(set, wanted, false);

	if (!err)
		err = ub_hook_register(set);
	if (err == -EBUSY) {
		err = ub_hook_filter(set, wanted, true);
		if (!err)
			err = ub_hook_register(set);
	}
	return err == -ENOENT ? 0 : err;
}

static int ub_hook_remove(struct ub_hook_set *set)
{
	int err = ub_unregister_direct(&set->ops, (unsigned long)ub_trampoline);

	if (!err)
		set->on = false;
	return err;
}

static int ub_hook_remove_all(void)
{
	struct ub_hook_set *set;
	int err = 0;

	for (set = ub_hook_sets; set < ub_hook_sets + UB_HOOK_SETS && !err; set++)
		if (set->on)
			err = ub_hook_remove(set);
	return err;
}

/* Hook all handlers that are not hooked. */
static int ub_hook_install(void)
{
	DECLARE_BITMAP(present, UB_HANDLERS);
	DECLARE_BITMAP(all, UB_HANDLERS);
	struct ub_hook_set *set = ub_hook_sets;
	int err = 0;

	bitmap_fill(all, UB_HANDLERS);
	while (set < ub_hook_sets + UB_HOOK_SETS && set->on)
		set++;
	if (set == ub_hook_sets + UB_HOOK_SETS) {
		/* As in ub_hook_trim_set(). */
		ub_hook_present(present);
		ub_hook_spare(present);
		err = ub_hook_remove_all();
		set = ub_hook_sets;
	}
	if (!err)
		err = ub_hook_add(set, all);
	/* All that is left has another direct call: no process needs it. */
	ub_hook_present(present);
	if (err == -EBUSY && !bitmap_empty(present, UB_HANDLERS))
		err = 0;
	/* -EBUSY would tell user space that the process is attached already. */
	if (err == -EBUSY)
		err = -EADDRINUSE;
	if (!err)
		ub_hook_check();
	return err;
}

/* CPU time of this thread.  Sleeping brings the scheduler's account up to date. */
static u64 ub_hook_clock(void)
{
	schedule_timeout_uninterruptible(1);
	return READ_ONCE(current->se.sum_exec_runtime);
}

/*
 * Learn the CPU time since .began, with that of the other CPUs.  In a virtual machine it may
 * contain time in which the machine did not run.
 */
static void ub_hook_learn(u64 *cost, u64 began)
{
	u64 took = ub_hook_clock() - began + num_online_cpus() * UB_SYNC_NS;

	WRITE_ONCE(*cost, *cost ? min(took, UB_OUTLIER * *cost) : took);
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
	DECLARE_BITMAP(present, UB_HANDLERS);

	ub_hook_present(present);
	seq_printf(m, "hooked %u\nhooks %llu ns %llu\nunhooks %llu ns %llu\n",
		   bitmap_weight(present, UB_HANDLERS), READ_ONCE(ub_hooks),
		   READ_ONCE(ub_hook_ns), READ_ONCE(ub_unhooks), READ_ONCE(ub_unhook_ns));
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
	DECLARE_BITMAP(all, UB_HANDLERS);
	u64 began;

	mutex_lock(&ub_hook_mutex);
	if (ub_hook_users)
		goto out;
	if (ub_hooked) {
		began = ub_hook_clock();
		if (ub_hook_remove_all()) {
			/* ftrace failed; handlers still call the module: keep the reference. */
			pr_err("ub: ftrace cannot unhook the handlers: the module cannot be unloaded\n");
			goto out;
		}
		ub_hooked = false;
		ub_hook_whole = false;
		bitmap_fill(all, UB_HANDLERS);
		ub_hook_unspare(all);
		ub_unhooks++;
		ub_hook_learn(&ub_unhook_ns, began);
		ub_drain_wait = HZ / 10;
	}
	if (ub_hook_inside() || ub_trace_gap_is_on()) {
		/* While processes rest, tasks may sleep in a handler for hours. */
		mod_delayed_work(ub_queue, &ub_drain_work, ub_drain_wait);
		ub_drain_wait = min_t(unsigned long, 2 * ub_drain_wait, UB_DRAIN_MAX);
	} else if (ub_hook_reference) {
		ub_hook_reference = false;
		module_put(THIS_MODULE);
	}
out:
	mutex_unlock(&ub_hook_mutex);
}

/* Under the mutex.  Hook all handlers. */
static int ub_hook_fill_locked(void)
{
	DECLARE_BITMAP(all, UB_HANDLERS);
	u64 began;
	int err;

	if (ub_hook_whole)
		return 0;
	began = ub_hook_clock();
	err = ub_hook_install();
	bitmap_fill(all, UB_HANDLERS);
	ub_hook_unspare(all);
	if (err) {
		/* Handlers that could not be hooked again have no users that are known. */
		ub_hook_check();
		return err;
	}
	ub_hooked = true;
	ub_hook_whole = true;
	ub_hooks++;
	ub_hook_learn(&ub_hook_ns, began);
	return 0;
}

/* One more process is watched.  The caller adds it to ub_filter after this. */
int ub_hook_get(void)
{
	int err;

	mutex_lock(&ub_hook_mutex);
	if (!ub_hook_reference) {
		ub_hook_reference = true;
		__module_get(THIS_MODULE);
	}
	err = ub_hook_fill_locked();
	if (!err)
		ub_hook_users++;
	else if (!ub_hook_users)
		mod_delayed_work(ub_queue, &ub_drain_work, 0);
	mutex_unlock(&ub_hook_mutex);
	return err;
}

/* Hook all handlers, for processes that are watched. */
int ub_hook_fill(void)
{
	int err;

	mutex_lock(&ub_hook_mutex);
	err = ub_hook_fill_locked();
	mutex_unlock(&ub_hook_mutex);
	return err;
}

/*
 * Under the mutex.  Unhook the handlers of a set that are not in .needed; false if there are
 * none.
 */
static bool ub_hook_trim_set(struct ub_hook_set *set, const unsigned long *needed)
{
	DECLARE_BITMAP(kept, UB_HANDLERS);

	if (!set->on || bitmap_subset(set->handlers, needed, UB_HANDLERS))
		return false;
	bitmap_and(kept, set->handlers, needed, UB_HANDLERS);
	ub_hook_spare(set->handlers);
	/* Calls of those that are kept are native until they are hooked again. */
	if (!ub_hook_remove(set) && ub_hook_add(set, kept))
		pr_warn_once("ub: ftrace cannot hook handlers again\n");
	ub_hook_unspare(kept);
	return true;
}

/*
 * Unhook all handlers but those of the calls in .calls (a bitmap of UB_CALLS), until the
 * next ub_hook_get() or ub_hook_fill().
 */
void ub_hook_trim(const unsigned long *calls)
{
	DECLARE_BITMAP(needed, UB_HANDLERS);
	struct ub_hook_set *set;
	bool trimmed = false;
	unsigned int i;
	u64 began;

	bitmap_zero(needed, UB_HANDLERS);
	for (i = 0; i < UB_HANDLERS; i++)
		if (test_bit(ub_handlers[i].nr, calls))
			set_bit(i, needed);
	mutex_lock(&ub_hook_mutex);
	/* Without users ub_hook_drain() unhooks all of them. */
	if (!ub_hook_users)
		goto out;
	began = ub_hook_clock();
	for (set = ub_hook_sets; set < ub_hook_sets + UB_HOOK_SETS; set++)
		trimmed |= ub_hook_trim_set(set, needed);
	if (trimmed) {
		ub_hook_whole = false;
		/* Other users that came in the meantime were not announced. */
		ub_hook_check();
		ub_unhooks++;
		ub_hook_learn(&ub_unhook_ns, began);
	}
out:
	mutex_unlock(&ub_hook_mutex);
}

void ub_hook_put(void)
{
	mutex_lock(&ub_hook_mutex);
	if (!--ub_hook_users)
		mod_delayed_work(ub_queue, &ub_drain_work, UB_LINGER);
	mutex_unlock(&ub_hook_mutex);
}

/* No module reference is left, so no task is inside; wait for the last instructions. */
void ub_hook_exit(void)
{
	struct ub_hook_set *set;

	flush_delayed_work(&ub_drain_work);
	cancel_delayed_work_sync(&ub_check_work);
	synchronize_rcu_tasks();
	for (set = ub_hook_sets; set < ub_hook_sets + UB_HOOK_SETS; set++)
		ftrace_free_filter(&set->ops);
}

void ub_hook_setup(void)
{
#ifdef UB_OPS_FUNC_PARAMETERS
	struct ub_hook_set *set;

	for (set = ub_hook_sets; set < ub_hook_sets + UB_HOOK_SETS; set++)
		set->ops.ops_func = ub_hook_share;
#endif
	INIT_DELAYED_WORK(&ub_drain_work, ub_hook_drain);
}
