/* SPDX-License-Identifier: GPL-2.0-only */
/* Statistics: of one attachment by ioctl, of the module in debugfs. */
#ifndef _UB_STATS_H
#define _UB_STATS_H

#include "ub.h"

struct ub_proc;

void ub_stats_get(struct ub_proc *proc, struct ub_stats *stats);
void ub_stats_init(void);
void ub_stats_exit(void);

#endif /* _UB_STATS_H */
