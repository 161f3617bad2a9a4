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
 * brought it here: a byte for each hash of an mm says whether to look closer.
 */
SYM_FUNC_START(ub_trampoline)
	movq	PER_CPU_VAR(current_task), %rax
	movq	UB_TASK_MM(%rax), %rax
	shrq	$6, %rax			/* slab objects are aligned */
	andl	$(UB_FILTER_SIZE - 1), %eax
	cmpb	$0, ub_filter(%rax)
	jne	.Lattached
	RET

.Lattached:
	movq	(%rsp), %rsi			/* the handler's body */
	call	ub_hook
	addq	$8, %rsp			/* ub_hook has run the body */
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(ub_trampoline)
