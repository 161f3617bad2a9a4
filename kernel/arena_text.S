/* SPDX-License-Identifier: GPL-2.0-only */
/* The arena: pages of the module's own text, filled with int3 until used; landings. */
#include <linux/linkage.h>
#include <linux/objtool.h>

#include "ub_offsets.h"

	.text
	.balign	64, 0xcc
SYM_ENTRY(ub_landings, SYM_L_GLOBAL, SYM_A_NONE)
	ANNOTATE_NOENDBR			/* written by landing.c */
	.fill	UB_LANDINGS_SIZE, 1, 0xcc
	.balign	4096, 0xcc
SYM_ENTRY(ub_arena, SYM_L_GLOBAL, SYM_A_NONE)
	ANNOTATE_NOENDBR
	.fill	UB_ARENA_SIZE, 1, 0xcc
	.balign	4096, 0xcc
