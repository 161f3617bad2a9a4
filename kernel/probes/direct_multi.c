// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ftrace.h>

int ub_probe(struct ftrace_ops *ops, unsigned long address);
int ub_probe(struct ftrace_ops *ops, unsigned long address)
{
	return register_ftrace_direct_multi(ops, address) +
	       unregister_ftrace_direct_multi(ops, address);
}
