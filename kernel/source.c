// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares the code of a program with the source bytes of a region.
 *
 * Only pages of files that the program has in its page tables are compared: nobody waits
 * for a file system that does not answer.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "proc.h"
#include "region.h"
#include "source.h"

#define UB_COMPARE_TRIES	4

static bool ub_vma_qualifies(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_EXEC | VM_WRITE | VM_SHARED)) == VM_EXEC;
}

/*
 * Fault in the pages of a range that are not of a file, so that they are probably present
 * when compared.  Waits for swapped ones, without the lock (then *locked is 0); a fatal
 * signal ends the wait.
 *
 * A read of a file in user space or on the network may never end, and then not by a signal
 * either.
 */
static int ub_bring_in(struct mm_struct *mm, u64 start, u64 length, int *locked)
{
	u64 end = start + length;

	for (start &= PAGE_MASK; start < end; start += PAGE_SIZE) {
		struct vm_area_struct *vma;
		struct page *page;
		long got;

		if (!*locked) {
			if (mmap_read_lock_killable(mm))
				return -EINTR;
			*locked = 1;
		}
		vma = find_vma(mm, start);
		if (vma && vma->vm_file)
			continue;
		got = ub_get_page(mm, start, 0, &page, locked);
		if (got == 1)
			put_page(page);
		else if (fatal_signal_pending(current))
			return -EINTR;
		else if (*locked)
			return -EFAULT;
		/* Otherwise the page may be present now: the next pass checks. */
		cond_resched();
	}
	return 0;
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
	int locked = 0, err = 0;
	u32 i;

	for (i = 0; i < region->nr_sources && !err; i++)
		err = ub_bring_in(mm, region->sources[i].start,
				  region->sources[i].length, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (err)
		return err;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
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
	int err, tries;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	/* Pages may be evicted again before they are compared. */
	for (tries = 0; tries < UB_COMPARE_TRIES; tries++) {
		err = ub_compare_all(region, mm, bytes);
		if (err != -EAGAIN)
			break;
	}
	/* The last user would wait for the files of the program. */
	mmput_async(mm);
	return err == -EBADE ? -EAGAIN : err;
}
