/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts watching a process: its calls are hooked after its grace period, or when a region
 * is loaded, and unhooked while all processes rest.
 */
#ifndef _UB_WATCH_H
#define _UB_WATCH_H

#include <linux/types.h>

struct ub_proc;

void ub_watch_init(void);
void ub_watch_exit(void);
int ub_watch_attach(struct ub_proc *proc);
int ub_watch_load(struct ub_proc *proc);
void ub_watch_loaded(struct ub_proc *proc);
void ub_watch_start(struct ub_proc *proc);
void ub_watch_detach(struct ub_proc *proc);
u64 ub_watch_uncounted(struct ub_proc *proc);

#endif /* _UB_WATCH_H */
