/* SPDX-License-Identifier: GPL-2.0-only */
/* Detection of hot sites: called at the start and at the end of each hooked call. */
#ifndef _UB_DETECT_H
#define _UB_DETECT_H

#include <linux/types.h>

struct pt_regs;
struct ub_proc;
struct ub_site;

void ub_detect_exit(void);
void ub_detect_before(u64 now);
void ub_detect_after(struct ub_proc *proc, struct pt_regs *regs, u64 ax);
bool ub_detect_is_reported(const struct ub_site *site);
bool ub_detect_is_warm(struct ub_site *site);

#endif /* _UB_DETECT_H */
