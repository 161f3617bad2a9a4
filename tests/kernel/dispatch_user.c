/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a dispatch as the module would: dispatch_user FEATURES VECTOR, the first of
 * h (branch history is cleared), b (buffers are), the second 0 or 1. What dispatch.c
 * takes from the rest of the module is here.
 */
#include "arena_text.h"
#include "dispatch.h"
#include "clear.h"
#include "handler.h"
#include "lookup.h"
#include "region.h"
#include "seccomp.h"
#include "slice.h"
#include "emit.h"

int putchar(int character);

u32 ub_budget;
u8 ub_arena[4096];
u8 ub_dead[UB_MAX_REGIONS];
u64 ub_dispatched[UB_MAX_REGIONS];
const u16 ub_verw_selector = __KERNEL_DS;
u16 ub_shim_softirqs;
int __preempt_count;
unsigned long cpu_dr7;
u8 ub_shim_has[7];
u8 ub_shim_stack[64];
static struct task_struct task;
struct task_struct *current_task = &task;
void ub_user_load_fpu(void) { }
unsigned long ub_switch_fpu_return = (unsigned long)ub_user_load_fpu;

void ub_shim_bh_enable(void) { }
void ub_clear_history(void) { }
void ub_user_handler(void) { }

bool ub_seccomp_known;

void ub_seccomp_rehearse(const struct pt_regs *regs)
{
}

bool ub_task_work_dispatched(bool vector)
{
	return false;
}

unsigned long ub_handler_body(u32 nr)
{
	return (unsigned long)ub_user_handler;
}

int main(int argc, char **argv)
{
	struct ub_dispatch_site site = {
		.image = ub_arena, .code = ub_arena, .nr = 39,
		.pre = ub_arena + 2048, .post = ub_arena + 3072,
	};

	if (argc != 3)
		return 2;
	for (const char *at = argv[1]; *at; at++) {
		ub_shim_has[X86_FEATURE_CLEAR_BHB_LOOP] |= *at == 'h';
		ub_shim_has[X86_FEATURE_CLEAR_CPU_BUF] |= *at == 'b';
	}
	site.vector = argv[2][0] == '1';
	ub_dispatch_emit(&site);
	for (u32 i = 0; i < ub_dispatch_size(site.vector); i++)
		putchar(ub_arena[i]);
	return 0;
}
