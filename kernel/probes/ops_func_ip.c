// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ftrace.h>

int ub_probe(struct ftrace_ops *ops, unsigned long ip);
int ub_probe(struct ftrace_ops *ops, unsigned long ip)
{
	return ops->ops_func(ops, ip, FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_PEER);
}
