/* SPDX-License-Identifier: GPL-2.0-only */
/* Compares the code of a program with the source bytes of a region. */
#ifndef _UB_SOURCE_H
#define _UB_SOURCE_H

#include <linux/types.h>

struct ub_region;

int ub_source_compare(struct ub_region *region, const u8 *bytes);

#endif /* _UB_SOURCE_H */
