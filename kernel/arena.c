// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executable memory inside the module's own text.
 *
 * No exported function gives a module executable memory, but its own text is executable.
 * It stays read-only and is written through a second, temporary mapping of the same pages,
 * which is not executable.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <asm/sync_core.h>

#include "arena.h"
#include "arena_text.h"

#define UNIT		64UL
#define UNITS		(UB_ARENA_SIZE / UNIT)

static DECLARE_BITMAP(ub_arena_map, UNITS);
static size_t ub_arena_bytes;
/*
 * Start of the search for room.  Random, so that the address of the module does not reveal
 * the address of generated code.  One start for all regions: a random place for each region
 * would fragment the arena.
 */
static unsigned long ub_arena_first;

/* Called under ub_region_mutex, as are all functions of this file. */
u8 *ub_arena_alloc(size_t size)
{
	unsigned long n = DIV_ROUND_UP(size, UNIT);
	unsigned long at;

	at = bitmap_find_next_zero_area(ub_arena_map, UNITS, ub_arena_first, n, 0);
	if (at >= UNITS)
		at = bitmap_find_next_zero_area(ub_arena_map, UNITS, 0, n, 0);
	if (at >= UNITS)
		return NULL;
	bitmap_set(ub_arena_map, at, n);
	ub_arena_bytes += n * UNIT;
	return ub_arena + at * UNIT;
}

static void ub_sync_core(void *unused)
{
	sync_core();
}

int ub_arena_write(u8 *code, const u8 *image, size_t size)
{
	unsigned long start = (unsigned long)code & PAGE_MASK;
	unsigned long end = PAGE_ALIGN((unsigned long)code + size);
	unsigned long i, n = (end - start) >> PAGE_SHIFT;
	struct page **pages;
	u8 *alias;

	pages = kcalloc(n, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		pages[i] = vmalloc_to_page((void *)(start + (i << PAGE_SHIFT)));
		if (!pages[i]) {
			kfree(pages);
			return -ENXIO;
		}
	}
	alias = vmap(pages, n, VM_MAP, PAGE_KERNEL);
	kfree(pages);
	if (!alias)
		return -ENOMEM;
	memcpy(alias + ((unsigned long)code - start), image, size);
	vunmap(alias);
	/* The bytes may have held other code, which a CPU may have prefetched. */
	on_each_cpu(ub_sync_core, NULL, 1);
	return 0;
}

void ub_arena_free(u8 *code, size_t size)
{
	unsigned long n = DIV_ROUND_UP(size, UNIT);
	u8 *image = kvmalloc(size, GFP_KERNEL);

	/* Nothing can jump here any more; int3 turns a stray jump into a trap. */
	if (image) {
		memset(image, 0xcc, size);
		ub_arena_write(code, image, size);
		kvfree(image);
	}
	bitmap_clear(ub_arena_map, (code - ub_arena) / UNIT, n);
	ub_arena_bytes -= n * UNIT;
}

size_t ub_arena_used(void)
{
	return ub_arena_bytes;
}

int ub_arena_init(void)
{
	unsigned long at;

	if (!PAGE_ALIGNED(ub_arena))
		return -EINVAL;
	for (at = 0; at < UB_ARENA_SIZE; at += PAGE_SIZE)
		if (!vmalloc_to_page(ub_arena + at)) {
			pr_err("ub: cannot reach the module's own text pages\n");
			return -ENXIO;
		}
	ub_arena_first = get_random_u32() % UNITS;
	return 0;
}

void ub_arena_exit(void)
{
	WARN_ON(ub_arena_bytes);
}
