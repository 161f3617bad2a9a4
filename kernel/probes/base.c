// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on every kernel; if not, the results of the other probes mean nothing. */
#include <linux/ftrace.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <asm/current.h>
#include <asm/msr.h>

int ub_probe(void);
int ub_probe(void)
{
	return sizeof(current->thread);
}
