/* SPDX-License-Identifier: GPL-2.0-only */
/* What x87.c takes from the kernel, for x87_user.c. */
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint64_t u64;

#define noinline_for_stack	__attribute__((noinline))
#define PTR_ALIGN(p, a)		((void *)(((uintptr_t)(p) + (a) - 1) & ~(uintptr_t)((a) - 1)))
#define X86_VENDOR_INTEL	0
#define X86_FEATURE_FXSR	0
#define X86_BUG_FXSAVE_LEAK	0
#define TIF_NEED_FPU_LOAD	0

static struct { int x86_vendor; } boot_cpu_data;

static inline bool boot_cpu_has(int feature) { return !feature; }
static inline bool boot_cpu_has_bug(int bug) { return bug; }
static inline bool test_thread_flag(int flag) { return flag; }
static inline void ub_load_fpu(void) { }
