/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the module supports this kernel on this processor with its boot options. */
#ifndef _UB_CHECK_H
#define _UB_CHECK_H

int ub_check(void);

#endif /* _UB_CHECK_H */
