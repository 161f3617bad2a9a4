/* SPDX-License-Identifier: GPL-2.0-only */
/* Clears what predictors and buffers of the processor hold, around user code. */
#ifndef _UB_CLEAR_H
#define _UB_CLEAR_H

#include <linux/types.h>
#include <asm/asm.h>

#include "compat.h"

void ub_clear_history(void);	/* of branches; changes rax and rcx */
extern const u16 ub_verw_selector;

/* Clear it if the kernel does at each entry; no register needs to be saved for that. */
static __always_inline void ub_clear_user_history(void)
{
	if (ub_clears_history())
		asm volatile("call ub_clear_history" : ASM_CALL_CONSTRAINT :
			     : "rax", "rcx", "cc", "memory");
}

#endif /* _UB_CLEAR_H */
