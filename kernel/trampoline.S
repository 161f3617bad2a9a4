/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entry point of hooked handlers.
 *
 * ftrace patches the start of __x64_sys_* with a direct call to this code, so
 * the stack holds the address of the handler's body and, above it, the return
 * address of the handler's caller.  Live is rdi (pt_regs).
 *
 * If the handler has other users, ftrace calls all of them and this code last; they may
 * have replaced the address of the body: by the handler's new version (a livepatch), or by
 * a return (a probe that ends the call), for which rax, or any other return value, is live,
 * too.  So only rcx, r10 and r11 are used before the call is hooked; one that is not
 * continues at the address on the stack.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#include "ub_offsets.h"

/*
 * Hook only if the body is the handler's own and has no other users: then its address is
 * taken off the stack, into r11, and the handler's caller is next.  With indirect branch
 * tracking r11 is the address of its landing (landing.h).
 */
.macro UB_CHECK_BODY
	movl	UB_PT_REGS_ORIG_AX(%rdi), %ecx
	andl	$(UB_CALLS - 1), %ecx
	movq	(%rsp), %r11
	cmpq	%r11, ub_bodies(,%rcx,8)
	jne	.Lelsewhere
	addq	$8, %rsp
	UNWIND_HINT_FUNC
#ifdef CONFIG_X86_KERNEL_IBT
	/* Of what follows the endbr64 of a handler none is a place for an indirect call. */
	ALTERNATIVE "", "movq ub_body_landings(,%rcx,8), %r11", X86_FEATURE_IBT
#endif
.endm

/*
 * A task that is not attached pays eight instructions, including the call from the
 * handler: a word for each hash of an mm says whether the process may be attached.  A task
 * of an idle process (idle.c) pays twelve; at a parked site (site_table.c), twenty-one.
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
	js	.Lidle
	/* The word may have changed to idle: the mask always leaves a number. */
	andl	$UB_FILTER_BUSY, %r10d
	cmpq	%rcx, PER_CPU_VAR(ub_gap)	/* is a gap of this task timed? */
	je	.Ltimed
	/* Of the site, that is the call number and the resume address, and the process. */
	imull	$UB_PARKED_NR, UB_PT_REGS_ORIG_AX(%rdi), %r11d
	xorq	UB_TASK_MM(%rcx), %r11
	xorq	UB_PT_REGS_IP(%rdi), %r11
	movl	%r11d, %ecx
	andl	$(UB_PARKED_SIZE - 1), %ecx
	cmpq	%r11, ub_parked(,%rcx,8)
	jne	.Lother_way
.Lparked:
	incq	%gs:ub_passed_calls(,%r10,8)
	RET

.Lidle:
	andl	$UB_FILTER_BUSY, %r10d
	incq	%gs:ub_passed_calls(,%r10,8)
	RET

.Lother_way:
	xorl	$1, %ecx
	cmpq	%r11, ub_parked(,%rcx,8)
	je	.Lparked
	UB_CHECK_BODY
	pushq	%rdi
	pushq	%r10				/* number of the process in ub_filter */
	incq	PER_CPU_VAR(ub_inside)
.Lbody:
	CALL_NOSPEC r11
	popq	%rdx
	popq	%rdi
	movq	%rax, %rsi
	call	ub_after
	decq	PER_CPU_VAR(ub_inside)
	RET

.Ltimed:
	UB_CHECK_BODY
	pushq	%rdi
	pushq	%r10
	incq	PER_CPU_VAR(ub_inside)
	pushq	%r11
	call	ub_before
	popq	%r11
	movq	8(%rsp), %rdi
	jmp	.Lbody

.Lelsewhere:
	movq	$0, PER_CPU_VAR(ub_gap)	/* a call in a gap: no sample */
	RET
SYM_FUNC_END(ub_trampoline)
