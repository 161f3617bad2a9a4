// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exception table for code in the arena.
 *
 * search_module_extables() searches the table of the module that owns an
 * address, and the module owns the arena.  Both fields that describe a table
 * cannot change in one step, so the length is constant: unused entries at the
 * end hold an address behind the arena.  Offsets are 32-bit, so the tables have to
 * be part of the module; there are two, and readers (with interrupts off or
 * preemption disabled) see one or the other.
 */
#include <linux/bsearch.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/extable.h>
#include <asm/trapnr.h>

#include "arena_text.h"
#include "fault.h"
#include "region.h"

/* A machine check on a poisoned page must kill the program, natively, not the kernel. */
#ifdef EX_TYPE_DEFAULT_MCE_SAFE
#define UB_EX_TYPE	EX_TYPE_DEFAULT_MCE_SAFE
#else
#define UB_EX_TYPE	EX_TYPE_DEFAULT
#endif

#define UB_OWN_FAULTS	64	/* of the module's own C code */
#define UB_TABLE	(UB_MAX_FAULTS + UB_OWN_FAULTS)

struct ub_fault_address {
	unsigned long insn;
	unsigned long fixup;
	int data;
};

static struct exception_table_entry ub_tables[2][UB_TABLE];
static int ub_table_used;
static struct exception_table_entry *ub_own_table;
static unsigned int ub_own_entries;

static int ub_fault_compare(const void *a, const void *b)
{
	const struct ub_fault_address *x = a, *y = b;

	return x->insn < y->insn ? -1 : x->insn > y->insn;
}

static void ub_fault_entry(struct exception_table_entry *entry,
			   const struct ub_fault_address *address)
{
	entry->insn = address->insn - (unsigned long)&entry->insn;
	entry->fixup = address->fixup - (unsigned long)&entry->fixup;
	entry->data = address->data;
}

/* Rebuild the table from all regions.  Under ub_region_mutex; may sleep. */
int ub_fault_rebuild(void)
{
	struct exception_table_entry *table = ub_tables[!ub_table_used];
	struct ub_fault_address *all;
	unsigned long behind = (unsigned long)ub_arena + UB_ARENA_SIZE + PAGE_SIZE;
	struct ub_region *region = NULL;
	unsigned int i, end = UB_TABLE, n = 0;

	all = vmalloc_array(UB_TABLE, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (i = 0; i < ub_own_entries; i++) {
		const struct exception_table_entry *own = &ub_own_table[i];

		all[n].insn = (unsigned long)&own->insn + own->insn;
		all[n].fixup = (unsigned long)&own->fixup + own->fixup;
		all[n++].data = own->data;
	}
	while ((region = ub_region_next_live(region))) {
		if (n + region->nr_faults > UB_TABLE) {
			vfree(all);
			return -ENOSPC;
		}
		for (i = 0; i < region->nr_faults; i++) {
			all[n].insn = (unsigned long)region->code +
				      region->faults[i].code_offset;
			all[n].fixup = (unsigned long)region->code +
				       region->faults[i].fixup_offset;
			all[n++].data = UB_EX_TYPE;
		}
	}
	sort(all, n, sizeof(*all), ub_fault_compare, NULL);
	/* Code of the module may lie behind the arena: the unused entries go between. */
	while (n && all[n - 1].insn > behind)
		all[--end] = all[--n];
	for (; n < end; n++) {
		all[n].insn = behind;
		all[n].fixup = behind;
		all[n].data = EX_TYPE_DEFAULT;
	}
	for (i = 0; i < UB_TABLE; i++)
		ub_fault_entry(&table[i], &all[i]);
	vfree(all);

	/* Publish the entries before the pointer; both tables have the same length. */
	smp_store_release(&THIS_MODULE->extable, table);
	ub_table_used = !ub_table_used;
	/* Wait for fault handlers that still search the other table. */
	synchronize_rcu();
	return 0;
}

static int ub_fault_is_at(const void *key, const void *item)
{
	const struct exception_table_entry *entry = item;
	unsigned long ip = *(const unsigned long *)key;
	unsigned long insn = (unsigned long)&entry->insn + entry->insn;

	return ip < insn ? -1 : ip > insn;
}

/*
 * With split-lock detection, an atomic access across a cache line raises #AC, in kernel
 * mode, too, and the #AC handler calls die notifiers but does not search exception tables
 * ("x86/split_lock: Enable split lock detection by kernel", 5.7).
 */
static int ub_fault_die(struct notifier_block *block, unsigned long why, void *data)
{
	struct die_args *args = data;
	unsigned long ip = args->regs->ip;
	const struct exception_table_entry *entry;

	if (why != DIE_TRAP || args->trapnr != X86_TRAP_AC || user_mode(args->regs) ||
	    ip < (unsigned long)ub_arena ||
	    ip >= (unsigned long)ub_arena + UB_ARENA_SIZE)
		return NOTIFY_DONE;
	entry = bsearch(&ip, READ_ONCE(THIS_MODULE->extable), UB_TABLE,
			sizeof(*entry), ub_fault_is_at);
	if (!entry)
		return NOTIFY_DONE;
	args->regs->ip = (unsigned long)&entry->fixup + entry->fixup;
	return NOTIFY_STOP;
}

static struct notifier_block ub_fault_block = { .notifier_call = ub_fault_die };

int ub_fault_init(void)
{
	int err;

	ub_own_table = THIS_MODULE->extable;
	ub_own_entries = THIS_MODULE->num_exentries;
	if (ub_own_entries > UB_OWN_FAULTS) {
		pr_err("ub: the module's own exception table is too long\n");
		return -ENOSPC;
	}
	err = ub_fault_rebuild();
	if (err)
		return err;
	/*
	 * Growing the length after the pointer is safe, the reverse is not:
	 * until now readers see a prefix of the new table.
	 */
	smp_wmb();
	THIS_MODULE->num_exentries = UB_TABLE;
	return register_die_notifier(&ub_fault_block);
}

void ub_fault_exit(void)
{
	unregister_die_notifier(&ub_fault_block);
	THIS_MODULE->num_exentries = ub_own_entries;
	synchronize_rcu();
	THIS_MODULE->extable = ub_own_table;
	synchronize_rcu();
}
