// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test at load: a region that calls a handler, faults and exits is put into the arena and
 * run three times.  Registers, exits and counts must be as expected, or the module does not
 * load.
 *
 * The arena, the exception table, ub_enter(), ub_left() and the code of the dispatch are those
 * of all regions.  The task is a kernel thread with registers of a user made by hand: it has
 * no task work, no tracer and no rseq area, which would end the run, and no user memory.  The
 * only access to memory is through a kernel address, which the clamp turns into the page at
 * the limit, where nothing is ever mapped.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>

#include "arena.h"
#include "dispatch.h"
#include "emit.h"
#include "enter.h"
#include "fault.h"
#include "frame.h"
#include "handler.h"
#include "landing.h"
#include "leave.h"
#include "region.h"
#include "selftest.h"
#include "slice.h"
#include "ub.h"

#define UB_TEST_CALLS	3
#define UB_TEST_ROOM	1024	/* bytes of code */
#define UB_TEST_TRIES	1000	/* a millisecond each */
#define UB_TEST_IP	0x400000UL
#define UB_TEST_KERNEL	0xffff800000000000UL	/* an address of the kernel */
#define UB_TEST_FLAGS	(X86_EFLAGS_IF | X86_EFLAGS_FIXED)
#define UB_TEST_BUDGET	16	/* less one: AF and PF, as the usual budget less one */

/* Numbers of the exits. */
enum ub_test_exit {
	UB_TEST_DONE,
	UB_TEST_FAULT,
	UB_TEST_ENDED,
	UB_TEST_PRE,
	UB_TEST_POST,
	UB_TEST_EXITS,
};

/* No exit is a miss, so nothing is reported: the region has no process. */
static const struct ub_exit ub_test_exits[UB_TEST_EXITS] = {
	/* r11 and the flags as SYSCALL leaves them, or those of the code. */
	[UB_TEST_DONE] = {
		.user_ip = UB_TEST_IP + 0x10, .reason = UB_EXIT_UNSUPPORTED,
		.flags = UB_EXITF_R11_SYS | UB_EXITF_DISPATCHED,
	},
	[UB_TEST_FAULT] = {
		.user_ip = UB_TEST_IP + 0x20, .reason = UB_EXIT_FAULT,
		.flags = UB_EXITF_SLOT_SYSFLAGS | UB_EXITF_DISPATCHED |
			 UB_EXITF_R11_SYS | UB_EXITF_CX_SYS,
		.cx = UB_TEST_IP + 0x22,
	},
	[UB_TEST_ENDED] = {
		.user_ip = UB_TEST_IP + 0x30, .reason = UB_EXIT_BUDGET,
	},
	[UB_TEST_PRE] = { .user_ip = UB_TEST_IP, .reason = UB_EXIT_WORK },
	[UB_TEST_POST] = { .user_ip = UB_TEST_IP, .reason = UB_EXIT_DISPATCHED },
};

struct ub_test {
	struct ub_region region;
	struct ub_exit exits[UB_TEST_EXITS];
	u64 counts[UB_TEST_EXITS];
	struct ub_fault fault;
	u32 entry;		/* offset in the code */
	u32 nr;
	long (*handler)(const struct pt_regs *regs);
	struct completion done;
	int err;
};

/* One run, and what must come out of it. */
struct ub_test_run {
	const char *name;
	enum ub_test_exit exit;
	unsigned long address;	/* that the code loads from, 0: none */
	u32 calls;
	u32 budget;
	unsigned long flags;	/* arithmetic flags afterwards */
};

/* The flags of UB_TEST_BUDGET - 1, which r11 holds from the last call on. */
#define UB_TEST_CALLED	(X86_EFLAGS_AF | X86_EFLAGS_PF)

static const struct ub_test_run ub_test_runs[] = {
	{ "fault", UB_TEST_FAULT, UB_TEST_KERNEL, UB_TEST_CALLS, UB_TEST_BUDGET,
	  UB_TEST_CALLED },
	/* Of 0 - 0. */
	{ "exit", UB_TEST_DONE, 0, UB_TEST_CALLS, UB_TEST_BUDGET,
	  X86_EFLAGS_ZF | X86_EFLAGS_PF },
	/* Of 0 - 1. */
	{ "budget", UB_TEST_ENDED, 0, 0, 0,
	  X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_SF },
};

#define UB_AX	0	/* numbers of registers in instructions */
#define UB_BX	3
#define UB_BP	5
#define UB_SI	6
#define UB_SLOT(reg)	(UB_FRAME_REGS + offsetof(struct pt_regs, reg))

