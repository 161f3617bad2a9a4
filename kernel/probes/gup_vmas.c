// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

long ub_probe(struct mm_struct *mm, struct page **page, struct vm_area_struct **vmas,
	      int *locked);
long ub_probe(struct mm_struct *mm, struct page **page, struct vm_area_struct **vmas,
	      int *locked)
{
	return get_user_pages_remote(mm, 0, 1, 0, page, vmas, locked);
}
