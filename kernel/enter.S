/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into generated code and back.
 *
 * Generated code reaches its frame and the task's pt_regs relative to rsp
 * (docs/abi.md), so rsp moves to a fixed distance below pt_regs while it runs.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/smap.h>

#include "ub_offsets.h"

/* void ub_enter(struct pt_regs *regs, u8 *code, struct ub_launch *launch) */
SYM_CODE_START(ub_enter)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15

	movq	%rsp, %rax
	leaq	-UB_FRAME_REGS(%rdi), %rsp	/* the caller checked the room */
	movq	%rax, UB_FRAME_STACK(%rsp)
	movq	%rdx, UB_FRAME_LAUNCH(%rsp)

	movl	UB_LAUNCH_BUDGET(%rdx), %eax
	movl	%eax, UB_FRAME_BUDGET(%rsp)
	movq	UB_LAUNCH_LIMIT(%rdx), %rax
	movq	%rax, UB_FRAME_LIMIT(%rsp)
	movq	UB_LAUNCH_SYSFLAGS(%rdx), %rax
	movq	%rax, UB_FRAME_SYSFLAGS(%rsp)
	movq	%rax, UB_FRAME_FLAGS(%rsp)
	movq	%rax, UB_FRAME_R11(%rsp)
	movq	UB_LAUNCH_FSBASE(%rdx), %rax
	movq	%rax, UB_FRAME_FSBASE(%rsp)
	xorl	%eax, %eax
	movl	$-1, UB_FRAME_EXIT(%rsp)
	movq	%rax, UB_FRAME_TARGET(%rsp)
	movq	%rax, UB_FRAME_FIP(%rsp)

	ASM_STAC
	JMP_NOSPEC rsi
SYM_CODE_END(ub_enter)

/*
 * The exit path: all user registers are in pt_regs, the user's arithmetic
 * flags may still be in the host's.
 */
SYM_CODE_START(ub_leave)
	pushfq
	popq	%rax
	ASM_CLAC
	movq	UB_FRAME_LAUNCH(%rsp), %rdx
	movq	%rax, UB_LAUNCH_HOST_FLAGS(%rdx)
	movq	UB_FRAME_FLAGS(%rsp), %rax
	movq	%rax, UB_LAUNCH_FLAGS(%rdx)
	movq	UB_FRAME_SYSFLAGS(%rsp), %rax
	movq	%rax, UB_LAUNCH_SYSFLAGS(%rdx)
	movq	UB_FRAME_R11(%rsp), %rax
	movq	%rax, UB_LAUNCH_R11(%rdx)
	movq	UB_FRAME_TARGET(%rsp), %rax
	movq	%rax, UB_LAUNCH_TARGET(%rdx)
	movq	UB_FRAME_FIP(%rsp), %rax
	movq	%rax, UB_LAUNCH_FIP(%rdx)
	movl	UB_FRAME_EXIT(%rsp), %eax
	movl	%eax, UB_LAUNCH_EXIT(%rdx)
	movq	UB_FRAME_STACK(%rsp), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET
SYM_CODE_END(ub_leave)
