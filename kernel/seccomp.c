// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seccomp filters at each dispatch.
 *
 * The entry code calls __secure_computing(), which runs the filters and then acts on what
 * they say: it sends signals, stops for a tracer, waits for a supervisor, ends the thread.
 * All of these show registers, which are not all in pt_regs at a dispatch, or do not come
 * back.  So here the filters only say: what is not plainly allowed leaves the region at
 * its syscall instruction, and the entry code asks them again and acts, once.  Asking twice
 * changes nothing, for a filter is a classic BPF program, which has no memory beyond one
 * run and sees nothing but seccomp_data.
 *
 * What is done in between is what seccomp_run_filters() does, which is inlined: a look at
 * the bitmap of calls that are allowed whatever their arguments ("seccomp/cache: Lookup
 * syscall allowlist bitmap for fast path", 5.11), else all programs of the chain, each run
 * by the kernel's own bpf_prog_run().  Where struct seccomp_filter, which is private, has
 * them is what the kernel says of itself in its BTF; if it does not, or says anything
 * unexpected, tasks with a filter stay native.
 */
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/thread_info.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

#include "compat.h"
#include "emit.h"
#include "internal.h"

#if IS_ENABLED(CONFIG_SECCOMP_FILTER) && IS_ENABLED(CONFIG_DEBUG_INFO_BTF) && \
	IS_ENABLED(CONFIG_BPF_SYSCALL)

/* Where struct seccomp_filter has what is needed, in bytes. */
static struct {
	u32 prev;		/* struct seccomp_filter * */
	u32 prog;		/* struct bpf_prog * */
	u32 allowed;		/* bitmap by number of the call */
	u32 calls;		/* bits there; 0: there is none */
} ub_layout;
static bool ub_layout_known;

/* ---- what the kernel says of itself ---------------------------------------- */

struct ub_btf {
	struct btf *vmlinux;
	typeof(&btf_find_by_name_kind) find;
	typeof(&btf_name_by_offset) name;
};

static const struct btf_type *ub_btf_struct(const struct ub_btf *btf, const char *name)
{
	s32 id = btf->find(btf->vmlinux, name, BTF_KIND_STRUCT);

	return id > 0 ? btf_type_by_id(btf->vmlinux, id) : NULL;
}

/* The member of that name, its place in bytes and its type; NULL: there is none. */
static const struct btf_type *ub_btf_member(const struct ub_btf *btf,
					    const struct btf_type *in,
					    const char *name, u32 *offset)
{
	const struct btf_member *member = btf_type_member(in);
	u32 i;

	for (i = 0; i < btf_type_vlen(in); i++, member++) {
		const char *found = btf->name(btf->vmlinux, member->name_off);
		u32 bit = __btf_member_bit_offset(in, member);

		if (!found || strcmp(found, name))
			continue;
		if (bit % 8 || bit / 8 >= in->size)
			return NULL;
		*offset = bit / 8;
		return btf_type_by_id(btf->vmlinux, member->type);
	}
	return NULL;
}

/* Is it a pointer to a struct of that name? */
static bool ub_btf_points_to(const struct ub_btf *btf, const struct btf_type *type,
			     const char *name)
{
	const char *found;

	if (!type || BTF_INFO_KIND(type->info) != BTF_KIND_PTR)
		return false;
	type = btf_type_by_id(btf->vmlinux, type->type);
	if (!type || BTF_INFO_KIND(type->info) != BTF_KIND_STRUCT)
		return false;
	found = btf->name(btf->vmlinux, type->name_off);
	return found && !strcmp(found, name);
}

/* The bitmap of calls that are allowed in any case; without it all filters run. */
static void ub_find_bitmap(const struct ub_btf *btf, const struct btf_type *filter)
{
	const struct btf_type *cache, *bits, *word;
	u32 outer, inner, bytes;

	cache = ub_btf_member(btf, filter, "cache", &outer);
	if (!cache || BTF_INFO_KIND(cache->info) != BTF_KIND_STRUCT)
		return;
	bits = ub_btf_member(btf, cache, "allow_native", &inner);
	if (!bits || BTF_INFO_KIND(bits->info) != BTF_KIND_ARRAY)
		return;
	word = btf_type_by_id(btf->vmlinux, btf_array(bits)->type);
	if (!word || BTF_INFO_KIND(word->info) != BTF_KIND_INT ||
	    word->size != sizeof(unsigned long))
		return;
	bytes = btf_array(bits)->nelems * word->size;
	if (bytes > UB_CALLS / 8 || inner + bytes > cache->size ||
	    outer + cache->size > filter->size)
		return;
	ub_layout.allowed = outer + inner;
	ub_layout.calls = bytes * 8;
}

static bool ub_find_layout(const struct ub_btf *btf)
{
	const struct btf_type *seccomp = ub_btf_struct(btf, "seccomp");
	const struct btf_type *filter = ub_btf_struct(btf, "seccomp_filter");
	const struct btf_type *prev, *prog;
	u32 offset;

	if (!seccomp || !filter ||
	    !ub_btf_points_to(btf, ub_btf_member(btf, seccomp, "filter", &offset),
			      "seccomp_filter") ||
	    offset != offsetof(struct seccomp, filter))
		return false;
	prev = ub_btf_member(btf, filter, "prev", &ub_layout.prev);
	prog = ub_btf_member(btf, filter, "prog", &ub_layout.prog);
	if (!ub_btf_points_to(btf, prev, "seccomp_filter") ||
	    !ub_btf_points_to(btf, prog, "bpf_prog"))
		return false;
	ub_find_bitmap(btf, filter);
	return true;
}

/* Before the first region is loaded; may sleep. */
void ub_seccomp_init(void)
{
	typeof(&bpf_get_btf_vmlinux) get = (void *)ub_lookup("bpf_get_btf_vmlinux");
	struct ub_btf btf = {
		.find = (void *)ub_lookup("btf_find_by_name_kind"),
		.name = (void *)ub_lookup("btf_name_by_offset"),
	};

	if (get && btf.find && btf.name)
		btf.vmlinux = get();
	if (!IS_ERR_OR_NULL(btf.vmlinux))
		ub_layout_known = ub_find_layout(&btf);
	if (!ub_layout_known)
		pr_info("ub: this kernel does not say where seccomp has its filters: programs with one stay native\n");
}

/* ---- at each dispatch ------------------------------------------------------ */

bool ub_seccomp_usable(void)
{
	return ub_layout_known;
}

/*
 * Can dispatches do all of .work, which is not 0, of a task?  One that is in strict mode,
 * or is about to die of its filter, stays native.
 */
bool ub_seccomp_serves(const struct task_struct *task, unsigned long work)
{
	return work == SYSCALL_WORK_SECCOMP && ub_layout_known &&
	       READ_ONCE(task->seccomp.mode) == SECCOMP_MODE_FILTER;
}

/* User-chosen branches ran at CPL 0, and the programs are reached by indirect ones. */
static __always_inline void ub_clear_foreign(void)
{
	if (ub_clears_history())
		ub_clear_history();
}

/* All filters of current plainly allow the call.  With preemption off. */
static bool ub_filters_allow(const struct pt_regs *regs, u64 user_ip, u32 nr)
{
	const u8 *filter = (const u8 *)READ_ONCE(current->seccomp.filter);
	const struct seccomp_data data = {
		.nr = nr,
		.arch = AUDIT_ARCH_X86_64,
		.instruction_pointer = user_ip,
		.args = {
			regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9,
		},
	};

	ub_clear_foreign();
	/* Nothing ranks above SECCOMP_RET_ALLOW: any other word decides. */
	for (; filter; filter = *(const u8 *const *)(filter + ub_layout.prev)) {
		const struct bpf_prog *prog;

		prog = *(const struct bpf_prog *const *)(filter + ub_layout.prog);
		if ((bpf_prog_run(prog, &data) & SECCOMP_RET_ACTION_FULL) !=
		    SECCOMP_RET_ALLOW)
			return false;
	}
	return true;
}

/* For whoever asks why such a call is not dispatched.  With preemption off. */
static void ub_count_filtered(void)
{
	struct ub_proc *proc = ub_proc_of_mm(current->mm);

	if (proc)
		this_cpu_inc(proc->cpu->filtered);
}

/*
 * Do all filters of current plainly allow the call?  From generated code, with preemption
 * off; the argument registers are in .regs.  The chain is current's own to the end of the
 * call: another thread may put more filters before it, but takes none away.
 */
bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr)
{
	if (ub_filters_allow(regs, user_ip, nr))
		return true;
	ub_count_filtered();
	return false;
}

