// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address of the last x87 instruction, as visible in user mode.
 *
 * The FPU records the address of each x87 instruction (FIP).  After a translated
 * instruction this is a kernel address, which fnstenv, a signal frame or a debugger would
 * show.  Generated code keeps the user address of the original in the frame, and the code
 * here loads it into the FPU before user mode can read FIP.
 */
#include <linux/kernel.h>
#include <linux/thread_info.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/processor.h>

#include "lookup.h"
#include "x87.h"

#define UB_FXSAVE_SIZE	512
#define UB_FXSAVE_ALIGN	16
#define UB_FXSAVE_FIP	8	/* with REX.W: 64 bits (SDM 1, 10.5.1.1) */
#define UB_FCW_MASKS	0x3f

/*
 * Intel's CPUs also record the opcode (FOP), which contains register numbers, but only if
 * an exception is not masked (SDM 1, 8.1.9); others always do.  Some neither save nor load
 * FIP unless an exception is pending, so it could not be replaced.
 */
bool ub_x87_usable(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_INTEL &&
	       boot_cpu_has(X86_FEATURE_FXSR) &&
	       !boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK);
}

/* True if all exceptions are masked.  With the user's state in the FPU. */
bool ub_x87_masked(void)
{
	u16 control;

	asm volatile("fnstcw %0" : "=m" (control));
	return (control & UB_FCW_MASKS) == UB_FCW_MASKS;
}

/*
 * Set FIP in the FPU.  With softirqs and preemption off.  Not inlined: the image would take
 * stack that the frame of ub_run() needs.
 */
noinline_for_stack void ub_x87_leave(u64 fip)
{
	/* The kernel's stack is aligned to 8 only. */
	u8 buffer[UB_FXSAVE_SIZE + UB_FXSAVE_ALIGN];
	u8 *image = PTR_ALIGN(&buffer[0], UB_FXSAVE_ALIGN);

	/* A handler may have slept: then the user's state is in memory. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		ub_load_fpu();
	asm volatile("fxsave64 (%0)" : : "r" (image) : "memory");
	*(u64 *)(image + UB_FXSAVE_FIP) = fip;
	asm volatile("fxrstor64 (%0)" : : "r" (image) : "memory");
}
