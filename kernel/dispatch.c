// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code at each dispatch: ends a segment, calls a handler, begins the next segment.
 *
 * The module emits this code, not user space, because it depends on offsets of this kernel
 * and contains all checks that must never be skipped: thread flags and syscall work before
 * and after the call, SMAP closed and preemption on while the handler runs, restart codes.
 * docs/abi.md lists the assumptions about the code around it.
 */
#include <linux/entry-common.h>
#include <linux/interrupt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/nospec-branch.h>
#include <asm/preempt.h>
#include <asm/segment.h>

#include "arena_text.h"
#include "clear.h"
#include "compat.h"
#include "dispatch.h"
#include "eligible.h"
#include "emit.h"
#include "handler.h"
#include "lookup.h"
#include "region.h"
#include "seccomp.h"
#include "slice.h"
#include "task_work.h"
#include "ub.h"

/* Called from generated code with preemption off and softirqs just on again. */
void ub_softirq(void)
{
	local_bh_disable();
	local_bh_enable();
}

static void emit_current(struct ub_emit *e)
{
	EMIT(e, 0x65, 0x4c, 0x8b, 0x1c, 0x25);	/* mov r11, gs:[current_task] */
	emit32(e, PERCPU_OFFSET(UB_CURRENT_TASK));
}

static void emit_test_work(struct ub_emit *e)
{
	EMIT(e, 0x41, 0xf7, 0x43);		/* test dword [r11 + flags], WORK */
	*e->at++ = offsetof(struct task_struct, thread_info.flags);
	emit32(e, UB_THREAD_WORK);
}

/* Work after the call: task work alone is run here, with the result in pt_regs. */
static void emit_work(struct ub_emit *e, const struct ub_dispatch_site *site)
{
	unsigned int ax = UB_FRAME_REGS + offsetof(struct pt_regs, ax);

	emit_test_work(e);
	EMIT(e, 0x74, 0x22);			/* jz over all of this */
	EMIT(e, 0x48, 0x89, 0x84, 0x24);	/* mov [rsp + AX], rax */
	emit32(e, ax);
	EMIT(e, 0xbf);				/* mov edi, vector */
	emit32(e, site->vector);
	EMIT(e, 0xe8);				/* call ub_task_work_dispatched */
	emit_rel(e, (unsigned long)ub_task_work_dispatched, 0);
	EMIT(e, 0x84, 0xc0);			/* test al, al */
	EMIT(e, 0x48, 0x8b, 0x84, 0x24);	/* mov rax, [rsp + AX] */
	emit32(e, ax);
	EMIT(e, 0x0f, 0x84);			/* jz post */
	emit_rel(e, (unsigned long)site->post, 0);
}

/*
 * Hardware breakpoints, which perf may have set during the run: no thread flag shows them,
 * and a breakpoint that excludes the kernel would not trigger in a segment.
 */
static void emit_test_breakpoints(struct ub_emit *e, const u8 *to)
{
	BUILD_BUG_ON(DR_GLOBAL_ENABLE_MASK > 0xff);
	EMIT(e, 0x65, 0xf6, 0x04, 0x25);	/* test byte gs:[cpu_dr7], ENABLED */
	emit32(e, PERCPU_OFFSET(cpu_dr7));
	*e->at++ = DR_GLOBAL_ENABLE_MASK;
	EMIT(e, 0x0f, 0x85);			/* jnz to */
	emit_rel(e, (unsigned long)to, 0);
}

static void emit_preempt(struct ub_emit *e, bool disable)
{
	/* Where __preempt_count has 64 bits (7.3), the count is the lower half. */
	EMIT(e, 0x65, 0xff);			/* inc/dec dword gs:[__preempt_count] */
	*e->at++ = disable ? 0x04 : 0x0c;
	EMIT(e, 0x25);
	emit32(e, PERCPU_OFFSET(UB_PREEMPT_COUNT));
}

/*
 * Softirqs may use the FPU registers, so vector segments keep them off as
 * fpregs_lock() does; pending ones run now.
 */
