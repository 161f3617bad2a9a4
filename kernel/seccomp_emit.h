/* SPDX-License-Identifier: GPL-2.0-only */
/* The code behind a region that runs the seccomp filters for a dispatch. */
#ifndef _UB_SECCOMP_EMIT_H
#define _UB_SECCOMP_EMIT_H

#include <linux/types.h>

struct ub_dispatch_site;

u32 ub_seccomp_size(void);
void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back);

#endif /* _UB_SECCOMP_EMIT_H */
