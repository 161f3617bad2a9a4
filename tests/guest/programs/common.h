/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all guest test programs share: a page through which the runner steers.
 *
 * The runner names a file in UB_TEST_CONTROL.  Its word 0 is the stage, set by
 * the runner and read by the program in its hot loop, so that no system call is
 * needed to hear of it: 0 warm up, 1 do what the test is about, 2 finish.  Word 1
 * is set by the program when it has done what stage 1 asks for, word 2 when its
 * hot loop runs, and to 2 when it is in the midst of stage 1, if the test waits for
 * that.  So nothing depends on how fast anybody is.
 *
 * A program prints only what must be the same natively and boosted.
 */
#ifndef UB_TEST_COMMON_H
#define UB_TEST_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAGE_WARM	0
#define STAGE_ACT	1
#define STAGE_END	2

#define AT_WARM		1
#define AT_MIDST	2

static inline void die(const char *what)
{
	printf("FAILED %s: %s\n", what, strerror(errno));
	exit(99);
}

static inline volatile unsigned int *control_page(void)
{
	const char *path = getenv("UB_TEST_CONTROL");
	void *page;
	int fd;

	if (!path) {
		puts("UB_TEST_CONTROL is not set");
		exit(98);
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die("mmap");
	close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return page;
}

#endif
