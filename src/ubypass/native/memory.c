// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's memory: pages at fixed addresses with unmapped space around them, filled
 * before each run and compared after it. Also the memory of the translation.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

#define AREAS 24
#define POOL_SIZE (256UL << 10)
/* Memory that one run may fill; the same amount follows the pool's random part. */
#define MOST (64 * PAGE)

struct area {
	struct ub_area what;
	u8 *alias; /* writable, for text */
	u64 kept;  /* offset in keep */
};

static struct area areas[AREAS];
static u32 area_count;
static u8 *pool, *keep;
static u64 pool_data, pool_size;
static pid_t owner;

u8 *ub_arena, *ub_frame;

/* Not memcpy(), which may use vector registers. */
void ub_copy(void *to, const void *from, u64 size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

/* Offset of the first differing 8-byte word; size if there is none. */
u64 ub_differ(const void *a, const void *b, u64 size)
{
	const u64 *x = a, *y = b;

	for (u64 i = 0; i < size / 8; i++)
		if (x[i] != y[i])
			return 8 * i;
	return size;
}

int ub_arena_init(void)
{
	if (ub_arena)
		return 0;
	u8 *base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *frame = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pool = mmap(NULL, POOL_SIZE + MOST, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	keep = mmap(NULL, MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (base == MAP_FAILED || frame == MAP_FAILED || pool == MAP_FAILED ||
	    keep == MAP_FAILED)
		return -1;
	ub_frame = frame + 2 * PAGE;
	/* jmp [rip]; address */
	static const u8 jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
	u64 leave = (u64)ub_leave;

	memcpy(base, jump, sizeof(jump));
	memcpy(base + sizeof(jump), &leave, 8);
	ub_arena = base;
	return 0;
}

static int same_areas(const struct ub_job *job)
{
	if (job->area_count != area_count)
		return 0;
	for (u32 i = 0; i < area_count; i++) {
		const struct ub_area *a = &areas[i].what, *b = &job->areas[i];

		if (a->address != b->address || a->size != b->size ||
		    a->flags != b->flags)
			return 0;
	}
	return 1;
}

static int map_text(struct area *area)
{
	int fd = memfd_create("ubypass-text", MFD_CLOEXEC);
	u64 size = area->what.size;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		return -1;
	area->alias = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *at = mmap((void *)area->what.address, size, PROT_READ | PROT_EXEC,
			MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

	close(fd);
	return at == (void *)area->what.address && area->alias != MAP_FAILED ? 0 : -1;
}

static void unmap_all(void)
{
	for (u32 i = 0; i < area_count; i++) {
		munmap((void *)areas[i].what.address, areas[i].what.size);
		if (areas[i].alias)
			munmap(areas[i].alias, areas[i].what.size);
	}
	area_count = 0;
}

static int map_all(const struct ub_job *job)
{
	u64 kept = 0;

	unmap_all();
	if (job->area_count > AREAS)
		return -1;
	for (u32 i = 0; i < job->area_count; i++) {
		struct area *area = &areas[i];

		memset(area, 0, sizeof(*area));
		area->what = job->areas[i];
		if (area->what.flags & AREA_EXEC) {
			if (map_text(area))
				goto failed;
		} else {
			void *at = mmap((void *)area->what.address, area->what.size,
					PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS |
						MAP_FIXED_NOREPLACE,
					-1, 0);

			if (at != (void *)area->what.address)
				goto failed;
		}
		area_count++;
		if (area->what.flags & AREA_WRITE) {
			area->kept = kept;
			kept += area->what.size;
		}
		if (kept > MOST)
			goto failed;
	}
	return 0;
failed:
	unmap_all();
	return -1;
}

/* Map the job's areas and fill those that are the same in all runs. */
int ub_map_areas(const struct ub_job *job)
{
	/* A child would share its text with its parent. */
	if ((owner != getpid() || !same_areas(job)) && map_all(job))
		return -1;
	owner = getpid();
	if (pool_data != job->data || pool_size != job->data_size)
		ub_fill_pool(job);
	for (u32 i = 0; i < area_count; i++) {
		struct area *area = &areas[i];
		u64 size = area->what.size;
		u8 *to = area->alias ? area->alias : (u8 *)area->what.address;

		area->what.content = job->areas[i].content;
		if (area->what.flags & AREA_WRITE)
			continue;
		if (!area->alias)
			mprotect(to, size, PROT_READ | PROT_WRITE);
		ub_copy(to, area->what.content ? area->what.content : ub_pool(job->seed),
			size);
		if (!area->alias)
			mprotect(to, size, PROT_READ);
	}
	return 0;
}

/*
 * The writable alias of size bytes of text at a user address; NULL if there is no text.
 * Any address is allowed: rip may be anywhere after a run of the code under test.
 */
PUBLIC u8 *ub_text(u64 address, u64 size)
{
	for (u32 i = 0; i < area_count; i++) {
		struct area *area = &areas[i];

		/* Not address + size, which may overflow. */
		if (area->alias && address >= area->what.address &&
		    size <= area->what.size &&
		    address - area->what.address <= area->what.size - size)
			return area->alias + (address - area->what.address);
	}
	return NULL;
}

/*
 * A pool of plausible words: small and large numbers, pointers, floats of both sizes,
 * text, masks. Copies from the pool are cheaper than new random values for each run.
 */
void ub_fill_pool(const struct ub_job *job)
{
	static const double doubles[] = { 0.0, -0.0, 1.0, -1.5, 1e10, 3e-310, 1e308,
					  -7.25, 0.1, 255.0, 4294967296.0, -1e-5 };
	static const u64 masks[] = { 0, ~0UL, 1UL << 63, 0x7fffffffffffffffUL,
				     0x7ff0000000000000UL, 0x7ff8000000000001UL,
				     0x7ff0000000000001UL, 0xfff0000000000000UL,
				     0x7f800000ff800000UL, 0x7fc00000ffc00001UL,
				     0x80000000UL, 0xff00ff00ff00ff00UL };
	static const float floats[] = { 0.0f, 1.0f, -2.5f, 1e30f, 1e-40f, 3.75f, 1e9f,
					-0.0f };
	u64 rng = 0x9e3779b97f4a7c15UL, *word = (u64 *)pool;

	pool_data = job->data;
	pool_size = job->data_size;
	for (u64 i = 0; i < (POOL_SIZE + MOST) / 8; i++) {
		u64 r = ub_random(&rng), s = ub_random(&rng);
		u32 two[2];

		switch (r % 16) {
		case 0:
		case 1:
		case 2:
			word[i] = pool_data + s % pool_size;
			if (r & 0x30)
				word[i] &= ~7UL;
			break;
		case 3:
		case 4:
			word[i] = s % 64;
			break;
		case 5:
			word[i] = -(s % 300);
			break;
		case 6:
			ub_copy(&word[i], &doubles[s % 12], 8);
			break;
		case 7:
			word[i] = masks[s % 12];
			break;
		case 8:
			ub_copy(&two[0], &floats[s % 8], 4);
			ub_copy(&two[1], &floats[(s >> 8) % 8], 4);
			ub_copy(&word[i], two, 8);
			break;
		case 9:
		case 10:
			/* Letters, and often the end of a string. */
			word[i] = (s & 0x1f1f1f1f1f1f1f1fUL) | 0x6060606060606060UL;
			if (r & 0x100)
				word[i] &= ~(0xffUL << (s >> 61) * 8);
			break;
		default:
			word[i] = s;
		}
	}
}

/* A random place in the pool, 8-aligned, with MOST bytes behind it. */
const u8 *ub_pool(u64 random)
{
	return pool + (random % POOL_SIZE & ~7UL);
}

u64 ub_pool_word(u64 offset)
{
	u64 word;

	ub_copy(&word, pool + (offset % POOL_SIZE & ~7UL), 8);
	return word;
}

void ub_reset_memory(u64 seed)
{
	const u8 *from = ub_pool(seed);

	for (u32 i = 0; i < area_count; i++) {
		struct area *area = &areas[i];

		if (area->what.flags & AREA_WRITE)
			ub_copy((void *)area->what.address,
				area->what.content ? area->what.content :
						     from + area->kept,
				area->what.size);
	}
}

/* Save the present memory for ub_compare_memory(). */
void ub_keep_memory(void)
{
	for (u32 i = 0; i < area_count; i++)
		if (areas[i].what.flags & AREA_WRITE)
			ub_copy(keep + areas[i].kept, (void *)areas[i].what.address,
				areas[i].what.size);
}

int ub_compare_memory(struct ub_failure *failure)
{
	for (u32 i = 0; i < area_count; i++) {
		struct area *area = &areas[i];
		const u8 *here = (const u8 *)area->what.address;
		u64 at;

		if (!(area->what.flags & AREA_WRITE))
			continue;
		at = ub_differ(keep + area->kept, here, area->what.size);
		if (at == area->what.size)
			continue;
		failure->memory = area->what.address + at;
		ub_copy(&failure->memory_translated, keep + area->kept + at, 8);
		ub_copy(&failure->memory_native, here + at, 8);
		return 1;
	}
	return 0;
}
