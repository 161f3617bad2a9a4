/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes for which no gain is expected: they are idle for some epochs. */
#ifndef _UB_IDLE_H
#define _UB_IDLE_H

#include <linux/types.h>

struct ub_proc;

#define UB_STILL	8	/* epochs without news until a process may rest */

void ub_idle_update(u32 epoch);
void ub_idle_end(struct ub_proc *proc);
void ub_idle_look(struct ub_proc *proc);

#endif /* _UB_IDLE_H */
