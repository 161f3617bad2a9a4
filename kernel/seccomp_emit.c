// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emits the code behind a region that runs the seccomp filters for a dispatch.
 *
 * A dispatch jumps there if its task has any syscall_work; the code jumps back if all
 * filters plainly allow the call.
 */
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/thread_info.h>

#include "dispatch.h"
#include "emit.h"
#include "filtered.h"
#include "seccomp.h"
#include "seccomp_emit.h"

#ifdef CONFIG_SECCOMP_FILTER

/*
 * Target of a dispatch whose task has syscall_work.  In: r11 is current.  Clobbers r11 and
 * the host's flags.  All other registers are preserved, for the dispatch and for the exit.
 */
static void emit_filtered(struct ub_emit *e, const struct ub_dispatch_site *site,
			  u64 user_ip, u8 *back)
{
	BUILD_BUG_ON(SYSCALL_WORK_SECCOMP != 1);
	EMIT(e, 0x49, 0x83, 0x7b);		/* cmp qword [r11 + syscall_work], SECCOMP */
	*e->at++ = offsetof(struct task_struct, thread_info.syscall_work);
	*e->at++ = SYSCALL_WORK_SECCOMP;
	EMIT(e, 0x0f, 0x85);			/* jne pre */
	emit_rel(e, (unsigned long)site->pre, 0);
	/* There is no filter in strict mode. */
	EMIT(e, 0x4d, 0x8b, 0x9b);		/* mov r11, [r11 + seccomp.filter] */
	emit32(e, offsetof(struct task_struct, seccomp.filter));
	EMIT(e, 0x4d, 0x85, 0xdb);		/* test r11, r11 */
	EMIT(e, 0x0f, 0x84);			/* jz pre */
	emit_rel(e, (unsigned long)site->pre, 0);
	if (site->nr < ub_seccomp_layout.calls) {
		EMIT(e, 0x41, 0xf6, 0x83);	/* test byte [r11 + allowed + nr / 8], 1 << nr % 8 */
		emit32(e, ub_seccomp_layout.allowed + site->nr / 8);
		*e->at++ = 1 << site->nr % 8;
		EMIT(e, 0x0f, 0x85);		/* jnz back */
		emit_rel(e, (unsigned long)back, 0);
	}
	EMIT(e, 0x49, 0xbb);			/* mov r11, user_ip */
	emit64(e, user_ip);
	EMIT(e, 0x68);				/* push nr */
	emit32(e, site->nr);
	EMIT(e, 0xe8);				/* call ub_filtered */
	emit_rel(e, (unsigned long)ub_filtered, 0);
	EMIT(e, 0x48, 0x83, 0xc4, 0x08);	/* add rsp, 8 */
	EMIT(e, 0x45, 0x85, 0xdb);		/* test r11d, r11d */
	EMIT(e, 0x0f, 0x85);			/* jnz back */
	emit_rel(e, (unsigned long)back, 0);
	EMIT(e, 0xe9);				/* jmp pre */
	emit_rel(e, (unsigned long)site->pre, 0);
}

/* Upper bound of the bytes for each dispatch behind the code of a region. */
u32 ub_seccomp_size(void)
{
	struct ub_dispatch_site site = {};
	u8 image[128];
	struct ub_emit e = { .at = image };

	if (!ub_seccomp_usable())
		return 0;
	emit_filtered(&e, &site, 0, NULL);
	return e.at - image;
}

/* .image holds the code for site->filtered, which continues at .back or site->pre. */
void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back)
{
	struct ub_emit e = {
		.at = image,
		.delta = (long)site->filtered - (long)image,
	};

	emit_filtered(&e, site, user_ip, back);
}

#else /* there are no filters */

u32 ub_seccomp_size(void)
{
	return 0;
}

void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back)
{
}

#endif
