// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

void ub_probe(struct vm_area_struct *vma);
void ub_probe(struct vm_area_struct *vma)
{
	vma_start_write(vma);
}
