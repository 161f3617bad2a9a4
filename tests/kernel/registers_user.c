// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether registers made by hand may enter a translation, by the module's own checks.
 * Prints a line for each: its name, and "yes" or "no".
 */
#include <stdio.h>

#include "eligible.h"
#include "replay.h"

#define IP	0x400000UL
#define FLAGS	0x246UL

const struct job *job;
int checking;

/* What the other files need to be linked. */
__asm__(".bss\n"
	".balign 16384\n"
	".globl ub_shim_stack\n"
	"ub_shim_stack:\n"
	".skip 16384\n"
	".text\n"
	".globl ub_call_body\n"
	"ub_call_body:\n"
	"ret\n");

void ub_shim_fail(const char *why)
{
	__builtin_trap();
}

void fail(const char *what, u64 value)
{
	__builtin_trap();
}

long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	return -38;
}

static void show(const char *name, struct pt_regs regs)
{
	printf("%s %s\n", name, ub_regs_are_eligible(&regs, regs.ax, TASK_SIZE_MAX) ?
	       "yes" : "no");
}

int main(void)
{
	const struct pt_regs plain = {
		.ax = 7, .ip = IP, .cx = IP, .flags = FLAGS, .r11 = FLAGS,
		.cs = __USER_CS, .sp = 0x500000,
	};
	struct pt_regs regs;

	show("syscall", plain);
	regs = plain;
	regs.cx = 0x1234;
	regs.r11 = 0x5678;
	show("own", regs);
	regs = plain;
	regs.cx = 0x1234;
	show("own-rcx", regs);
	regs = plain;
	regs.r11 = 0x5678;
	show("own-r11", regs);
	regs = plain;
	regs.cs = 0x23;
	show("code32", regs);
	regs = plain;
	regs.flags = regs.r11 = FLAGS | 0x100;
	show("single-step", regs);
	regs = plain;
	regs.sp = TASK_SIZE_MAX;
	show("stack", regs);
	regs = plain;
	regs.ax = -ERESTARTSYS;
	show("restart", regs);
	return 0;
}
