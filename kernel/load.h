/* SPDX-License-Identifier: GPL-2.0-only */
/* Loads, replaces and unloads regions, and frees them once no task is inside. */
#ifndef _UB_LOAD_H
#define _UB_LOAD_H

#include <linux/types.h>

#include "ub.h"

struct ub_proc;

int ub_region_load(struct ub_proc *proc, struct ub_load *load);
int ub_region_unload(struct ub_proc *proc, u32 number);
void ub_region_unload_all(struct ub_proc *proc);

#endif /* _UB_LOAD_H */
