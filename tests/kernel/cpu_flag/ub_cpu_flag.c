// SPDX-License-Identifier: GPL-2.0-only
/*
 * ub_cpu_flag: modules that are loaded while this one is see a processor with or without
 * one feature.  What was loaded or booted before is not affected.
 *
 * name: ibt, xenpv or lahf_lm; on: whether the processor seems to have it
 */
#include <linux/bitops.h>
#include <linux/module.h>
#include <linux/string.h>
#include <asm/cpufeature.h>

static char *name = "";
module_param(name, charp, 0444);

static bool on;
module_param(on, bool, 0444);

static int feature;
static bool before;

static void ub_cpu_flag_set(bool value)
{
	assign_bit(feature, (unsigned long *)boot_cpu_data.x86_capability, value);
}

static int __init ub_cpu_flag_init(void)
{
	static const struct {
		const char *name;
		int feature;
	} known[] = {
		{ "ibt", X86_FEATURE_IBT },
		{ "xenpv", X86_FEATURE_XENPV },
		{ "lahf_lm", X86_FEATURE_LAHF_LM },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name))
			continue;
		feature = known[i].feature;
		before = boot_cpu_has(feature);
		ub_cpu_flag_set(on);
		return 0;
	}
	return -EINVAL;
}

static void __exit ub_cpu_flag_exit(void)
{
	ub_cpu_flag_set(before);
}

module_init(ub_cpu_flag_init);
module_exit(ub_cpu_flag_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Shows modules a processor with or without one feature");
