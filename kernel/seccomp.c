// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seccomp filters at each dispatch.
 *
 * The entry code calls __secure_computing(), which runs the filters and then acts on the
 * result: it sends signals, stops for a tracer, waits for a supervisor, ends the thread.
 * Each of these actions shows registers, which are not all in pt_regs at a dispatch, or does
 * not return.  So the filters only decide here: a call that is not plainly allowed exits the
 * region at its syscall instruction, and the entry code runs the filters again and acts,
 * once.  Two runs give the same result: a filter is a classic BPF program, which has no
 * state beyond one run and reads only seccomp_data.
 *
 * The code here does the work of seccomp_run_filters(), which is inlined in the kernel: it
 * tests the bitmap of calls that are allowed whatever their arguments ("seccomp/cache:
 * Lookup syscall allowlist bitmap for fast path", 5.11); otherwise it runs all programs of the
 * chain with the kernel's own bpf_prog_run().  struct seccomp_filter is private; its member
 * offsets come from the kernel's BTF.  Without BTF, or with an unexpected layout, tasks with
 * a filter stay native.
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
#include "clear.h"
#include "handler.h"
#include "lookup.h"
#include "proc.h"
#include "seccomp.h"

struct ub_seccomp_layout ub_seccomp_layout;
bool ub_seccomp_known;

#if IS_ENABLED(CONFIG_SECCOMP_FILTER) && IS_ENABLED(CONFIG_DEBUG_INFO_BTF) && \
	IS_ENABLED(CONFIG_BPF_SYSCALL)

/* ---- the layout, from BTF --------------------------------------------------- */

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

/* The type of the named member, and its offset in bytes; NULL if there is none. */
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

/* True if .type is a pointer to a struct of that name. */
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

/* Find the bitmap of calls that are always allowed; without it all filters run. */
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
	ub_seccomp_layout.allowed = outer + inner;
	ub_seccomp_layout.calls = bytes * 8;
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
	prev = ub_btf_member(btf, filter, "prev", &ub_seccomp_layout.prev);
	prog = ub_btf_member(btf, filter, "prog", &ub_seccomp_layout.prog);
	if (!ub_btf_points_to(btf, prev, "seccomp_filter") ||
	    !ub_btf_points_to(btf, prog, "bpf_prog"))
		return false;
	ub_find_bitmap(btf, filter);
	return true;
}

/* Called before the first region is loaded; may sleep. */
void ub_seccomp_init(void)
{
	typeof(&bpf_get_btf_vmlinux) get = ub_lookup_function("bpf_get_btf_vmlinux");
	struct ub_btf btf = {
		.find = ub_lookup_function("btf_find_by_name_kind"),
		.name = ub_lookup_function("btf_name_by_offset"),
	};

	if (get && btf.find && btf.name)
		btf.vmlinux = get();
	if (!IS_ERR_OR_NULL(btf.vmlinux))
		ub_seccomp_known = ub_find_layout(&btf);
	if (!ub_seccomp_known)
		pr_info("ub: no type information about seccomp filters: programs with one stay native\n");
}

/* ---- at each dispatch ------------------------------------------------------ */

/* User-chosen branches ran at CPL 0; filters are called by indirect branches. */
static __always_inline void ub_clear_foreign(void)
{
	if (ub_clears_history())
		ub_clear_history();
}

/* True if all filters of current plainly allow the call.  With preemption off. */
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
	/* SECCOMP_RET_ALLOW has the lowest precedence: any other result decides. */
	for (; filter; filter = *(const u8 *const *)(filter + ub_seccomp_layout.prev)) {
		const struct bpf_prog *prog;

		prog = *(const struct bpf_prog *const *)(filter + ub_seccomp_layout.prog);
		if ((bpf_prog_run(prog, &data) & SECCOMP_RET_ACTION_FULL) !=
		    SECCOMP_RET_ALLOW)
			return false;
	}
	return true;
}

/* Count a call that a filter did not allow, for statistics.  With preemption off. */
static void ub_count_filtered(void)
{
	struct ub_proc *proc = ub_proc_of_mm(current->mm);

	if (proc)
		this_cpu_inc(proc->cpu->filtered);
}

/*
 * True if all filters of current plainly allow the call.  Called from generated code with
 * preemption off; the argument registers are in .regs.  The chain is stable during the
 * call: another thread may prepend filters, but removes none.
 */
bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr)
{
	if (ub_filters_allow(regs, user_ip, nr))
		return true;
	ub_count_filtered();
	return false;
}

/* Run the filters as a dispatch of the call in .regs does, to measure the time. */
void ub_seccomp_rehearse(const struct pt_regs *regs)
{
	const u8 *filter = (const u8 *)READ_ONCE(current->seccomp.filter);
	u64 nr = regs->ax;

	if (!filter)
		return;
	if (nr < ub_seccomp_layout.calls) {
		u64 bit = array_index_nospec(nr, ub_seccomp_layout.calls);

		if (filter[ub_seccomp_layout.allowed + bit / 8] & BIT(bit % 8))
			return;
	}
	ub_filters_allow(regs, regs->ip, nr);
}

#else /* no BTF, or no filters in this kernel */

void ub_seccomp_init(void)
{
}

bool ub_seccomp_allows(const struct pt_regs *regs, u64 user_ip, u32 nr)
{
	return false;
}

void ub_seccomp_rehearse(const struct pt_regs *regs)
{
}

#endif
