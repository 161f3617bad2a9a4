// SPDX-License-Identifier: GPL-2.0-only
/*
 * The allow-listed system-call handlers.
 *
 * hook.c keeps the table up to date; dispatch code is emitted from it.
 */
#include <linux/atomic.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/text-patching.h>

#include "handler.h"
#include "landing.h"
#include "lookup.h"
#include "ub.h"

#define UB_SYSCALL(_nr, _name, _args) \
	{ .name = "__x64_sys_" #_name, .nr = _nr, .args = _args },
struct ub_handler ub_handlers[UB_HANDLERS] = {
#include "ub_syscalls.h"
};
#undef UB_SYSCALL

/* Address of the body of each handler that has no other user; else 0. */
unsigned long ub_bodies[UB_CALLS];
/* The addresses by which they may be called, whether or not regions may do that. */
unsigned long ub_body_landings[UB_CALLS];
/* Counts the changes of ub_bodies. */
static atomic_t ub_handler_changes = ATOMIC_INIT(0);

static struct ub_handler *ub_by_nr[UB_CALLS];

/*
 * The target of the call or jump in the 5 bytes at the start of a handler, or 0 if there is
 * none.  A jump ("ftrace: Introduce FTRACE_OPS_FL_JMP", 6.19) is never the module's own.
 */
static unsigned long ub_call_at(unsigned long address)
{
	const u8 *at = (const u8 *)address;
	s32 rel;

	if (*at != CALL_INSN_OPCODE && *at != JMP32_INSN_OPCODE)
		return 0;
	memcpy(&rel, at + 1, sizeof(rel));
	return address + UB_CALL_SIZE + rel;
}

static bool ub_is_nop(unsigned long address)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	return !memcmp((const void *)address, nop, sizeof(nop));
}

/* The target of the call or jump at the start of a handler, or 0 if there is none. */
unsigned long ub_handler_calls(const struct ub_handler *h)
{
	return ub_call_at(h->fentry);
}

/* True if the handler has no ftrace user at present. */
bool ub_handler_is_unused(const struct ub_handler *h)
{
	return ub_is_nop(h->fentry);
}

void ub_handler_init(void)
{
	unsigned int i;

	BUILD_BUG_ON(UB_HANDLERS + UB_LOOKUPS > UB_LANDINGS);
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++) {
		struct ub_handler *h = &ub_handlers[i];
		unsigned long address = ub_lookup(h->name), landing;

		/* Calls stay native if their handler is not found. */
		if (!address) {
			pr_info("ub: this kernel has no %s: its calls stay native\n", h->name);
			continue;
		}
		/* With an ftrace user already, the nop is a call or a jump. */
		if (!ub_is_nop(address) && !ub_call_at(address)) {
			pr_info("ub: ftrace cannot trace %s: its calls stay native\n", h->name);
			continue;
		}
		landing = ub_landing(address + UB_CALL_SIZE);
		if (!landing) {
			pr_err("ub: no memory to call %s: its calls stay native\n", h->name);
			continue;
		}
		h->fentry = address;
		ub_body_landings[h->nr] = landing;
		ub_by_nr[h->nr] = h;
	}
}

/*
 * The handler past its ftrace prologue, or 0 if regions must not call it: it has other
 * users, or nr is not on the list.  The caller reads ub_handler_version() before this, and
 * again once its region can be found and killed, and compares the two.
 */
unsigned long ub_handler_body(u32 nr)
{
	return nr < UB_CALLS ? READ_ONCE(ub_bodies[nr]) : 0;
}

int ub_handler_version(void)
{
	return atomic_read_acquire(&ub_handler_changes);
}

/* The set of handlers that regions may call has changed. */
void ub_handler_changed(void)
{
	atomic_inc(&ub_handler_changes);
	/* Pairs with the lock under which a region is listed. */
	smp_mb__after_atomic();
}

u8 ub_handler_args(u32 nr)
{
	return nr < UB_CALLS && ub_by_nr[nr] ? ub_by_nr[nr]->args : UB_SYSCALL_NONE;
}
