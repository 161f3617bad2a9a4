/* SPDX-License-Identifier: GPL-2.0-only */
/* The arena itself: pages of the module's own text in which the code of all regions lies. */
#ifndef _UB_ARENA_TEXT_H
#define _UB_ARENA_TEXT_H

#include <linux/types.h>

#define UB_ARENA_SIZE		(1UL << 21)

#define UB_LANDINGS_SIZE	1024

extern u8 ub_arena[];
extern u8 ub_landings[];	/* of landing.c */

#endif /* _UB_ARENA_TEXT_H */
