// SPDX-License-Identifier: GPL-2.0-only
/* Landings for functions that the module calls by their address. */
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "arena.h"
#include "landing.h"

static u32 ub_landings_used;		/* bytes */

/*
 * The address by which the code at .target may be called, for good; 0 if there is none,
 * as there is for 0.  While the module is loaded: there is no lock.
 *
 * .target itself is no place for that: it is behind the endbr64 of its function, or the
 * kernel has overwritten this one, because it has no such calls itself ("x86/alternative:
 * Use .ibt_endbr_seal to seal indirect calls", 5.18).
 */
unsigned long ub_landing(unsigned long target)
{
	u8 image[UB_LANDING_SIZE], *code = ub_landings + ub_landings_used;
	struct ub_emit e = { .at = image };

	if (!target || !ub_tracks_branches())
		return target;
	/* objtool looks for an endbr64 at addresses that are used, for example of the end. */
	OPTIMIZER_HIDE_VAR(code);
	e.delta = (long)code - (long)image;
	if (WARN_ON_ONCE(ub_landings_used + sizeof(image) > UB_LANDINGS_SIZE))
		return 0;
	emit_landing(&e, target);
	if (ub_arena_write(code, image, sizeof(image)))
		return 0;
	ub_landings_used += sizeof(image);
	return (unsigned long)code;
}

/*
 * Whether indirect branches could go somewhere in .image.  Not only to an instruction:
 * inside of another one, and in a constant, they find the same bytes.
 */
bool ub_has_endbr64(const u8 *image, size_t size)
{
	u32 endbr = ub_endbr64(), found;
	size_t i;

	for (i = 0; i + sizeof(found) <= size; i++) {
		memcpy(&found, image + i, sizeof(found));
		if (found == endbr)
			return true;
	}
	return false;
}
