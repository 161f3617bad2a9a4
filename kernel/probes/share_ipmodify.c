// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ftrace.h>

int ub_probe(void);
int ub_probe(void)
{
	return FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_PEER;
}
