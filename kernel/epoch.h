/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The period after which all sites are unparked.  At its end, idle processes are determined
 * and other users of the hooked handlers are detected.
 */
#ifndef _UB_EPOCH_H
#define _UB_EPOCH_H

void ub_epoch_start(void);
void ub_epoch_exit(void);

#endif /* _UB_EPOCH_H */
