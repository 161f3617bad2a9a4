// SPDX-License-Identifier: GPL-2.0-only
/* Whether the module can serve this kernel, as processor and boot made it. */
#include <linux/kernel.h>
#include <asm/cpufeature.h>

#include "compat.h"
#include "internal.h"

/* Why not, and what to do, if anything; NULL if it can. */
static const char *ub_refusal(void)
{
	/* Translations keep flags with it.  Only the first 64-bit processors lack it. */
	if (!boot_cpu_has(X86_FEATURE_LAHF_LM))
		return "no lahf in 64-bit mode on this processor";
	/*
	 * Handlers are called behind their endbr, and regions begin with none.  That the
	 * processor has it says nothing: a kernel without it does not hide the flag.
	 */
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && cpu_feature_enabled(X86_FEATURE_IBT))
		return "this kernel runs with indirect branch tracking (IBT), which is not supported; boot it with ibt=off";
	/* Calls by pointer want a hash before the function, which bodies have not. */
	if (IS_ENABLED(CONFIG_CFI_CLANG) || IS_ENABLED(CONFIG_CFI))
		return "this kernel checks the type of functions that are called (kCFI), which is not supported; use one that is built without";
#ifdef X86_FEATURE_FRED
	/* Its entries leave rcx and r11 as they were. */
	if (cpu_feature_enabled(X86_FEATURE_FRED))
		return "this kernel runs with FRED, which is not supported; boot it with fred=off";
#endif
#ifndef X86_FEATURE_CLEAR_CPU_BUF
	/* ub_enter would have to do so as well, by other means. */
	if (ub_clears_buffers())
		return "this kernel is too old to run user code on this processor (MDS and the like); boot a newer one, 6.1.82 or later";
#endif
	/* User code runs outside of the kernel's ring there. */
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return "this is a paravirtual guest of Xen (PV), which is not supported; boot it as PVH or HVM";
	/* Segments count on it, and generated code changes it. */
	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT))
		return "this kernel does not count who forbids preemption (CONFIG_PREEMPT_COUNT); use one that is built with it";
	/* Events are sent with preemption off, and spinlocks sleep. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return "this is a kernel for real time (PREEMPT_RT), which is not supported; boot an ordinary one";
	/* A run may be left in a section by what looks like the end of a system call. */
	if (IS_ENABLED(CONFIG_DEBUG_RSEQ) || IS_ENABLED(CONFIG_RSEQ_DEBUG_DEFAULT_ENABLE))
		return "this kernel ends programs that make calls in rseq critical sections (a debugging option); use one that is built without";
#ifdef UB_LACKS
	return "this kernel lacks " UB_LACKS "; the module must learn of it first";
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
