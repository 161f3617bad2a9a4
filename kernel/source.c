// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares the code of a program with the source bytes of a region.
 *
 * Only pages that the program has in its page tables are compared: nobody waits for a file
 * system, or a program that serves page faults, that does not answer.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "map_lock.h"
#include "proc.h"
#include "region.h"
#include "source.h"

static bool ub_vma_qualifies(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_EXEC | VM_WRITE | VM_SHARED)) == VM_EXEC;
}

/* Under mmap_lock for writing.  Never waits for a page: -EAGAIN if one is missing. */
static int ub_compare_range(struct mm_struct *mm, u64 start, u64 length,
			    const u8 *bytes)
{
	while (length) {
		u64 offset = offset_in_page(start);
		u64 n = min_t(u64, length, PAGE_SIZE - offset);
		struct vm_area_struct *vma = find_vma(mm, start);
		struct page *page;
		bool same;
		u8 *at;

		if (!vma || vma->vm_start > start || !ub_vma_qualifies(vma))
			return -EFAULT;
		ub_vma_exclude(vma);
		if (ub_get_page(mm, start, FOLL_NOFAULT, &page, NULL) != 1)
			return -EAGAIN;
		/*
		 * A private copy of a file's page was made for a debugger, which may write
		 * to it again without another copy, and so without a notification.
		 */
		if (vma->vm_file && PageAnon(page)) {
			put_page(page);
			return -EFAULT;
		}
		at = kmap_local_page(page);
		same = !memcmp(at + offset, bytes, n);
		kunmap_local(at);
		put_page(page);
		if (!same)
			return -EBADE;
		start += n;
		bytes += n;
		length -= n;
	}
	return 0;
}

static int ub_compare_all(const struct ub_region *region, struct mm_struct *mm,
			  const u8 *bytes)
{
	int err;
	u32 i;

	err = ub_map_lock(mm);
	if (err)
		return err;
	for (i = 0; i < region->nr_sources && !err; i++) {
		err = ub_compare_range(mm, region->sources[i].start,
				       region->sources[i].length, bytes);
		bytes += region->sources[i].length;
	}
	mmap_write_unlock(mm);
	return err;
}

/*
 * Compare all source bytes of the region.  The region is listed, so the mmu notifier marks
 * it dead if a page changes after its comparison.  A compared page is mapped, hence a later
 * change does notify.
 *
 * mmap_lock is taken for writing: a writer of text (a debugger, /proc/PID/mem) holds it for
 * reading from the notification, which may precede the listing of the region, to the last
 * byte written.
 */
int ub_source_compare(struct ub_region *region, const u8 *bytes)
{
	struct mm_struct *mm = region->proc->mm;
	int err;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	err = ub_compare_all(region, mm, bytes);
	/* The last user would wait for the files of the program. */
	mmput_async(mm);
	return err == -EBADE ? -EAGAIN : err;
}
