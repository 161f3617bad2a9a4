// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 32-bit program without a C library (built with -m32 -nostdlib): getppid in a
 * loop until killed.
 */
void _start(void)
{
	for (;;) {
		int result = 64;	/* getppid in the 32-bit table */

		__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	}
}
