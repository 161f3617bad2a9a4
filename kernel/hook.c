// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks of the allow-listed system-call handlers.
 *
 * ftrace's direct calls let the start of a handler call our trampoline with no
 * register save.  Handlers run after the entry work (seccomp, ptrace, audit) and
 * before the exit work, on every kernel since 4.17.  Hooked only while some process is
 * attached, and UB_LINGER longer; calls that are not listed are never touched.
 *
 * A handler that somebody else uses as well (a livepatch, a probe, a tracer, a BPF
 * trampoline) is left to him: its calls are native, those of regions too, for behind
 * the ftrace prologue they would miss what he does, and that may be to change the result.
 * Who it is need not be known: the call at the handler's start is not to us then.
 */
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <asm/text-patching.h>

#include "compat.h"
#include "internal.h"

#define UB_CALL_SIZE	5	/* of the call that ftrace patches in */
#define UB_LINGER	(HZ / 10) /* from the last detach until handlers are unhooked */
#define UB_HOLD		HZ	/* longer than a livepatch takes to be in place */
#define UB_NAMED	4	/* handlers that one look names in the log, at most */

struct ub_handler {
	const char *name;
	u32 nr;
	u8 args;
	unsigned long fentry;	/* where ftrace patches; 0: not to be had */
	unsigned long user;	/* who else uses it: what is called there, or 0 */
};

#define UB_SYSCALL(_nr, _name, _args) \
	{ .name = "__x64_sys_" #_name, .nr = _nr, .args = _args },
static struct ub_handler ub_handlers[] = {
#include "ub_syscalls.h"
};
#undef UB_SYSCALL

u16 ub_filter[UB_FILTER_SIZE];

/* Where the body of each handler begins that is ours alone; else 0. */
unsigned long ub_bodies[UB_CALLS];
/* Counts the changes of ub_bodies. */
static atomic_t ub_hook_changes = ATOMIC_INIT(0);
static DEFINE_MUTEX(ub_bodies_mutex);	/* taken under ftrace's locks */
static bool ub_held;			/* all handlers count as used by others ... */
static unsigned long ub_held_until;	/* ... until then */
static void ub_hook_look_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_look_work, ub_hook_look_work);

static struct ub_handler *ub_by_nr[UB_CALLS];
static struct ftrace_ops ub_ops;
static DEFINE_MUTEX(ub_hook_mutex);
static unsigned int ub_hook_users;
static bool ub_hooked;
/* One reference to the module from the first attachment until all are out. */
static bool ub_hook_reference;
/* Tasks of attached processes that are between the trampoline's two calls. */
DEFINE_PER_CPU(long, ub_inside);
static struct delayed_work ub_drain_work;

/*
 * Where the 5 bytes at the start of a handler lead, or 0 if nowhere.  It may be a jump
 * ("ftrace: Introduce FTRACE_OPS_FL_JMP", 6.19), but never ours.
 */
static unsigned long ub_call_at(unsigned long address)
{
	const u8 *at = (const u8 *)address;
	s32 rel;

	if (*at != CALL_INSN_OPCODE && *at != JMP32_INSN_OPCODE)
		return 0;
	memcpy(&rel, at + 1, sizeof(rel));
	return address + UB_CALL_SIZE + rel;
}

static bool ub_is_nop(unsigned long address)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	return !memcmp((const void *)address, nop, sizeof(nop));
}

/*
 * The filter must not be freed in between: ftrace_free_filter() leaves a dangling hash
 * behind, so an ftrace_ops whose filter was freed must not be used again.  With
 * .unused only those handlers that nobody uses; -EBUSY if there are none.
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
		    (!unused || ub_is_nop(ub_handlers[i].fentry)))
			ips[n++] = ub_handlers[i].fentry;
	err = n ? ftrace_set_filter_ips(&ub_ops, ips, n, 0, 1) : -EBUSY;
	kfree(ips);
	return err;
}

int ub_hook_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++) {
		struct ub_handler *h = &ub_handlers[i];
		unsigned long address = ub_lookup(h->name);

		/* Calls of one that is not to be had stay native. */
		if (!address) {
			pr_info("ub: this kernel has no %s to hook\n", h->name);
			continue;
		}
		/* Somebody may be tracing it already: then it is a call or a jump. */
		if (!ub_is_nop(address) && !ub_call_at(address)) {
			pr_info("ub: %s cannot be traced by ftrace\n", h->name);
			continue;
		}
		h->fentry = address;
		ub_by_nr[h->nr] = h;
	}
	err = ub_hook_filter(false);
	if (err)
		pr_err("ub: ftrace refuses the system-call handlers (%d)\n", err);
	return err;
}

/*
 * The handler past its ftrace prologue, or 0 if calls of it are not to be made from
 * regions: somebody else uses it, or nr is not allowed at all.  Who goes by that looks
 * at ub_hook_version() before, and again once the region can be found and killed.
 */
unsigned long ub_hook_body(u32 nr)
{
	return nr < UB_CALLS ? READ_ONCE(ub_bodies[nr]) : 0;
}

int ub_hook_version(void)
{
	return atomic_read_acquire(&ub_hook_changes);
}

u8 ub_hook_args(u32 nr)
{
	return nr < UB_CALLS && ub_by_nr[nr] ? ub_by_nr[nr]->args : UB_SYSCALL_NONE;
}

