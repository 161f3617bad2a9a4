/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs user code and its translation on this CPU from the same state.
 *
 * types.py mirrors the structures that Python fills. All of this library is compiled
 * without vector instructions: between the stubs in stubs.S the vector registers belong
 * to the code under test.
 */
#ifndef UB_RUNNER_H
#define UB_RUNNER_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define HIDDEN __attribute__((visibility("hidden")))
#define PUBLIC __attribute__((visibility("default")))

#define PAGE 4096UL
#define ARITHMETIC 0x8d5UL
#define FLAG_TF 0x100UL
#define FLAGS_USER 0x202UL

/* The frame of docs/abi.md. */
#define FRAME_EXIT 0x00
#define FRAME_BUDGET 0x04
#define FRAME_LIMIT 0x08
#define FRAME_FLAGS 0x10
#define FRAME_SYSFLAGS 0x18
#define FRAME_TARGET 0x20
#define FRAME_FSBASE 0x28
#define FRAME_FIP 0x48
#define FRAME_PRIVATE 0x50
#define FRAME_REGS 0x8c0
#define LIMIT 0x7ffffffff000UL

#define EXITF_SLOT_FLAGS 1
#define EXITF_SLOT_SYSFLAGS 2
#define EXITF_CX_SYS 4
#define EXITF_R11_SYS 8
#define EXITF_TARGET 16
#define REASON_FAULT 1
#define REASON_BUDGET 7
#define REASONS 16

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* stubs.S depends on the layout. */
struct ub_cpu {
	u64 gpr[16];
	u64 rip;
	u64 flags;
};

#define FPU_SIZE 4096
#define FPU_LEGACY 512
#define FPU_HEADER 64

/* Why ub_enter() returned; stubs.S has some of the values. */
enum ub_kind {
	KIND_LEFT = 1,	  /* translation: by its exit path */
	KIND_END = 2,	  /* original: ran into a planted end */
	KIND_BREAK = 3,	  /* original: at the planted int3 */
	KIND_STEP = 4,	  /* original: one instruction done */
	KIND_SYSCALL = 5, /* original: at a syscall */
	KIND_FAULT = 6,	  /* original: at a fault */
	KIND_CRASH = 7,	  /* translation: a fault without a fixup */
	KIND_TIMEOUT = 8,
};

enum ub_phase { PHASE_NONE, PHASE_NATIVE, PHASE_TRANSLATED };

/* The kind of a register's initial value, see state.c. */
enum ub_register { REG_ANY, REG_POINTER, REG_INDEX, REG_SMALL, REG_STACK, REG_NATURAL };

struct ub_register_kind {
	u32 kind;
	u32 reserved;
	u64 bias;
};

#define AREA_WRITE 1
#define AREA_EXEC 2

struct ub_area {
	u64 address;
	u64 size;
	u32 flags;
	u32 reserved;
	const u8 *content; /* NULL: random */
};

struct ub_exit {
	u64 ip;
	u64 cx;
	u32 reason;
	u32 flags;
	u32 live; /* eflags bits that must be right */
	u32 bases; /* mask of the base registers of the instruction there */
};

struct ub_fault {
	u32 at;
	u32 fixup;
};

struct ub_dispatch {
	u32 at;
	u32 nr;
	u32 pre;
	u32 post;
	u32 next;
	u32 reserved;
};

struct ub_entry {
	u64 ip;
	u64 offset;
};

struct ub_job {
	const struct ub_area *areas;
	const u8 *code;
	const struct ub_exit *exits;
	const struct ub_fault *faults;
	const struct ub_dispatch *dispatches;
	const u32 *jumps;
	const struct ub_entry *entries;
	const u64 *ends;  /* addresses where 14 bytes of text may be overwritten */
	const u64 *sites; /* user addresses of syscall instructions */
	const u8 *args;	  /* argument registers by call number, 0xff: none */
	u64 code_size;
	u32 area_count, exit_count, fault_count, dispatch_count;
	u32 jump_count, entry_count, end_count, site_count, args_count;
	u32 max_dispatches;
	u64 seed;
	u64 first, executions;
	u64 data, data_size; /* the target of pointers */
	u64 stack;	     /* approximate rsp */
	u64 fsbase;
	u64 ignore; /* mask of general registers that may differ */
	u32 budget; /* 0: random */
	u32 vectors_plain; /* 1: no unusual control words */
	u32 fred;	   /* 1: system calls leave rcx and r11 as they are */
	struct ub_register_kind registers[16];
};

#define WRONG_REGISTER 1
#define WRONG_FLAGS 2
#define WRONG_VECTOR 4
#define WRONG_MEMORY 8
#define WRONG_PATH 16
#define WRONG_CRASH 32
#define WRONG_FRAME 64
#define WRONG_TARGET 128
#define WRONG_NEEDLESS 256

