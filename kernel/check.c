// SPDX-License-Identifier: GPL-2.0-only
/* Whether the module supports this kernel on this processor with its boot options. */
#include <linux/kernel.h>
#include <asm/cpufeature.h>

#include "compat.h"
#include "check.h"

/* The reason why not, and a remedy if there is one; NULL if the kernel is supported. */
static const char *ub_refusal(void)
{
	/* Translations save flags with lahf.  Only the first 64-bit processors lack it. */
	if (!boot_cpu_has(X86_FEATURE_LAHF_LM))
		return "this processor has no lahf instruction in 64-bit mode, which is required; use a newer one";
	/* Indirect calls expect a type hash before the function; bodies have none. */
	if (IS_ENABLED(CONFIG_CFI_CLANG) || IS_ENABLED(CONFIG_CFI))
		return "this kernel is built with kCFI, which is not supported; boot a kernel without CONFIG_CFI_CLANG";
	/* All is ready for it (docs/abi.md), but was never run on such a processor. */
	if (ub_syscall_keeps_rcx())
		return "this kernel runs with FRED, which was never tested; boot with fred=off";
#ifndef X86_FEATURE_CLEAR_CPU_BUF
	/* Without verw in alternatives ub_enter() cannot clear the buffers. */
	if (ub_clears_buffers())
		return "this kernel cannot clear the buffers of this processor (MDS, RFDS) as required; boot a newer one, 6.1.82 or later";
#endif
	/* Under Xen PV the kernel does not run at CPL 0. */
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return "this is a paravirtual guest of Xen (PV), which is not supported; boot it as PVH or HVM";
	/* Generated code changes the preemption count. */
	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT))
		return "this kernel has no preemption count, which is required; boot a kernel with CONFIG_PREEMPT_COUNT";
	/* A run may end inside a critical section, by what looks like a system-call exit. */
	if (IS_ENABLED(CONFIG_DEBUG_RSEQ) || IS_ENABLED(CONFIG_RSEQ_DEBUG_DEFAULT_ENABLE))
		return "this kernel kills programs that make system calls in rseq critical sections; boot a kernel without rseq debugging";
#ifdef UB_LACKS
	return "this kernel lacks " UB_LACKS "; use a kernel that this version of ub supports (docs/kernels.md)";
#endif
	return NULL;
}

int ub_check(void)
{
	const char *why = ub_refusal();

	if (!why)
		return 0;
	pr_err("ub: %s\n", why);
	return -EOPNOTSUPP;
}
