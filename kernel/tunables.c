// SPDX-License-Identifier: GPL-2.0-only
/* The tunables with their defaults and bounds. */
#include <linux/kconfig.h>

#include "tunables.h"

/* Real-time tasks must not wait for a segment: see docs/limits.md. */
#define UB_BUDGET	(IS_ENABLED(CONFIG_PREEMPT_RT) ? 512 : 262144)

struct ub_tunable_range ub_tunables[UB_TUNABLES] = {
	[UB_TUNE_GAP_NS]	= { 4000, 100, 1000000000 },
	[UB_TUNE_HOT_CALLS]	= { 200, 1, 1000000 },
	[UB_TUNE_WINDOW_MS]	= { 100, 1, 10000 },
	[UB_TUNE_BUDGET]	= { UB_BUDGET, 64, UB_BUDGET_MAX },
	[UB_TUNE_MISS_EVENTS]	= { 16, 0, 1000000 },
	[UB_TUNE_REARM_MS]	= { 1000, 10, 3600000 },
	[UB_TUNE_SAMPLE_BITS]	= { 8, 4, 20 },
	[UB_TUNE_IDLE_RUNS]	= { 128, 1, 1000000000 },
	[UB_TUNE_PATH_STEPS]	= { 2048, 0, UB_PATH_MAX },
	[UB_TUNE_GRACE_MS]	= { 300, 0, 3600000 },
	[UB_TUNE_SHARE_BITS]	= { 8, 0, 20 },
	[UB_TUNE_REST_BITS]	= { 14, 0, 20 },
};
