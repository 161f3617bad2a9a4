/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps addresses of generated code out of the FPU state. */
#ifndef _UB_X87_H
#define _UB_X87_H

#include <linux/types.h>

bool ub_x87_usable(void);
bool ub_x87_masked(void);
void ub_x87_leave(u64 fip);

#endif /* _UB_X87_H */
