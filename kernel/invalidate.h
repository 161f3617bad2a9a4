/* SPDX-License-Identifier: GPL-2.0-only */
/* Kills regions whose source changes or whose process ends. */
#ifndef _UB_INVALIDATE_H
#define _UB_INVALIDATE_H

#include <linux/types.h>

struct ub_proc;

void ub_region_invalidate(struct ub_proc *proc, u64 start, u64 end, bool may_sleep);
void ub_region_invalidate_all(void);
void ub_region_end(struct ub_proc *proc);

#endif /* _UB_INVALIDATE_H */
