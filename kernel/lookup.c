// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions of the kernel that modules cannot link to.
 *
 * switch_fpu_return() is exported only to KVM since "x86: Restrict KVM-induced
 * symbol exports to KVM modules where obvious/possible" (6.19).
 */
#include <linux/kprobes.h>
#include <linux/string.h>

#include "landing.h"
#include "lookup.h"

unsigned long ub_switch_fpu_return;
static void (*ub_load_fpu_now)(void) __ro_after_init;

/*
 * The address of the function, behind its endbr64 if it has one: for direct calls.  0 if
 * not found.
 */
unsigned long ub_lookup(const char *name)
{
	struct kprobe kp = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long address;
	u32 first;

	if (register_kprobe(&kp) < 0)
		return 0;
	address = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	memcpy(&first, (const void *)address, sizeof(first));
	if (first == ub_endbr64())
		address += sizeof(first);
	return address;
}

/* The function, to be called; NULL if not found. */
void *ub_lookup_function(const char *name)
{
	return (void *)ub_landing(ub_lookup(name));
}

/* Load the user's FPU registers from memory.  Context as under fpregs_lock(). */
void ub_load_fpu(void)
{
	ub_load_fpu_now();
}

int ub_lookup_init(void)
{
	ub_switch_fpu_return = ub_lookup("switch_fpu_return");
	ub_load_fpu_now = (void *)ub_landing(ub_switch_fpu_return);
	if (ub_load_fpu_now)
		return 0;
	pr_err("ub: this kernel does not have switch_fpu_return, which is required\n");
	return -EOPNOTSUPP;
}
