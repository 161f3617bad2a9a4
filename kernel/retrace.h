/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often the gap of a site is traced again.
 *
 * An entry is traced again and again while its region is young, for paths that the region
 * lacks.  Each new region is young, and most traces show a path that is known: the more of
 * them in a row do, the more opportunities pass until the next trace.  So the time that traces
 * may take is left for the other sites.
 *
 * Racy, as is all site data: a trace more or less does no harm.
 */
#ifndef _UB_RETRACE_H
#define _UB_RETRACE_H

#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define UB_PATHS_KNOWN	4	/* of a site; the oldest is forgotten for a new one */
#define UB_KNOWN_BITS	2	/* each known path in a row: four times as many pass */
#define UB_KNOWN_MAX	2

struct ub_retrace {
	u32 known[UB_PATHS_KNOWN];	/* hashes of paths, or 0 */
	u8 next;			/* to be forgotten */
	u8 in_a_row;			/* traces of known paths */
	u8 passes;			/* opportunities until the next trace */
};

#define UB_PATH_HASH_FIRST	0x9e3779b97f4a7c15ULL

/* The hash of a path that goes on at .ip; .hash: of the path so far. */
static inline u64 ub_path_hash(u64 hash, u64 ip)
{
	return (hash ^ ip) * 0xff51afd7ed558ccdULL;
}

/* There is an opportunity.  True if the gap is to be traced. */
static inline bool ub_retrace_is_due(struct ub_retrace *retrace)
{
	u8 passes = READ_ONCE(retrace->passes);

	if (!passes)
		return true;
	WRITE_ONCE(retrace->passes, passes - 1);
	return false;
}

/* A trace has shown a path. */
static inline void ub_retrace_add(struct ub_retrace *retrace, u64 path_hash)
{
	u8 next = READ_ONCE(retrace->next) % UB_PATHS_KNOWN;
	u8 in_a_row = READ_ONCE(retrace->in_a_row);
	u32 hash = (u32)(path_hash >> 32) ?: 1;
	bool known = false;
	int i;

	for (i = 0; i < UB_PATHS_KNOWN; i++)
		known |= READ_ONCE(retrace->known[i]) == hash;
	if (known) {
		in_a_row = min(in_a_row + 1, UB_KNOWN_MAX);
	} else {
		WRITE_ONCE(retrace->known[next], hash);
		WRITE_ONCE(retrace->next, next + 1);
		in_a_row = 0;
	}
	WRITE_ONCE(retrace->in_a_row, in_a_row);
	WRITE_ONCE(retrace->passes, (1U << UB_KNOWN_BITS * in_a_row) - 1);
}

#endif /* _UB_RETRACE_H */
