/* SPDX-License-Identifier: GPL-2.0-only */
/* Called by generated code to run the seccomp filters. */
#ifndef _UB_FILTERED_H
#define _UB_FILTERED_H

void ub_filtered(void);		/* called by generated code only */

#endif /* _UB_FILTERED_H */
