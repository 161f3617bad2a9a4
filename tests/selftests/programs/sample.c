// SPDX-License-Identifier: GPL-2.0-only
/* Five calls of getppid, then one of getpid in a child. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	pid_t child;

	for (int n = 0; n < 5; n++)
		getppid();
	child = fork();
	if (!child) {
		getpid();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	puts("done");
	return 0;
}
