// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program under seccomp filters as others set them, without these:
 *
 *   confine unit|container PROGRAM [ARGUMENT]...
 *
 * unit: as systemd does for a service like Debian's redis-server, a filter for each of
 * its settings (LockPersonality=, MemoryDenyWriteExecute=, ProtectClock=, ProtectHostname=,
 * ProtectKernelLogs=, ProtectKernelModules=, RestrictAddressFamilies=, RestrictNamespaces=,
 * RestrictRealtime=, RestrictSUIDSGID=, SystemCallArchitectures=, SystemCallFilter=).
 * container: as Docker does, one filter that names all calls that are allowed.
 */
#include "common.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define DATA(field)	offsetof(struct seccomp_data, field)
#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))
#define REFUSE		(SECCOMP_RET_ERRNO | EPERM)
#define X32		0x40000000
#define LAST_CALL	450
#define ROOM		2048

static struct sock_filter code[ROOM];
static unsigned short length;

static void put(unsigned short op, unsigned char yes, unsigned char no, unsigned int k)
{
	if (length == ROOM)
		die("no room");
	code[length++] = (struct sock_filter){ op, yes, no, k };
}

static void give(unsigned int verdict)
{
	put(BPF_RET | BPF_K, 0, 0, verdict);
}

/* All of them look at the architecture first, and then have the number. */
static void begin(void)
{
	length = 0;
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA(arch));
	put(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	give(SECCOMP_RET_KILL_PROCESS);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA(nr));
	put(BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32);
	give(SECCOMP_RET_KILL_PROCESS);
}

static void judge(unsigned int nr, unsigned int verdict)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr);
	give(verdict);
}

/* Refuse the call if its argument passes the .test (BPF_JSET, BPF_JGT) against .value. */
static void refuse_if(unsigned int nr, unsigned int argument, unsigned int test,
		      unsigned int value)
{
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, nr);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA(args) + 8 * argument);
	put(BPF_JMP | test | BPF_K, 0, 1, value);
	give(REFUSE);
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA(nr));
}

static void refuse_bits(unsigned int nr, unsigned int argument, unsigned int bits)
{
	refuse_if(nr, argument, BPF_JSET, bits);
}

static void refuse_above(unsigned int nr, unsigned int argument, unsigned int most)
{
	refuse_if(nr, argument, BPF_JGT, most);
}

static void install(unsigned int verdict)
{
	struct sock_fprog program = { .filter = code };

	give(verdict);
	program.len = length;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		die("filter");
}

static void refuse(const unsigned int *calls, size_t n)
{
	begin();
	for (size_t i = 0; i < n; i++)
		judge(calls[i], REFUSE);
	install(SECCOMP_RET_ALLOW);
}

static const unsigned int privileged[] = {
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_reboot, SYS_swapon, SYS_swapoff,
	SYS_kexec_load, SYS_kexec_file_load, SYS_ptrace, SYS_bpf, SYS_perf_event_open,
	SYS_acct, SYS_quotactl, SYS_iopl, SYS_ioperm, SYS_add_key, SYS_keyctl,
	SYS_userfaultfd, SYS_open_by_handle_at, SYS_setns, SYS_unshare, SYS_vhangup,
};
static const unsigned int others[] = {
	SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_nfsservctl, SYS_lookup_dcookie,
};
static const unsigned int clocks[] = {
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
};
static const unsigned int hostname[] = { SYS_sethostname, SYS_setdomainname };
static const unsigned int logs[] = { SYS_syslog };
static const unsigned int modules[] = {
	SYS_init_module, SYS_finit_module, SYS_delete_module,
};

static void as_a_unit(void)
{
	begin();
	refuse_above(SYS_personality, 0, 0);
	install(SECCOMP_RET_ALLOW);

	begin();
	refuse_bits(SYS_mprotect, 2, PROT_EXEC);
	refuse_bits(SYS_pkey_mprotect, 2, PROT_EXEC);
	install(SECCOMP_RET_ALLOW);

	refuse(clocks, LENGTH(clocks));
	refuse(hostname, LENGTH(hostname));
	refuse(logs, LENGTH(logs));
	refuse(modules, LENGTH(modules));

	begin();
	refuse_above(SYS_socket, 0, AF_INET6);
	install(SECCOMP_RET_ALLOW);

	begin();
	refuse_bits(SYS_clone, 0, CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID |
		    CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
	give(SECCOMP_RET_ERRNO | ENOSYS);
	install(SECCOMP_RET_ALLOW);

	begin();
	refuse_above(SYS_sched_setscheduler, 1, SCHED_OTHER);
	install(SECCOMP_RET_ALLOW);

	begin();
	refuse_bits(SYS_chmod, 1, 06000);
	refuse_bits(SYS_fchmod, 1, 06000);
	refuse_bits(SYS_openat, 3, 06000);
	install(SECCOMP_RET_ALLOW);

	begin(); /* for the architecture */
	install(SECCOMP_RET_ALLOW);

	refuse(privileged, LENGTH(privileged));
	refuse(others, LENGTH(others));
}

static int is_privileged(unsigned int nr)
{
	for (size_t i = 0; i < LENGTH(privileged); i++)
		if (privileged[i] == nr)
			return 1;
	return 0;
}

static void as_a_container(void)
{
	begin();
	refuse_bits(SYS_clone, 0, CLONE_NEWUSER | CLONE_NEWNS);
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
	give(SECCOMP_RET_ERRNO | ENOSYS);
	refuse_above(SYS_personality, 0, 0);
	for (unsigned int nr = 0; nr <= LAST_CALL; nr++)
		if (!is_privileged(nr))
			judge(nr, SECCOMP_RET_ALLOW);
	install(REFUSE);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	if (!strcmp(argv[1], "unit"))
		as_a_unit();
	else if (!strcmp(argv[1], "container"))
		as_a_container();
	else
		return 2;
	execvp(argv[2], argv + 2);
	die(argv[2]);
}