/* .opcode 0x8b: mov reg, [rsp + slot]; 0x89: the reverse. */
static void emit_slot(struct ub_emit *e, u8 opcode, u8 reg, u32 slot)
{
	EMIT(e, 0x48);
	*e->at++ = opcode;
	*e->at++ = 0x84 | reg << 3;
	*e->at++ = 0x24;
	emit32(e, slot);
}

/* The code of the region, in the image; the offset of the first byte behind it. */
static u32 ub_test_emit(struct ub_test *test, u8 *image, unsigned long body)
{
	u8 *code = test->region.code, *stub[UB_TEST_EXITS], *again;
	struct ub_emit e = { .at = image, .delta = (long)code - (long)image };
	struct ub_dispatch_site site = {
		.nr = test->nr, .slot = test->region.slot, .body = body,
	};
	u32 i;

	emit_slot(&e, 0x89, UB_AX, UB_SLOT(ax));
	emit_slot(&e, 0x89, UB_BX, UB_SLOT(bx));
	emit_slot(&e, 0x89, UB_BP, UB_SLOT(bp));
	EMIT(&e, 0xe9);				/* jmp ub_leave */
	emit_rel(&e, (unsigned long)ub_leave, 0);
	for (i = 0; i < UB_TEST_EXITS; i++) {
		stub[i] = e.at + e.delta;
		EMIT(&e, 0xc7, 0x44, 0x24, UB_FRAME_EXIT); /* mov dword [rsp + EXIT], i */
		emit32(&e, i);
		EMIT(&e, 0xe9);			/* jmp to the start */
		emit_rel(&e, (unsigned long)code, 0);
	}

	test->entry = e.at - image;
	if (ub_landing_size())
		emit_landing(&e, (unsigned long)e.at + e.delta + UB_LANDING_SIZE);
	emit_slot(&e, 0x8b, UB_AX, UB_SLOT(ax));
	emit_slot(&e, 0x8b, UB_BX, UB_SLOT(bx));
	emit_slot(&e, 0x8b, UB_BP, UB_SLOT(bp));
	again = e.at + e.delta;
	EMIT(&e, 0x83, 0x6c, 0x24, UB_FRAME_BUDGET, 0x01); /* sub dword [rsp + BUDGET], 1 */
	EMIT(&e, 0x0f, 0x88);			/* js */
	emit_rel(&e, (unsigned long)stub[UB_TEST_ENDED], 0);
	EMIT(&e, 0xb8);				/* mov eax, nr */
	emit32(&e, test->nr);
	EMIT(&e, 0x9c);				/* pushfq */
	EMIT(&e, 0x8f, 0x44, 0x24, UB_FRAME_SYSFLAGS); /* pop [rsp + SYSFLAGS] */
	site.image = e.at;
	site.code = e.at + e.delta;
	site.pre = stub[UB_TEST_PRE];
	site.post = stub[UB_TEST_POST];
	ub_dispatch_emit(&site);
	e.at += ub_dispatch_size(false);
	EMIT(&e, 0x48, 0x01, 0xc5);		/* add rbp, rax */
	EMIT(&e, 0x48, 0xff, 0xcb);		/* dec rbx */
	EMIT(&e, 0x0f, 0x85);			/* jnz again */
	emit_rel(&e, (unsigned long)again, 0);
	emit_slot(&e, 0x8b, UB_SI, UB_SLOT(si));
	EMIT(&e, 0x48, 0x83, 0xfe, 0x00);	/* cmp rsi, 0 */
	EMIT(&e, 0x0f, 0x84);			/* jz */
	emit_rel(&e, (unsigned long)stub[UB_TEST_DONE], 0);
	EMIT(&e, 0x48, 0x3b, 0x74, 0x24, UB_FRAME_LIMIT); /* cmp rsi, [rsp + LIMIT] */
	EMIT(&e, 0x48, 0x0f, 0x43, 0x74, 0x24, UB_FRAME_LIMIT); /* cmovae rsi, [rsp + LIMIT] */
	test->fault.code_offset = e.at - image;
	test->fault.fixup_offset = stub[UB_TEST_FAULT] - code;
	EMIT(&e, 0x48, 0x8b, 0x06);		/* mov rax, [rsi] */
	EMIT(&e, 0xe9);				/* jmp */
	emit_rel(&e, (unsigned long)stub[UB_TEST_DONE], 0);
	return e.at - image;
}

/* A handler without arguments, whose result does not change meanwhile; NULL: none. */
static const struct ub_handler *ub_test_handler(void)
{
	static const u8 usable[] = {
		UB_HANDLER_getpid, UB_HANDLER_gettid, UB_HANDLER_getuid,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(usable); i++)
		if (ub_handlers[usable[i]].fentry)
			return &ub_handlers[usable[i]];
	return NULL;
}

