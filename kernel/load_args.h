/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments of a load: copied from user space, then checked before use. */
#ifndef _UB_LOAD_ARGS_H
#define _UB_LOAD_ARGS_H

#include <linux/types.h>

#include "ub.h"

struct ub_region;

struct ub_load_args {
	u8 *image;
	u8 *bytes;
	u32 *jumps;
	struct ub_dispatch *dispatches;
};

int ub_load_args_copy(struct ub_region *region, struct ub_load_args *args,
		      const struct ub_load *load);
int ub_load_args_check(const struct ub_region *region, const struct ub_load_args *args,
		       const struct ub_load *load);
void ub_load_args_free(struct ub_load_args *args);

#endif /* _UB_LOAD_ARGS_H */
