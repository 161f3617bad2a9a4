/* SPDX-License-Identifier: GPL-2.0-only */
/* Executable memory inside the module's own text, given to regions and written for them. */
#ifndef _UB_ARENA_H
#define _UB_ARENA_H

#include <linux/types.h>

int ub_arena_init(void);
void ub_arena_exit(void);
u8 *ub_arena_alloc(size_t size);
void ub_arena_free(u8 *code, size_t size);
int ub_arena_write(u8 *code, const u8 *image, size_t size);
size_t ub_arena_used(void);

#endif /* _UB_ARENA_H */
