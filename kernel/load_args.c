// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arguments of a load.
 *
 * All arguments are copied before the first is checked: user space cannot change them in
 * between.
 */
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "backoff.h"
#include "dispatch.h"
#include "handler.h"
#include "landing.h"
#include "load_args.h"
#include "region.h"
#include "seccomp_emit.h"
#include "x87.h"

void ub_load_args_free(struct ub_load_args *args)
{
	kvfree(args->image);
	kvfree(args->bytes);
	kvfree(args->jumps);
	kvfree(args->dispatches);
}

static int ub_copy_array(void *to, u64 from, u32 n, size_t size)
{
	void *copy;

	if (!n) {
		*(void **)to = NULL;
		return 0;
	}
	copy = vmemdup_user(u64_to_user_ptr(from), array_size(n, size));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	*(void **)to = copy;
	return 0;
}

/* Room for the filter code of its dispatches and landings of its entries follows the code. */
static int ub_copy_code(struct ub_region *region, struct ub_load_args *args,
			const struct ub_load *load)
{
	region->room = load->code_length;
	if (load->nr_dispatches)
		region->room += load->nr_dispatches * ub_seccomp_size();
	region->room += load->nr_entries * ub_landing_size();
	args->image = kvmalloc(region->room, GFP_KERNEL);
	if (!args->image)
		return -ENOMEM;
	memset(args->image, 0xcc, region->room);
	return copy_from_user(args->image, u64_to_user_ptr(load->code),
			      load->code_length) ? -EFAULT : 0;
}

int ub_load_args_copy(struct ub_region *region, struct ub_load_args *args,
		      const struct ub_load *load)
{
	int err;

	if (load->flags & ~UB_LOADF_ALL || !load->code_length ||
	    load->code_length > UB_MAX_CODE || !load->nr_entries ||
	    load->nr_entries > UB_MAX_ENTRIES || !load->nr_exits ||
	    load->nr_exits > UB_MAX_EXITS || load->nr_faults > UB_MAX_FAULTS ||
	    load->nr_dispatches > UB_MAX_DISPATCHES || !load->nr_jumps ||
	    load->nr_jumps > UB_MAX_EXITS || !load->nr_sources ||
	    load->nr_sources > UB_MAX_SOURCES || !load->bytes_length ||
	    load->bytes_length > UB_MAX_SOURCE_BYTES)
		return -EINVAL;
	if (load->flags & UB_LOADF_X87 &&
	    (!(load->flags & UB_LOADF_VECTOR) || !ub_x87_usable()))
		return -EINVAL;

	region->vector = load->flags & UB_LOADF_VECTOR;
	region->x87 = load->flags & UB_LOADF_X87;
	region->trusted = load->flags & UB_LOADF_TRUSTED;
	region->code_length = load->code_length;
	region->nr_entries = load->nr_entries;
	region->nr_exits = load->nr_exits;
	region->nr_faults = load->nr_faults;
	region->nr_sources = load->nr_sources;

	err = ub_copy_code(region, args, load);
	err = err ?: ub_copy_array(&args->bytes, load->bytes, load->bytes_length, 1);
	err = err ?: ub_copy_array(&args->jumps, load->jumps, load->nr_jumps,
				   sizeof(*args->jumps));
	err = err ?: ub_copy_array(&args->dispatches, load->dispatches,
				   load->nr_dispatches, sizeof(*args->dispatches));
	err = err ?: ub_copy_array(&region->entries, load->entries, load->nr_entries,
				   sizeof(*region->entries));
	err = err ?: ub_copy_array(&region->exits, load->exits, load->nr_exits,
				   sizeof(*region->exits));
	err = err ?: ub_copy_array(&region->faults, load->faults, load->nr_faults,
				   sizeof(*region->faults));
	err = err ?: ub_copy_array(&region->sources, load->sources, load->nr_sources,
				   sizeof(*region->sources));
	if (err)
		return err;
	region->counts = kvcalloc(region->nr_exits, sizeof(*region->counts),
				  GFP_KERNEL);
	region->followed = kvcalloc(BITS_TO_LONGS(region->nr_exits), sizeof(long),
				    GFP_KERNEL);
	region->backoff = kvcalloc(region->nr_entries, sizeof(*region->backoff), GFP_KERNEL);
	region->cpu = alloc_percpu(struct ub_region_cpu);
	return region->counts && region->followed && region->backoff && region->cpu ?
	       0 : -ENOMEM;
}

/* Two entries behind one call at one address: one of them would never be taken. */
static bool ub_entries_collide(const struct ub_region *region)
{
	u32 i, j;

	for (i = 0; i < region->nr_entries; i++)
		for (j = 0; j < i; j++)
			if (region->entries[i].user_ip == region->entries[j].user_ip &&
			    region->entries[i].nr == region->entries[j].nr)
				return true;
	return false;
}

int ub_load_args_check(const struct ub_region *region,
		       const struct ub_load_args *args, const struct ub_load *load)
{
	u32 length = region->code_length, size = ub_dispatch_size(region->vector);
	u64 bytes = 0;
	u32 i, j, end = 0;

	for (i = 0; i < region->nr_entries; i++)
		if (region->entries[i].code_offset >= length ||
		    ub_handler_args(region->entries[i].nr) == UB_SYSCALL_NONE ||
		    region->entries[i].user_ip >= TASK_SIZE_MAX)
			return -EINVAL;
	if (ub_entries_collide(region))
		return -EINVAL;
	for (i = 0; i < region->nr_exits; i++)
		if (!region->exits[i].reason ||
		    region->exits[i].reason >= UB_EXIT_REASONS ||
		    region->exits[i].user_ip >= TASK_SIZE_MAX ||
		    region->exits[i].cx >= TASK_SIZE_MAX ||
		    region->exits[i].flags & ~UB_EXITF_ALL)
			return -EINVAL;
	for (i = 0; i < region->nr_faults; i++)
		if (region->faults[i].code_offset >= length ||
		    region->faults[i].fixup_offset >= length ||
		    (i && region->faults[i].code_offset <=
		     region->faults[i - 1].code_offset))
			return -EINVAL;
	for (i = 0; i < load->nr_dispatches; i++) {
		const struct ub_dispatch *d = &args->dispatches[i];

		if (d->code_offset < end || d->code_offset >= length ||
		    length - d->code_offset < size || d->pre_offset >= length ||
		    d->post_offset >= length || d->user_ip >= TASK_SIZE_MAX ||
		    ub_handler_args(d->nr) == UB_SYSCALL_NONE)
			return -EINVAL;
		for (j = 0; j < size; j++)
			if (args->image[d->code_offset + j] != 0xcc)
				return -EINVAL;
		end = d->code_offset + size;
	}
	for (i = 0; i < load->nr_jumps; i++)
		if (length < 4 || args->jumps[i] > length - 4 ||
		    memchr_inv(args->image + args->jumps[i], 0, 4))
			return -EINVAL;
	for (i = 0; i < region->nr_sources; i++) {
		const struct ub_source *s = &region->sources[i];

		if (!s->length || s->length > load->bytes_length ||
		    s->start >= TASK_SIZE_MAX ||
		    s->length > TASK_SIZE_MAX - s->start)
			return -EINVAL;
		bytes += s->length;
	}
	return bytes == load->bytes_length ? 0 : -EINVAL;
}