static void emit_softirq(struct ub_emit *e)
{
	if (!UB_SOFTIRQS_OFF)
		return;
	EMIT(e, 0x65, 0x81, 0x2c, 0x25);	/* sub dword gs:[__preempt_count], BH */
	emit32(e, PERCPU_OFFSET(UB_PREEMPT_COUNT));
	emit32(e, UB_SOFTIRQS_OFF);
	EMIT(e, 0x65, 0x66, 0x83, 0x3c, 0x25);	/* cmp word gs:[pending], 0 */
	emit32(e, PERCPU_OFFSET(local_softirq_pending_ref));
	*e->at++ = 0;
	EMIT(e, 0x74, 0x05);			/* je over the call */
	EMIT(e, 0xe8);				/* call ub_softirq */
	emit_rel(e, (unsigned long)ub_softirq, 0);
}

/* If the handler used the FPU registers, the user's are in memory: load them. */
static void emit_load_fpu(struct ub_emit *e)
{
	emit_current(e);
	EMIT(e, 0x41, 0xf7, 0x43);		/* test dword [r11 + flags], NEED_FPU_LOAD */
	*e->at++ = offsetof(struct task_struct, thread_info.flags);
	emit32(e, _TIF_NEED_FPU_LOAD);
	EMIT(e, 0x74, 0x07);			/* je over the call */
	EMIT(e, 0x50);				/* push rax */
	EMIT(e, 0xe8);				/* call switch_fpu_return */
	emit_rel(e, ub_switch_fpu_return, 0);
	EMIT(e, 0x58);				/* pop rax */
}

static void emit_clear_history(struct ub_emit *e)
{
	/*
	 * User-chosen branches ran at CPL 0 since the last entry, so neither
	 * the entry's clearing nor BHI_DIS_S covers them ("x86/bhi: Add support
	 * for clearing branch history at syscall entry", 6.9 and stable).
	 */
	if (ub_clears_history()) {
		EMIT(e, 0xe8);			/* call ub_clear_history */
		emit_rel(e, (unsigned long)ub_clear_history, 0);
	}
}

/*
 * Clear the processor's buffers before user code runs, as the kernel does before each
 * return to user mode: they hold data of the handler.  Changes ZF, which is not live here:
 * the user's flags are in SYSFLAGS.
 */
static void emit_clear_buffers(struct ub_emit *e)
{
	if (ub_clears_buffers()) {
		EMIT(e, 0x0f, 0x00, 0x2d);	/* verw [rip + selector] */
		emit_rel(e, (unsigned long)&ub_verw_selector, 0);
	}
}

