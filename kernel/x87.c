// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address of the last x87 instruction, as user mode may see it.
 *
 * The FPU notes where each x87 instruction stands (FIP).  After translated ones
 * that is an address in the kernel, which fnstenv, a signal's frame or a debugger
 * would show.  Generated code keeps the address of the original in the frame, and
 * here the FPU gets it before user mode can look.
 */
#include <linux/kernel.h>
#include <linux/thread_info.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/processor.h>

#include "internal.h"

#define UB_FXSAVE_SIZE	512
#define UB_FXSAVE_ALIGN	16
#define UB_FXSAVE_FIP	8	/* with REX.W: 64 bits (SDM 1, 10.5.1.1) */
#define UB_FCW_MASKS	0x3f

/*
 * Intel's CPUs note the opcode as well (FOP), with register numbers in it, but only if
 * an exception is not masked (SDM 1, 8.1.9); others always do.  And some neither save
 * nor load FIP unless an exception is pending, so it could not be replaced.
 */
bool ub_x87_usable(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_INTEL &&
	       boot_cpu_has(X86_FEATURE_FXSR) &&
	       !boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK);
}

/* With the user's state in the FPU: whether no exception can come of it. */
bool ub_x87_masked(void)
{
	u16 control;

	asm volatile("fnstcw %0" : "=m" (control));
	return (control & UB_FCW_MASKS) == UB_FCW_MASKS;
}

/*
 * With softirqs and preemption off.  Not inlined: the image would take the room
 * that ub_run()'s frame needs.
 */
noinline_for_stack void ub_x87_leave(u64 fip)
{
	/* The kernel's stack is aligned to 8 only. */
	u8 buffer[UB_FXSAVE_SIZE + UB_FXSAVE_ALIGN];
	u8 *image = PTR_ALIGN(&buffer[0], UB_FXSAVE_ALIGN);

	/* A handler may have slept. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		ub_load_fpu();
	asm volatile("fxsave64 (%0)" : : "r" (image) : "memory");
	*(u64 *)(image + UB_FXSAVE_FIP) = fip;
	asm volatile("fxrstor64 (%0)" : : "r" (image) : "memory");
}
