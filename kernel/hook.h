/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hooks the allow-listed handlers while some process is watched, and excludes handlers with
 * other users.
 */
#ifndef _UB_HOOK_H
#define _UB_HOOK_H

#include <linux/types.h>

struct seq_file;

void ub_hook_setup(void);
int ub_hook_init(void);
void ub_hook_exit(void);
int ub_hook_get(void);
void ub_hook_put(void);
void ub_hook_check(void);
int ub_hook_fill(void);
void ub_hook_trim(const unsigned long *calls);
u64 ub_hook_cost(void);
void ub_hook_show(struct seq_file *m);

#endif /* _UB_HOOK_H */
