/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The allow-listed system-call handlers: the address, whether there are other users, and the
 * number of arguments.  hook.c keeps this up to date.
 */
#ifndef _UB_HANDLER_H
#define _UB_HANDLER_H

#include <linux/types.h>

#define UB_CALLS		512	/* power of two; bound on call numbers */
#define UB_CALL_SIZE		5	/* bytes of the call that ftrace patches in */

struct ub_handler {
	const char *name;
	u32 nr;
	u8 args;
	unsigned long fentry;	/* address that ftrace patches; 0: not found */
	unsigned long user;	/* target of the call of another user, or 0 */
};

#define UB_SYSCALL(_nr, _name, _args) UB_HANDLER_##_name,
enum {
#include "ub_syscalls.h"
	UB_HANDLERS
};
#undef UB_SYSCALL

extern struct ub_handler ub_handlers[UB_HANDLERS];
extern unsigned long ub_bodies[UB_CALLS];
extern unsigned long ub_body_landings[UB_CALLS];

void ub_handler_init(void);
unsigned long ub_handler_body(u32 nr);
u8 ub_handler_args(u32 nr);
int ub_handler_version(void);
void ub_handler_changed(void);
unsigned long ub_handler_calls(const struct ub_handler *h);
bool ub_handler_is_unused(const struct ub_handler *h);

#endif /* _UB_HANDLER_H */
