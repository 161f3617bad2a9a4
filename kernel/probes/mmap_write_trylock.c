// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

bool ub_probe(struct mm_struct *mm);
bool ub_probe(struct mm_struct *mm)
{
	return mmap_write_trylock(mm);
}
