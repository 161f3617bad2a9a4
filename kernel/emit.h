/* SPDX-License-Identifier: GPL-2.0-only */
/* Emits machine code byte by byte into a buffer; the code will run at another address. */
#ifndef _UB_EMIT_H
#define _UB_EMIT_H

#include <linux/string.h>
#include <linux/types.h>

struct ub_emit {
	u8 *at;			/* next byte of the buffer */
	long delta;		/* from the buffer to the address at which the code runs */
};

#define PERCPU_OFFSET(var)	((u32)(unsigned long)&(var))

static inline void emit(struct ub_emit *e, const u8 *bytes, unsigned int n)
{
	memcpy(e->at, bytes, n);
	e->at += n;
}

#define EMIT(e, ...)	do {					\
		static const u8 _bytes[] = { __VA_ARGS__ };	\
		emit(e, _bytes, sizeof(_bytes));		\
	} while (0)

static inline void emit32(struct ub_emit *e, u32 value)
{
	memcpy(e->at, &value, sizeof(value));
	e->at += sizeof(value);
}

static inline void emit64(struct ub_emit *e, u64 value)
{
	memcpy(e->at, &value, sizeof(value));
	e->at += sizeof(value);
}

/* A rel32 field; .more bytes of the same instruction follow it. */
static inline void emit_rel(struct ub_emit *e, unsigned long to, unsigned int more)
{
	unsigned long next = (unsigned long)e->at + e->delta + 4 + more;

	emit32(e, (u32)(to - next));
}

#endif /* _UB_EMIT_H */
