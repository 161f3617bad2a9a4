// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's x87.c in user mode: after ub_x87_leave() the FPU must hold the address
 * that it was given, and everything else as before.
 */
#include "x87.c"

#include <stdio.h>
#include <string.h>

static u8 before[512] __attribute__((aligned(16)));
static u8 after[512] __attribute__((aligned(16)));

int main(void)
{
	u64 wanted = 0x7f1234567890, fip, user_fip;
	u16 control = 0x0340;	/* nothing masked */
	unsigned int env[7];
	bool masked, unmasked;

	asm volatile("fldpi; fld1; fldl2e; faddp" : : : "st", "st(1)", "st(2)");
	asm volatile("fxsave64 %0" : "=m"(before));
	ub_x87_leave(wanted);
	asm volatile("fxsave64 %0" : "=m"(after));
	asm volatile("fnstenv %0; fldenv %0" : "+m"(env));
	memcpy(&fip, after + UB_FXSAVE_FIP, sizeof(fip));
	memcpy(&user_fip, before + UB_FXSAVE_FIP, sizeof(user_fip));
	if (user_fip == wanted || env[3] != (unsigned int)wanted)
		return 1;
	memcpy(after + UB_FXSAVE_FIP, before + UB_FXSAVE_FIP, sizeof(fip));
	/* From 464 on it belongs to whoever wants it. */
	if (memcmp(before, after, 464))
		return 2;
	masked = ub_x87_masked();
	asm volatile("fldcw %0" : : "m"(control));
	unmasked = ub_x87_masked();
	asm volatile("fninit");
	printf("fip %lx, stack and control kept, masked %d %d\n", fip, masked, unmasked);
	return !ub_x87_usable();
}
