/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rest: while an attached process has nothing to gain, its calls are not even hooked.
 * This unit decides when a rest begins and ends; watch.c carries it out.
 */
#ifndef _UB_REST_H
#define _UB_REST_H

#include <linux/types.h>

struct seq_file;
struct ub_proc;

enum ub_rest_step {
	UB_REST_STAY,		/* nothing changes */
	UB_REST_BEGIN,		/* all still processes rest */
	UB_REST_LOOK,		/* resting processes are watched for a short time */
	UB_REST_END,		/* resting processes are watched again, at no extra cost */
};

enum ub_rest_step ub_rest_next(void);
bool ub_rest_is_still(const struct ub_proc *proc);
void ub_rest_unhook(void);
void ub_rest_mark(struct ub_proc *proc);
void ub_rest_hooked(bool look);
void ub_rest_show(struct seq_file *m);

#endif /* _UB_REST_H */
