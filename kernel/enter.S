/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry into generated code and exit from it.
 *
 * Generated code reaches its frame and the task's pt_regs relative to rsp
 * (docs/abi.md), so rsp moves to a fixed distance below pt_regs while it runs.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <linux/stringify.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/processor-flags.h>
#include <asm/smap.h>

#include "ub_offsets.h"

/*
 * long ub_enter(struct pt_regs *regs, u8 *code, struct ub_region *region,
 *		 unsigned long account, u64 fsbase, u64 limit)
 *
 * Returns the user's rax, which is in pt_regs as all of the user's registers then are.
 */
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
	movq	%rdx, UB_FRAME_REGION(%rsp)
	movq	%rcx, UB_FRAME_ACCOUNT(%rsp)
	movq	%r8, UB_FRAME_FSBASE(%rsp)
	movq	%r9, UB_FRAME_LIMIT(%rsp)

	/* popfq of this image must not clear AC, which would close SMAP. */
	movl	UB_PT_REGS_FLAGS(%rdi), %eax
	ALTERNATIVE "", __stringify(orl $X86_EFLAGS_AC, %eax), X86_FEATURE_SMAP
	movq	%rax, UB_FRAME_SYSFLAGS(%rsp)
	movq	%rax, UB_FRAME_FLAGS(%rsp)
	movq	%rax, UB_FRAME_R11(%rsp)
	movl	PER_CPU_VAR(ub_budget), %eax
	movl	%eax, UB_FRAME_BUDGET(%rsp)
	movl	$-1, UB_FRAME_EXIT(%rsp)
	movq	$0, UB_FRAME_FIP(%rsp)
	/* Each dispatch sets orig_ax: -1 afterwards means that there was none. */
	movq	$-1, UB_PT_REGS_ORIG_AX(%rdi)

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
 * The exit path: all user registers are in pt_regs, the user's arithmetic flags may still be
 * in the host's.  The frame stays below the stack pointer until it is not needed any more.
 */
SYM_FUNC_START(ub_leave)
	ANNOTATE_NOENDBR			/* jumped to directly */
	pushfq
	popq	%rsi
	ASM_CLAC
	/* C code gets the kernel's values of the registers that it saves. */
	movq	UB_FRAME_STACK(%rsp), %rax
	movq	(%rax), %r15
	movq	8(%rax), %r14
	movq	16(%rax), %r13
	movq	24(%rax), %r12
	movq	32(%rax), %rbx
	movq	40(%rax), %rbp
	leaq	UB_FRAME_REGS(%rsp), %rdi
	call	ub_left
	movq	UB_FRAME_REGS + UB_PT_REGS_AX(%rsp), %rax
	movq	UB_FRAME_STACK(%rsp), %rsp
	addq	$48, %rsp
	RET
SYM_FUNC_END(ub_leave)
STACK_FRAME_NON_STANDARD(ub_leave)