struct ub_failure {
	u64 index;
	u32 wrong;
	u32 registers; /* bits */
	u32 vector;    /* first differing byte of the XSAVE area */
	u32 leave;     /* exit number */
	u64 memory;    /* first differing word */
	u64 memory_native, memory_translated;
	u64 target_native, target_translated;
	u64 entry;
	u64 stopped;   /* last address of the original, or offset of the crash */
	u64 dispatched;
	struct ub_cpu start, native, translated;
};

struct ub_result {
	u64 executions;
	u64 mismatches;
	u64 undecided; /* the search did not end in time */
	u64 faults;    /* exits through the fault table */
	u64 needless;  /* ... where the original does not fault, without an excuse */
	u64 careful;   /* exits for a fault without an access */
	u64 careless;  /* ... of either kind where the original does not fault */
	u64 reasons[REASONS];
	u64 inexact[REASONS]; /* of those, with other flags than the original */
	u64 exits[64]; /* by number, for the first 64 */
	struct ub_failure failure;
};

/* stubs.S */
extern struct ub_cpu ub_cpu HIDDEN;
extern u8 ub_fpu[FPU_SIZE] HIDDEN;
extern u32 ub_xmask HIDDEN, ub_kind HIDDEN, ub_end HIDDEN, ub_stepping HIDDEN;
void ub_enter(void) HIDDEN;
void ub_stop(void) HIDDEN;
void ub_leave(void) HIDDEN;
void ub_dispatch_stub(void) HIDDEN;
extern u8 ub_ends[] HIDDEN;
extern u8 ub_text_start[] HIDDEN, ub_text_stop[] HIDDEN;
#define END_STUB 16
#define ENDS 64

/* memory.c */
int ub_map_areas(const struct ub_job *job) HIDDEN;
void ub_fill_pool(const struct ub_job *job) HIDDEN;
u64 ub_pool_word(u64 offset) HIDDEN;
const u8 *ub_pool(u64 random) HIDDEN;
void ub_reset_memory(u64 seed) HIDDEN;
void ub_keep_memory(void) HIDDEN;
int ub_compare_memory(struct ub_failure *failure) HIDDEN;
u8 *ub_text(u64 address, u64 size) PUBLIC;
int ub_arena_init(void) HIDDEN;
extern u8 *ub_arena HIDDEN, *ub_frame HIDDEN;
#define ARENA_SIZE (1UL << 20)
#define ARENA_CODE 64
void ub_copy(void *to, const void *from, u64 size) HIDDEN;
u64 ub_differ(const void *a, const void *b, u64 size) HIDDEN;

/* state.c */
u64 ub_random(u64 *state) HIDDEN;
void ub_random_state(const struct ub_job *job, u64 *rng) HIDDEN;
int ub_fpu_init(void) HIDDEN;
extern u32 ub_x87_pointers HIDDEN;
u64 ub_fpu_differ(const u8 *a, const u8 *b, u32 pointers) PUBLIC;

/* translated.c */
extern const struct ub_job *ub_job HIDDEN;
int ub_load(const struct ub_job *job) HIDDEN;

struct ub_outcome {
	u32 number; /* of the exit */
	u32 hardware; /* number of faults that the CPU reported */
	u64 dispatched;
	u64 wrong;
	u64 target; /* target of an indirect branch that missed */
	struct ub_cpu cpu;
};
struct ub_plan {
	u32 count, before, budget;
	u64 junk;
};
void ub_run_translated(const struct ub_job *job, const struct ub_entry *entry,
		       const struct ub_plan *plan, struct ub_outcome *out) HIDDEN;
u64 ub_answer(u64 nr, const u64 *args, u32 count, u64 number) HIDDEN;

/* runner.c */
int ub_plant(const struct ub_job *job) HIDDEN;
long ub_fs_base(int set, u64 *base) HIDDEN;

/* native.c */
u32 ub_run_native(const struct ub_job *job, const struct ub_outcome *outcome,
		  const u8 *fpu, u64 memory, struct ub_result *result) HIDDEN;

/* signals.c */
extern volatile u32 ub_phase HIDDEN;
extern volatile u64 ub_stop_ip HIDDEN, ub_counted HIDDEN, ub_count_from HIDDEN,
	ub_count_to HIDDEN;
extern volatile u32 ub_counting HIDDEN, ub_hardware HIDDEN, ub_late HIDDEN;
extern volatile u32 ub_signal HIDDEN; /* the last one */
extern u32 *ub_histogram HIDDEN;
extern u64 *ub_path HIDDEN;
extern u32 ub_path_room HIDDEN;
int ub_signals_on(void) HIDDEN;
void ub_signals_off(void) HIDDEN;

#endif
