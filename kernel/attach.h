/* SPDX-License-Identifier: GPL-2.0-only */
/* Attaches processes, and detaches them. */
#ifndef _UB_ATTACH_H
#define _UB_ATTACH_H

#include "ub.h"

struct ub_client;
struct ub_proc;

int ub_proc_attach(struct ub_client *client, struct ub_attach *attach);
void ub_proc_detach(struct ub_proc *proc);

#endif /* _UB_ATTACH_H */
