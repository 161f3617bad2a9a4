// SPDX-License-Identifier: GPL-2.0-only
#include <linux/jump_label.h>
#include <asm/nospec-branch.h>

int ub_probe(void);
int ub_probe(void)
{
	return static_key_enabled(&mds_user_clear);
}
