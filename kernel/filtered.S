/* SPDX-License-Identifier: GPL-2.0-only */
/* From generated code to the seccomp filters and back. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/smap.h>

#include "ub_offsets.h"

/*
 * Called by a dispatch to run the seccomp filters.  In: r11 is the resume address, the call
 * number is above the return address on the stack, the arguments are in pt_regs.  Out: r11
 * says whether the call is allowed; all other registers are preserved.
 */
SYM_FUNC_START(ub_filtered)
	ANNOTATE_NOENDBR			/* called directly */
	ASM_CLAC
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	movq	%r11, %rsi
	movl	(9 * 8)(%rsp), %edx
	leaq	(10 * 8 + UB_FRAME_REGS)(%rsp), %rdi
	call	ub_seccomp_allows
	movzbl	%al, %r11d			/* not every kind of RET preserves flags */
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	ASM_STAC
	RET
SYM_FUNC_END(ub_filtered)
STACK_FRAME_NON_STANDARD(ub_filtered)
