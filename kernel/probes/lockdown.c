// SPDX-License-Identifier: GPL-2.0-only
#include <linux/security.h>

int ub_probe(void);
int ub_probe(void)
{
	return security_locked_down(LOCKDOWN_MODULE_SIGNATURE);
}
