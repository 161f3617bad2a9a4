/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Landings: the places that indirect branches go to.
 *
 * Under indirect branch tracking (IBT) an indirect branch has to end at an endbr64, or the
 * processor raises #CP.  A landing is an endbr64 and a jump; only the module writes them.
 * Without IBT there are none: branches go to their targets.
 */
#ifndef _UB_LANDING_H
#define _UB_LANDING_H

#include <linux/types.h>

#include "arena_text.h"
#include "compat.h"
#include "emit.h"

#define UB_LANDING_SIZE		9	/* bytes */
#define UB_LANDINGS		(UB_LANDINGS_SIZE / UB_LANDING_SIZE) /* for functions */

/* The instruction as a number, which is not in the text of the module that way. */
static __always_inline u32 ub_endbr64(void)
{
	u32 endbr;

	asm("movl $~0xfa1e0ff3, %0\n\tnotl %0" : "=r" (endbr) : : "cc");
	return endbr;
}

static inline void emit_landing(struct ub_emit *e, unsigned long target)
{
	emit32(e, ub_endbr64());
	EMIT(e, 0xe9);				/* jmp target */
	emit_rel(e, target, 0);
}

/* Bytes of a landing, if any are needed. */
static inline u32 ub_landing_size(void)
{
	return ub_tracks_branches() ? UB_LANDING_SIZE : 0;
}

unsigned long ub_landing(unsigned long target);
bool ub_has_endbr64(const u8 *image, size_t size);

#endif /* _UB_LANDING_H */
