/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/ub. */
#ifndef _UB_DEVICE_H
#define _UB_DEVICE_H

int ub_device_init(void);
void ub_device_exit(void);

#endif /* _UB_DEVICE_H */