/* Do what a dispatch of the call that .regs are about to make does; for its time. */
void ub_seccomp_rehearse(const struct pt_regs *regs)
{
	const u8 *filter = (const u8 *)READ_ONCE(current->seccomp.filter);
	u64 nr = regs->ax;

	if (!filter)
		return;
	if (nr < ub_layout.calls) {
		u64 bit = array_index_nospec(nr, ub_layout.calls);

		if (filter[ub_layout.allowed + bit / 8] & BIT(bit % 8))
			return;
	}
	ub_filters_allow(regs, regs->ip, nr);
}

/*
 * Where a dispatch goes whose task has syscall_work.  r11 is current, and free; the host's
 * flags are.  All other registers stay as they are, on the way back as on that to the exit.
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
	/* In strict mode there is no filter. */
	EMIT(e, 0x4d, 0x8b, 0x9b);		/* mov r11, [r11 + seccomp.filter] */
	emit32(e, offsetof(struct task_struct, seccomp.filter));
	EMIT(e, 0x4d, 0x85, 0xdb);		/* test r11, r11 */
	EMIT(e, 0x0f, 0x84);			/* jz pre */
	emit_rel(e, (unsigned long)site->pre, 0);
	if (site->nr < ub_layout.calls) {
		EMIT(e, 0x41, 0xf6, 0x83);	/* test byte [r11 + allowed + nr / 8], 1 << nr % 8 */
		emit32(e, ub_layout.allowed + site->nr / 8);
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

/* Bytes behind the code of a region for each dispatch, at most. */
u32 ub_seccomp_size(void)
{
	struct ub_dispatch_site site = {};
	u8 image[128];
	struct ub_emit e = { .at = image };

	if (!ub_layout_known)
		return 0;
	emit_filtered(&e, &site, 0, NULL);
	return e.at - image;
}

/* .image is of what runs at site->filtered; it goes on at .back, or at site->pre. */
void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back)
{
	struct ub_emit e = {
		.at = image,
		.delta = (long)site->filtered - (long)image,
	};

	emit_filtered(&e, site, user_ip, back);
}

#else /* such a kernel does not say where it has its filters, or has none */

void ub_seccomp_init(void)
{
}

bool ub_seccomp_usable(void)
{
	return false;
}

bool ub_seccomp_serves(const struct task_struct *task, unsigned long work)
{
	return false;
}

bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr)
{
	return false;
}

void ub_seccomp_rehearse(const struct pt_regs *regs)
{
}

u32 ub_seccomp_size(void)
{
	return 0;
}

void ub_seccomp_emit(const struct ub_dispatch_site *site, u64 user_ip, u8 *image,
		     u8 *back)
{
}

#endif
