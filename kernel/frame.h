/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame of generated code, at a fixed distance below pt_regs, with the offsets that
 * ub.h gives.
 */
#ifndef _UB_FRAME_H
#define _UB_FRAME_H

#include <linux/build_bug.h>
#include <linux/ptrace.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/asm.h>

#include "ub.h"

struct ub_region;

struct ub_frame {
	u32 exit;
	s32 budget;
	u64 limit;
	u64 flags;
	u64 sysflags;
	u64 target;
	u64 fsbase;
	u64 tmp[3];
	u64 fip;		/* 0: no x87 instruction has run */
	u64 stack;		/* rsp of ub_enter() */
	struct ub_region *region;
	u64 r11;		/* flags at the last dispatch */
	unsigned long account;	/* see ub_left() */
};

static_assert(offsetof(struct ub_frame, exit) == UB_FRAME_EXIT);
static_assert(offsetof(struct ub_frame, budget) == UB_FRAME_BUDGET);
static_assert(offsetof(struct ub_frame, limit) == UB_FRAME_LIMIT);
static_assert(offsetof(struct ub_frame, flags) == UB_FRAME_FLAGS);
static_assert(offsetof(struct ub_frame, sysflags) == UB_FRAME_SYSFLAGS);
static_assert(offsetof(struct ub_frame, target) == UB_FRAME_TARGET);
static_assert(offsetof(struct ub_frame, fsbase) == UB_FRAME_FSBASE);
static_assert(offsetof(struct ub_frame, tmp) == UB_FRAME_TMP0);
static_assert(offsetof(struct ub_frame, fip) == UB_FRAME_FIP);
static_assert(offsetof(struct ub_frame, stack) == UB_FRAME_STACK);
static_assert(offsetof(struct ub_frame, region) == UB_FRAME_REGION);
static_assert(offsetof(struct ub_frame, r11) == UB_FRAME_R11);
static_assert(offsetof(struct ub_frame, account) == UB_FRAME_ACCOUNT);

static inline struct ub_frame *ub_frame_of(struct pt_regs *regs)
{
	return (struct ub_frame *)((u8 *)regs - UB_FRAME_REGS);
}

/* Room for the frame and the pushes of ub_enter(), and for the compiler's spills. */
#define UB_STACK_SLACK	512

/* The frame must be below the current stack pointer. */
static __always_inline bool ub_stack_has_room(struct pt_regs *regs)
{
	return current_stack_pointer >= (unsigned long)ub_frame_of(regs) + UB_STACK_SLACK;
}

#endif /* _UB_FRAME_H */
