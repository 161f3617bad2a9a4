/* SPDX-License-Identifier: GPL-2.0-only */
/* The entry point of hooked handlers. */
#ifndef _UB_TRAMPOLINE_H
#define _UB_TRAMPOLINE_H

void ub_trampoline(void);

#endif /* _UB_TRAMPOLINE_H */
