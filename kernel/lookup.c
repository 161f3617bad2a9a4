// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions of the kernel that modules cannot link to.
 *
 * switch_fpu_return() is exported only to KVM since "x86: Restrict KVM-induced
 * symbol exports to KVM modules where obvious/possible" (6.19).
 */
#include <linux/kprobes.h>
#include <linux/string.h>

#include "lookup.h"

unsigned long ub_switch_fpu_return;

/* The address of the function, behind its endbr if it has one; 0 if not found. */
unsigned long ub_lookup(const char *name)
{
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	struct kprobe kp = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long address;

	if (register_kprobe(&kp) < 0)
		return 0;
	address = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	if (!memcmp((const void *)address, endbr, sizeof(endbr)))
		address += sizeof(endbr);
	return address;
}

/* Load the user's FPU registers from memory.  Context as under fpregs_lock(). */
void ub_load_fpu(void)
{
	void (*load)(void) = (void *)ub_switch_fpu_return;

	load();
}

int ub_lookup_init(void)
{
	ub_switch_fpu_return = ub_lookup("switch_fpu_return");
	if (ub_switch_fpu_return)
		return 0;
	pr_err("ub: this kernel does not have switch_fpu_return, which is required\n");
	return -EOPNOTSUPP;
}
