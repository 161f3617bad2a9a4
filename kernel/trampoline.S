/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where hooked handlers come in.
 *
 * ftrace patches the call at the start of __x64_sys_* to come here directly, so
 * on the stack are the address of the handler's body and, above it, the return
 * address of the handler's caller.  Live is rdi (pt_regs).
 *
 * Where others use the same handler, ftrace calls all of them and comes here last;
 * they may have put another address in place of the body's: the handler's new version
 * (a livepatch), or a mere return (a probe that ends the call), for which rax, or
 * anything else that a function returns, is live, too.  So only rcx, r10 and r11 are
 * used, and whatever is not to be hooked goes on where the stack says.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#include "ub_offsets.h"

/*
 * A task that is not attached pays eight instructions, with the call that
 * brought it here: a word for each hash of an mm says whether to look closer.  One
 * that is attached, but rests (rest.c), pays twelve; at a site that is asleep
 * (detect.c), twenty-one.
 */
SYM_FUNC_START(ub_trampoline)
	ANNOTATE_NOENDBR			/* ftrace calls it directly */
#ifdef UB_PCPU_HOT_TASK
	movq	PER_CPU_VAR(pcpu_hot + UB_PCPU_HOT_TASK), %rcx
#else
	movq	PER_CPU_VAR(current_task), %rcx
#endif
	movq	UB_TASK_MM(%rcx), %r11
	shrq	$6, %r11			/* slab objects are aligned */
	andl	$(UB_FILTER_SIZE - 1), %r11d
	cmpw	$0, ub_filter(,%r11,2)
	jne	.Lattached
	RET

.Lattached:
	movzwl	ub_filter(,%r11,2), %r10d
	js	.Lresting
	/* It may rest by now: whatever stands there, it is a number. */
	andl	$UB_FILTER_BUSY, %r10d
	cmpq	%rcx, PER_CPU_VAR(ub_last)	/* is its gap being timed? */
	je	.Lhook
	movq	UB_TASK_MM(%rcx), %r11
	shrq	$6, %r11
	xorq	UB_PT_REGS_IP(%rdi), %r11
	movl	%r11d, %ecx
	andl	$(UB_COLD_SIZE - 1), %ecx
	cmpq	%r11, ub_cold(,%rcx,8)
	jne	.Lother_way
.Lasleep:
	incq	%gs:ub_cold_calls(,%r10,8)
	RET

.Lresting:
	andl	$UB_FILTER_BUSY, %r10d
	incq	%gs:ub_cold_calls(,%r10,8)
	RET

.Lother_way:
	xorl	$1, %ecx
	cmpq	%r11, ub_cold(,%rcx,8)
	je	.Lasleep
.Lhook:
	/* The handler's body, which nobody else has an eye on? */
	movl	UB_PT_REGS_ORIG_AX(%rdi), %ecx
	andl	$(UB_CALLS - 1), %ecx
	movq	(%rsp), %r11
	cmpq	%r11, ub_bodies(,%rcx,8)
	jne	.Lelsewhere
	movq	%r11, %rsi
	call	ub_hook
	addq	$8, %rsp			/* ub_hook has run the body */
	UNWIND_HINT_FUNC
	RET

.Lelsewhere:
	movq	$0, PER_CPU_VAR(ub_last)	/* a call in a gap: no sample */
	RET
SYM_FUNC_END(ub_trampoline)
