/* SPDX-License-Identifier: GPL-2.0-only */
/* Clears what predictors and buffers of the processor hold, around user code. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>

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

/* Selector of a writable segment, for which verw is fastest. */
	.section .rodata, "a"
	.balign	2
SYM_DATA(ub_verw_selector, .word __KERNEL_DS)