/*
 * Under ub_bodies_mutex.  Has it changed whether the handler is ours alone?  .news counts
 * those that somebody has begun to use.
 */
static bool ub_hook_look_at(struct ub_handler *h, unsigned int *news)
{
	unsigned long called = ub_call_at(h->fentry), body = 0;

	/* Just being patched: the next look will tell. */
	if (*(const u8 *)h->fentry == INT3_INSN_OPCODE)
		return false;
	if (called == (unsigned long)ub_trampoline) {
		called = 0;
		if (!ub_held)
			body = h->fentry + UB_CALL_SIZE;
	}
	if (called && !h->user && ++*news <= UB_NAMED)
		pr_info("ub: somebody else uses %s by %pS: its calls stay native\n",
			h->name, (void *)called);
	h->user = called;
	if (ub_bodies[h->nr] == body)
		return false;
	WRITE_ONCE(ub_bodies[h->nr], body);
	return true;
}

/* Under ub_bodies_mutex.  Regions call some handler that they should not, or the reverse. */
static void ub_hook_changed(void)
{
	atomic_inc(&ub_hook_changes);
	/* Pairs with the lock under which a region becomes known. */
	smp_mb__after_atomic();
	ub_attach_drop_regions();
}

/* Who else uses our handlers by now?  Every epoch, for tracers give no notice. */
void ub_hook_look(void)
{
	unsigned int i, news = 0;
	bool changed = false;

	mutex_lock(&ub_bodies_mutex);
	if (ub_held && time_after_eq(jiffies, ub_held_until))
		ub_held = false;
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++)
		if (ub_handlers[i].fentry)
			changed |= ub_hook_look_at(&ub_handlers[i], &news);
	if (news > UB_NAMED)
		pr_info("ub: the same goes for %u more handlers\n", news - UB_NAMED);
	if (changed)
		ub_hook_changed();
	mutex_unlock(&ub_bodies_mutex);
}

static void ub_hook_look_work(struct work_struct *work)
{
	ub_hook_look();
}

#ifdef UB_OPS_FUNC_PARAMETERS
/*
 * ftrace asks whether a direct call and a user that changes where the handler goes on (a
 * livepatch) may share a handler ("ftrace: Allow IPMODIFY and DIRECT ops on the same
 * function", 6.0).  The trampoline can.  A newcomer is not in place yet, and it is not
 * said which handlers he wants, so until he is, all count as his.
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
	mod_delayed_work(system_wq, &ub_look_work, UB_HOLD + 1);
	return 0;
}

static struct ftrace_ops ub_ops = { .ops_func = ub_hook_share };
#endif

static int ub_hook_register(void)
{
	int err = ub_register_direct(&ub_ops, (unsigned long)ub_trampoline);

	/* Left set by some failures (livepatch), and then refused the next time. */
	if (err) {
		ub_ops.func = NULL;
		ub_ops.trampoline = 0;
	}
	return err;
}

/*
 * A handler can have one direct call: if some have another already (BPF trampolines),
 * leave out all that anybody uses.
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
	/* For processes, this means that they are attached already. */
	if (err == -EBUSY)
		err = -EADDRINUSE;
	if (!err)
		ub_hook_look();
	return err;
}

static int ub_hook_remove(void)
{
	return ub_unregister_direct(&ub_ops, (unsigned long)ub_trampoline);
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
 * After the last detach: unhook, and let the module go once nobody is inside.
 *
 * Unhooking waits for all tasks (RCU-tasks), seconds at worst, so it is neither
 * done in the caller's time nor for a process that is attached again at once.  Tasks
 * may sleep in a handler with frames of ours on their stacks long after that; nobody
 * comes in any more, so the sum only falls and zero is final; no stepping begins either.
 */
static void ub_hook_drain(struct work_struct *work)
{
	mutex_lock(&ub_hook_mutex);
	if (ub_hook_users)
		goto out;
	if (ub_hooked) {
		if (ub_hook_remove()) {
			/* ftrace gave up; handlers still call us, so stay for good. */
			pr_err("ub: ftrace cannot unhook, the module must stay\n");
			goto out;
		}
		ub_hooked = false;
	}
	if (ub_hook_inside() || ub_step_is_on()) {
		mod_delayed_work(system_wq, &ub_drain_work, HZ / 10);
	} else if (ub_hook_reference) {
		ub_hook_reference = false;
		module_put(THIS_MODULE);
	}
out:
	mutex_unlock(&ub_hook_mutex);
}

/* One more process is attached.  It must be in the filter after this. */
int ub_hook_get(void)
{
	int err = 0;

	mutex_lock(&ub_hook_mutex);
	if (!ub_hook_reference) {
		ub_hook_reference = true;
		__module_get(THIS_MODULE);
	}
	if (!ub_hooked)
		err = ub_hook_install();
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

/* No module reference is left, so nobody is inside; wait for the last steps. */
void ub_hook_exit(void)
{
	flush_delayed_work(&ub_drain_work);
	cancel_delayed_work_sync(&ub_look_work);
	synchronize_rcu_tasks();
	ftrace_free_filter(&ub_ops);
}

void ub_hook_setup(void)
{
	INIT_DELAYED_WORK(&ub_drain_work, ub_hook_drain);
}