static int ub_test_differs(const struct ub_test_run *run, const char *what, u64 found,
			   u64 expected)
{
	if (found == expected)
		return 0;
	pr_err("ub: the self-test (%s) has failed: %s is %#llx, not %#llx; do not use this kernel or processor with this version of ub\n",
	       run->name, what, found, expected);
	return -EIO;
}

/* Compare the registers after .run with those before, .was. */
static int ub_test_compare(const struct ub_test_run *run, const struct pt_regs *was,
			   const struct pt_regs *regs, long each, u32 nr)
{
	const struct ub_exit *exit = &ub_test_exits[run->exit];
	struct pt_regs want = *was;
	const unsigned long *a = (const unsigned long *)&want;
	const unsigned long *b = (const unsigned long *)regs;
	int err;
	u32 i;

	want.ip = exit->user_ip;
	want.flags |= run->flags;
	if (run->calls) {
		want.ax = each;
		want.bx = 0;
		want.bp += run->calls * each;
		want.orig_ax = nr;
	}
	if (exit->flags & UB_EXITF_R11_SYS)
		want.r11 = was->flags | UB_TEST_CALLED;
	if (exit->flags & UB_EXITF_CX_SYS)
		want.cx = exit->cx;
	err = ub_test_differs(run, "rax", regs->ax, want.ax);
	err = err ?: ub_test_differs(run, "rbx", regs->bx, want.bx);
	err = err ?: ub_test_differs(run, "rbp", regs->bp, want.bp);
	err = err ?: ub_test_differs(run, "rip", regs->ip, want.ip);
	err = err ?: ub_test_differs(run, "rflags", regs->flags, want.flags);
	err = err ?: ub_test_differs(run, "r11", regs->r11, want.r11);
	err = err ?: ub_test_differs(run, "the number of the call", regs->orig_ax,
				     want.orig_ax);
	for (i = 0; i < sizeof(want) / sizeof(*a) && !err; i++)
		err = ub_test_differs(run, "another register", b[i], a[i]);
	return err;
}

/* The exit that was counted, once; UB_TEST_EXITS: none, or not once. */
static u32 ub_test_exit_of(const struct ub_test *test)
{
	u32 i, found = UB_TEST_EXITS;

	for (i = 0; i < UB_TEST_EXITS; i++) {
		if (!test->counts[i])
			continue;
		if (test->counts[i] != 1 || found != UB_TEST_EXITS)
			return UB_TEST_EXITS;
		found = i;
	}
	return found;
}

/* -EAGAIN: the kernel had other work for the thread.  In the thread of the test. */
static noinline int ub_test_run(struct ub_test *test, const struct ub_test_run *run)
{
	struct pt_regs regs = {
		.ax = 0x1001, .bx = UB_TEST_CALLS, .cx = UB_TEST_IP, .dx = 0x1002,
		.si = run->address, .di = 0x1003, .bp = 0x1004, .sp = 0x1005,
		.r8 = 0x1006, .r9 = 0x1007, .r10 = 0x1008, .r11 = UB_TEST_FLAGS,
		.r12 = 0x1009, .r13 = 0x100a, .r14 = 0x100b, .r15 = 0x100c,
		.ip = UB_TEST_IP, .flags = UB_TEST_FLAGS, .cs = __USER_CS,
		.ss = __USER_DS, .orig_ax = -1UL,
	};
	const struct pt_regs was = regs;
	struct ub_region *region = &test->region;
	u64 before = ub_region_dispatched(region), count;
	struct ub_outcome outcome = {};
	long each = test->handler(&regs), rax;
	u32 exit, reason = ub_test_exits[run->exit].reason;
	int err, held, cpu;
	u32 budget;

	if (!ub_stack_has_room(&regs)) {
		pr_err("ub: the self-test has no room on the stack\n");
		return -EIO;
	}
	memset(test->counts, 0, sizeof(test->counts));
	preempt_disable();
	held = preempt_count();
	/* Nobody else has a region. */
	cpu = smp_processor_id();
	budget = __this_cpu_read(ub_budget);
	__this_cpu_write(ub_budget, run->budget);
	ub_region_get(region);
	rax = ub_enter(&regs, region->code + test->entry, region,
		       (unsigned long)&outcome + UB_ACCOUNT_OUTCOME, 0, TASK_SIZE_MAX);
	/* A handler may have moved the thread. */
	per_cpu(ub_budget, cpu) = budget;
	held -= preempt_count();
	preempt_enable();

	exit = ub_test_exit_of(test);
	if (exit == UB_TEST_PRE || exit == UB_TEST_POST)
		return -EAGAIN;
	count = ub_region_dispatched(region) - before;
	err = ub_test_differs(run, "the exit", exit, run->exit);
	err = err ?: ub_test_differs(run, "the reason", outcome.reason, reason);
	err = err ?: ub_test_differs(run, "the number of calls", count, run->calls);
	err = err ?: ub_test_differs(run, "that there were calls", outcome.dispatched,
				     !!run->calls);
	err = err ?: ub_test_differs(run, "the number of tasks inside",
				     ub_region_tasks(region), 0);
	err = err ?: ub_test_differs(run, "the preemption count", held, 0);
	err = err ?: ub_test_compare(run, &was, &regs, each, test->nr);
	return err ?: ub_test_differs(run, "the result", rax, regs.ax);
}

