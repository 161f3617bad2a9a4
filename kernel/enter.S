/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry into generated code and exit from it.
 *
 * Generated code reaches its frame and the task's pt_regs relative to rsp
 * (docs/abi.md), so rsp moves to a fixed distance below pt_regs while it runs.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/smap.h>

#include "ub_offsets.h"

/* void ub_enter(struct pt_regs *regs, u8 *code, struct ub_launch *launch) */
SYM_FUNC_START(ub_enter)
	ANNOTATE_NOENDBR			/* called directly */
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

#ifdef X86_FEATURE_CLEAR_CPU_BUF
	/*
	 * Clear the buffers as before a return to user mode, after all stores of kernel
	 * addresses.  A kernel that clears by other means is refused (check.c).
	 */
	ALTERNATIVE "jmp .Lub_enter_cleared", "", X86_FEATURE_CLEAR_CPU_BUF
	verw	ub_verw_selector(%rip)
.Lub_enter_cleared:
#endif
	ASM_STAC
	JMP_NOSPEC rsi
SYM_FUNC_END(ub_enter)
/* It switches stacks, as does ub_leave: unwinding stops here on purpose. */
STACK_FRAME_NON_STANDARD(ub_enter)

/*
 * Execute more branches than the history holds, as the kernel does at each entry ("x86/bhi:
 * Add support for clearing branch history at syscall entry", 6.9).  The kernel's function
 * is no longer exported to modules ("x86: Restrict KVM-induced symbol exports to KVM modules
 * where obvious/possible", 6.19).  Processors with BHI_CTRL (Alder Lake, Sapphire Rapids and
 * later) have a longer history: Intel's sequence for them has 12 times 7 branches ("Branch
 * History Injection and Intra-mode Branch Target Injection").
 */
.macro UB_HISTORY_LOOPS few many to
#ifdef X86_FEATURE_BHI_CTRL
	ALTERNATIVE "movl \few, \to", "movl \many, \to", X86_FEATURE_BHI_CTRL
#else
	movl	\few, \to
#endif
.endm

	.balign 64
SYM_FUNC_START(ub_clear_history)
	ANNOTATE_NOENDBR			/* called directly */
	pushq	%rbp
	movq	%rsp, %rbp
	UB_HISTORY_LOOPS $5, $12, %ecx
	ANNOTATE_INTRA_FUNCTION_CALL
	call	1f
	jmp	5f
	.balign 64
	ANNOTATE_INTRA_FUNCTION_CALL
1:	call	2f
	RET
	.balign 64
2:	UB_HISTORY_LOOPS $5, $7, %eax
3:	jmp	4f
	nop
4:	decl	%eax
	jnz	3b
	decl	%ecx
	jnz	1b
	RET
5:	lfence
	popq	%rbp
	RET
SYM_FUNC_END(ub_clear_history)
STACK_FRAME_NON_STANDARD(ub_clear_history)

/*
 * The exit path: all user registers are in pt_regs, the user's arithmetic
 * flags may still be in the host's.
 */
SYM_FUNC_START(ub_leave)
	ANNOTATE_NOENDBR			/* jumped to directly */
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
SYM_FUNC_END(ub_leave)
STACK_FRAME_NON_STANDARD(ub_leave)

/* Selector of a writable segment, for which verw is fastest. */
	.section .rodata, "a"
	.balign	2
SYM_DATA(ub_verw_selector, .word __KERNEL_DS)
