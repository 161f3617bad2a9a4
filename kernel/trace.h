/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ub

#if !defined(_UB_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _UB_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(ub_exit,
	TP_PROTO(u32 region, u32 exit, u32 reason, u64 ip),
	TP_ARGS(region, exit, reason, ip),
	TP_STRUCT__entry(
		__field(u32, region)
		__field(u32, exit)
		__field(u32, reason)
		__field(u64, ip)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->exit = exit;
		__entry->reason = reason;
		__entry->ip = ip;
	),
	TP_printk("region=%u exit=%u reason=%u ip=%#llx", __entry->region,
		  __entry->exit, __entry->reason, __entry->ip)
);

TRACE_EVENT(ub_region,
	TP_PROTO(u32 region, bool live, u32 bytes, u64 ip),
	TP_ARGS(region, live, bytes, ip),
	TP_STRUCT__entry(
		__field(u32, region)
		__field(bool, live)
		__field(u32, bytes)
		__field(u64, ip)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->live = live;
		__entry->bytes = bytes;
		__entry->ip = ip;
	),
	TP_printk("region=%u %s bytes=%u ip=%#llx", __entry->region,
		  __entry->live ? "live" : "dead", __entry->bytes, __entry->ip)
);

#endif /* _UB_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
