/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the kernel that modules cannot link to, found by name. */
#ifndef _UB_LOOKUP_H
#define _UB_LOOKUP_H

#include <linux/types.h>

#define UB_LOOKUPS	16	/* functions that are looked up to be called, at most */

extern unsigned long ub_switch_fpu_return;

unsigned long ub_lookup(const char *name);
void *ub_lookup_function(const char *name);
void ub_load_fpu(void);
int ub_lookup_init(void);

#endif /* _UB_LOOKUP_H */
