/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where hooked handlers come in.
 *
 * ftrace patches the call at the start of __x64_sys_* to come here directly, so
 * on the stack are the address of the handler's body and, above it, the return
 * address of the handler's caller.  The only live register is rdi (pt_regs).
 */
#include <linux/linkage.h>
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
	movq	PER_CPU_VAR(current_task), %rcx
	movq	UB_TASK_MM(%rcx), %rax
	shrq	$6, %rax			/* slab objects are aligned */
	andl	$(UB_FILTER_SIZE - 1), %eax
	cmpw	$0, ub_filter(,%rax,2)
	jne	.Lattached
	RET

.Lattached:
	movzwl	ub_filter(,%rax,2), %edx
	js	.Lresting
	/* It may rest by now: whatever stands there, it is a number. */
	andl	$UB_FILTER_BUSY, %edx
	cmpq	%rcx, PER_CPU_VAR(ub_last)	/* is its gap being timed? */
	je	.Lhook
	movq	UB_TASK_MM(%rcx), %rax
	shrq	$6, %rax
	xorq	UB_PT_REGS_IP(%rdi), %rax
	movl	%eax, %ecx
	andl	$(UB_COLD_SIZE - 1), %ecx
	cmpq	%rax, ub_cold(,%rcx,8)
	jne	.Lother_way
.Lasleep:
	incq	%gs:ub_cold_calls(,%rdx,8)
	RET

.Lresting:
	andl	$UB_FILTER_BUSY, %edx
	incq	%gs:ub_cold_calls(,%rdx,8)
	RET

.Lother_way:
	xorl	$1, %ecx
	cmpq	%rax, ub_cold(,%rcx,8)
	je	.Lasleep
.Lhook:
	movq	(%rsp), %rsi			/* the handler's body */
	call	ub_hook
	addq	$8, %rsp			/* ub_hook has run the body */
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(ub_trampoline)