/* Returns the address at which the code continues after the check of syscall_work. */
static u8 *emit_all(struct ub_emit *e, const struct ub_dispatch_site *site,
		    unsigned long body)
{
	bool smap = boot_cpu_has(X86_FEATURE_SMAP);
	unsigned int regs = UB_FRAME_REGS;
	u8 *looked;

	BUILD_BUG_ON(offsetof(struct task_struct, thread_info.flags) > 127);
	BUILD_BUG_ON(offsetof(struct task_struct, thread_info.syscall_work) > 127);
	BUILD_BUG_ON((u64)(EXIT_TO_USER_MODE_WORK | _TIF_SINGLESTEP |
			   _TIF_USER_RETURN_NOTIFY | _TIF_NEED_FPU_LOAD) > U32_MAX);
	BUILD_BUG_ON(sizeof(local_softirq_pending_ref) != sizeof(u16));

	emit_current(e);
	emit_test_work(e);
	EMIT(e, 0x0f, 0x85);			/* jnz pre */
	emit_rel(e, (unsigned long)site->pre, 0);
	EMIT(e, 0x49, 0x83, 0x7b);		/* cmp qword [r11 + syscall_work], 0 */
	*e->at++ = offsetof(struct task_struct, thread_info.syscall_work);
	*e->at++ = 0;
	EMIT(e, 0x0f, 0x85);			/* jne filtered, or pre */
	emit_rel(e, (unsigned long)(site->filtered ?: site->pre), 0);
	looked = e->at + e->delta;

	if (smap)
		EMIT(e, 0x0f, 0x01, 0xca);	/* clac */
	if (site->vector)
		emit_softirq(e);
	emit_preempt(e, false);
	EMIT(e, 0x4c, 0x8b, 0x5c, 0x24);	/* mov r11, [rsp + SYSFLAGS] */
	*e->at++ = UB_FRAME_SYSFLAGS;
	EMIT(e, 0x4c, 0x89, 0x5c, 0x24);	/* mov [rsp + R11], r11 */
	*e->at++ = UB_FRAME_R11;
	EMIT(e, 0x48, 0xc7, 0x84, 0x24);	/* mov qword [rsp + orig_ax], nr */
	emit32(e, regs + offsetof(struct pt_regs, orig_ax));
	emit32(e, site->nr);
	emit_clear_history(e);
	EMIT(e, 0x48, 0x8d, 0xbc, 0x24);	/* lea rdi, [rsp + REGS] */
	emit32(e, regs);
	EMIT(e, 0xe8);				/* call handler */
	emit_rel(e, body, 0);

	if (site->vector) {
		EMIT(e, 0x65, 0x81, 0x04, 0x25); /* add dword gs:[__preempt_count], BH + 1 */
		emit32(e, PERCPU_OFFSET(UB_PREEMPT_COUNT));
		emit32(e, UB_SOFTIRQS_OFF + PREEMPT_DISABLE_OFFSET);
	} else {
		emit_preempt(e, true);
	}
	EMIT(e, 0x65, 0x48, 0xff, 0x04, 0x25);	/* inc qword gs:[dispatched] */
	emit32(e, PERCPU_OFFSET(ub_dispatched) + site->slot * sizeof(u64));
	emit_current(e);
	emit_work(e, site);
	emit_test_breakpoints(e, site->post);
	EMIT(e, 0x80, 0x3d);			/* cmp byte [rip + dead], 0 */
	emit_rel(e, (unsigned long)&ub_dead[site->slot], 1);
	*e->at++ = 0;
	EMIT(e, 0x0f, 0x85);			/* jne post */
	emit_rel(e, (unsigned long)site->post, 0);
	EMIT(e, 0x48, 0x3d);			/* cmp rax, -ERESTARTSYS */
	emit32(e, -ERESTARTSYS);
	EMIT(e, 0x0f, 0x8e);			/* jle post: see ub_may_restart() */
	emit_rel(e, (unsigned long)site->post, 0);
	EMIT(e, 0x65, 0x44, 0x8b, 0x1c, 0x25);	/* mov r11d, gs:[budget] */
	emit32(e, PERCPU_OFFSET(ub_budget));
	EMIT(e, 0x44, 0x89, 0x5c, 0x24);	/* mov [rsp + BUDGET], r11d */
	*e->at++ = UB_FRAME_BUDGET;
	if (site->vector)
		emit_load_fpu(e);
	/* Last of all: kernel accesses after verw would fill the buffers again. */
	emit_clear_buffers(e);
	if (smap)
		EMIT(e, 0x0f, 0x01, 0xcb);	/* stac */
	return looked;
}

/* Bytes of code at each dispatch; the same for all dispatches on one machine. */
u32 ub_dispatch_size(bool vector)
{
	u8 image[384];
	struct ub_dispatch_site site = {
		.image = image,
		.code = ub_arena,
		.vector = vector,
	};
	struct ub_emit e = { .at = image };

	emit_all(&e, &site, 0);
	WARN_ON_ONCE(e.at > image + sizeof(image));
	return e.at - image;
}

/* Returns the address at which .filtered continues, or NULL if nothing jumps there. */
u8 *ub_dispatch_emit(const struct ub_dispatch_site *site)
{
	struct ub_emit e = {
		.at = site->image,
		.delta = (long)site->code - (long)site->image,
	};
	unsigned long body = site->body ?: ub_handler_body(site->nr);

	if (body)
		return emit_all(&e, site, body);
	/* The call stays native; the rest of the room keeps its int3. */
	EMIT(&e, 0xe9);				/* jmp pre */
	emit_rel(&e, (unsigned long)site->pre, 0);
	return NULL;
}

/*
 * TSC cycles that a dispatch of the call in .regs takes for work that the entry code does,
 * too: filters, branch history, buffers.  0 if none of these is needed.  With preemption
 * off.
 */
u64 ub_dispatch_duties(const struct pt_regs *regs)
{
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	bool filters = work && ub_seccomp_serves(current, work);
	u64 began;

	if (!filters && !ub_clears_history() && !ub_clears_buffers())
		return 0;
	began = rdtsc();
	if (filters)
		ub_seccomp_rehearse(regs);
	if (ub_clears_history())
		ub_clear_history();
	if (ub_clears_buffers())
		asm volatile("verw %0" : : "m" (ub_verw_selector) : "cc");
	return rdtsc() - began;
}