static int ub_test_thread(void *data)
{
	struct ub_test *test = data;
	u32 i, tries = 0;

	/* Tracing of system calls includes kernel threads, which make none. */
	WRITE_ONCE(current_thread_info()->syscall_work, 0);
	for (i = 0; i < ARRAY_SIZE(ub_test_runs) && !test->err;) {
		int err = ub_test_run(test, &ub_test_runs[i]);

		if (!err) {
			i++;
		} else if (err != -EAGAIN) {
			test->err = err;
		} else if (++tries == UB_TEST_TRIES) {
			pr_err("ub: the self-test was interrupted for a second by other work of the kernel (a livepatch in transition, breakpoints or virtual machines on all processors); load the module later\n");
			test->err = -EAGAIN;
		} else {
			usleep_range(1000, 1100);
		}
	}
	complete(&test->done);
	/* The code of the module must not go before the thread has left it. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* Under ub_region_mutex. */
static int ub_test_place(struct ub_test *test, unsigned long body)
{
	struct ub_region *region = &test->region;
	u8 *image = kmalloc(UB_TEST_ROOM, GFP_KERNEL);
	int err = -ENOSPC;

	if (!image)
		return -ENOMEM;
	memset(image, 0xcc, UB_TEST_ROOM);
	region->room = UB_TEST_ROOM;
	region->code = ub_arena_alloc(UB_TEST_ROOM);
	if (!region->code)
		goto out;
	region->code_length = ub_test_emit(test, image, body);
	region->faults = &test->fault;
	region->nr_faults = 1;
	memcpy(test->exits, ub_test_exits, sizeof(test->exits));
	region->exits = test->exits;
	region->nr_exits = UB_TEST_EXITS;
	region->counts = test->counts;
	list_add(&region->live, &ub_live_regions);
	err = ub_arena_write(region->code, image, UB_TEST_ROOM);
	err = err ?: ub_fault_rebuild();
	if (err) {
		list_del(&region->live);
		ub_arena_free(region->code, UB_TEST_ROOM);
	}
out:
	kfree(image);
	return err;
}

static void ub_test_remove(struct ub_test *test)
{
	int cpu;

	list_del(&test->region.live);
	ub_arena_free(test->region.code, UB_TEST_ROOM);
	/* The entry in the exception table is stale, as those of freed regions are. */
	for_each_possible_cpu(cpu)
		per_cpu(ub_dispatched, cpu)[test->region.slot] = 0;
}

/* Before there are other regions: slot 0 is free. */
int ub_selftest(void)
{
	const struct ub_handler *handler = ub_test_handler();
	struct task_struct *thread;
	struct ub_test *test;
	unsigned long body;
	int err;

	if (!handler) {
		pr_err("ub: this kernel has no handler with which the module can be tested\n");
		return -EOPNOTSUPP;
	}
	test = kzalloc(sizeof(*test), GFP_KERNEL);
	if (!test)
		return -ENOMEM;
	test->region.cpu = alloc_percpu(struct ub_region_cpu);
	if (!test->region.cpu) {
		err = -ENOMEM;
		goto out;
	}
	body = handler->fentry + UB_CALL_SIZE;
	test->nr = handler->nr;
	test->handler = (void *)ub_body_landings[handler->nr];
	init_completion(&test->done);
	mutex_lock(&ub_region_mutex);
	err = ub_test_place(test, body);
	mutex_unlock(&ub_region_mutex);
	if (err)
		goto out;

	thread = kthread_run(ub_test_thread, test, "ub_selftest");
	if (IS_ERR(thread)) {
		err = PTR_ERR(thread);
	} else {
		wait_for_completion(&test->done);
		kthread_stop(thread);
		err = test->err;
	}
	mutex_lock(&ub_region_mutex);
	ub_test_remove(test);
	mutex_unlock(&ub_region_mutex);
	if (!err)
		pr_info("ub: self-test passed: calls, a fault and exits are exact\n");
out:
	free_percpu(test->region.cpu);
	kfree(test);
	return err;
}
