// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 32-bit program without a C library (built with -m32 -nostdlib): waits until
 * it is killed.
 */
void _start(void)
{
	for (;;) {
		int result = 29;	/* pause in the 32-bit table */

		__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	}
}
