/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry into generated code and exit from it: switches registers, and clears processor
 * buffers and branch history around user code.
 */
#ifndef _UB_ENTER_H
#define _UB_ENTER_H

#include <linux/types.h>

struct pt_regs;

struct ub_launch {
	u64 limit;
	u64 fsbase;
	u64 sysflags;
	u64 r11;		/* out: flags at the last dispatch */
	u64 flags;		/* out, as are the next ones */
	u64 host_flags;
	u64 target;
	u64 fip;		/* 0: no x87 instruction has run */
	u32 exit;
	s32 budget;		/* in */
};

void ub_enter(struct pt_regs *regs, u8 *code, struct ub_launch *launch);
void ub_leave(void);		/* jumped to, never called */
void ub_clear_history(void);	/* of branches; changes rax and rcx */
extern const u16 ub_verw_selector;

#endif /* _UB_ENTER_H */
