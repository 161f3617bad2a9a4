/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sites of a process: looked up and allocated by resume address and call number,
 * parked and unparked. The trampoline looks for parked sites in ub_parked[].  ub_epoch counts the periods after
 * which all sites are unparked; epoch.c increments it.
 */
#ifndef _UB_SITE_TABLE_H
#define _UB_SITE_TABLE_H

#include <linux/types.h>

#include "site.h"

struct ub_proc;

#define UB_PARKED_SIZE		4096	/* power of two */
#define UB_PARKED_NR		0x61c88647	/* odd: makes 32 bits of a call number */

extern u64 ub_parked[UB_PARKED_SIZE];
extern u32 ub_epoch;

struct ub_site *ub_site_of(struct ub_proc *proc, u64 ip, u32 nr, bool claim);
void ub_site_park(const struct ub_proc *proc, u64 ip, u32 nr);
void ub_site_unpark(const struct ub_proc *proc, u64 ip, u32 nr);
void ub_sites_unpark_all(void);
void ub_sites_note_call(struct ub_proc *proc, u32 nr);
void ub_sites_restart(struct ub_proc *proc);
u32 ub_sites_list(struct ub_proc *proc, struct ub_site_info *to, u32 max);

#endif /* _UB_SITE_TABLE_H */
