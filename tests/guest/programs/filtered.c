// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop under a seccomp filter that allows nearly everything, and what happens when
 * it does not.
 *
 *   filtered KIND
 *
 * The loop makes calls of two sites.  In stage 1 it marks some of them, in an argument
 * that the call itself does not look at: what the filter says then depends on KIND.
 *
 *   allow, errno, errno0, trap, trace, log, notify, kill, killthread: that action
 *   tracer: as trace, and a process traces the loop meanwhile
 *   address: errno, but by instruction_pointer as well: for those of a third site only
 *   all: the filter looks at nothing and allows all
 *   strict: no filter, but strict mode, which leaves read, write and exit
 */
#include "common.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1	/* si_code; glibc 2.36 has none */
#endif

#define ENOUGH	100
#define EVERY	16	/* turns for one that is marked */
#define MARK	0x1234567887654321UL
#define TRACED	3	/* word of the control page: a tracer has come */
#define GIVEN	4711	/* by a tracer or a supervisor, in place of the call's result */

static volatile unsigned int *control;
static const char *kind;
static int listener = -1;
static int zero;
static volatile unsigned long traps, wrong_traps, asked, wrong_asked;

extern const char plain_site[], marked_site[], third_site[];

/* The address behind the syscall instruction, and registers that signals' frames show. */
#define SITE(name)						\
	"mov $0xb0b0, %%ebx\n\t"				\
	"mov $0x1212, %%r12d\n\t"				\
	"mov $0x1313, %%r13d\n\t"				\
	"mov $0x1515, %%r15d\n\t"				\
	"syscall\n\t"						\
	".globl " #name "\n" #name ":\n\t"

static __attribute__((noinline)) long plain(void)
{
	char byte;
	long result;

	asm volatile(SITE(plain_site)
		     : "=a" (result)
		     : "a" (SYS_read), "D" (zero), "S" (&byte), "d" (1)
		     : "rbx", "r12", "r13", "r15", "rcx", "r11", "memory");
	return result;
}

/* getppid takes no argument: only the filter looks at the sixth. */
static __attribute__((noinline)) long marked(unsigned long mark)
{
	register unsigned long r9 asm("r9") = mark;
	register unsigned long r10 asm("r10") = 0x1010;
	register unsigned long r8 asm("r8") = 0x8080;
	long result;

	asm volatile(SITE(marked_site)
		     : "=a" (result)
		     : "a" (SYS_getppid), "D" (0xd1UL), "S" (0x51UL), "d" (0xd2UL),
		       "r" (r10), "r" (r8), "r" (r9)
		     : "rbx", "r12", "r13", "r15", "rcx", "r11", "memory");
	return result;
}

static __attribute__((noinline)) long third(unsigned long mark)
{
	register unsigned long r9 asm("r9") = mark;
	long result;

	asm volatile(SITE(third_site)
		     : "=a" (result)
		     : "a" (SYS_getppid), "r" (r9)
		     : "rbx", "r12", "r13", "r15", "rcx", "r11", "memory");
	return result;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	traps++;
	if (signal != SIGSYS || info->si_code != SYS_SECCOMP || info->si_errno != 77 ||
	    info->si_syscall != SYS_getppid || info->si_arch != AUDIT_ARCH_X86_64 ||
	    info->si_call_addr != marked_site ||
	    regs[REG_RIP] != (greg_t)marked_site || regs[REG_RAX] != SYS_getppid ||
	    regs[REG_RCX] != (greg_t)marked_site || regs[REG_R11] != regs[REG_EFL] ||
	    regs[REG_RDI] != 0xd1 || regs[REG_RSI] != 0x51 || regs[REG_RDX] != 0xd2 ||
	    regs[REG_R10] != 0x1010 || regs[REG_R8] != 0x8080 ||
	    regs[REG_R9] != (greg_t)MARK || regs[REG_RBX] != 0xb0b0 ||
	    regs[REG_R12] != 0x1212 || regs[REG_R13] != 0x1313 ||
	    regs[REG_R15] != 0x1515)
		wrong_traps++;
}

static void *supervise(void *unused)
{
	struct seccomp_notif notice;
	struct seccomp_notif_resp answer;

	(void)unused;
	for (;;) {
		memset(&notice, 0, sizeof(notice));
		memset(&answer, 0, sizeof(answer));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice)) {
			/* The loop has ended: "seccomp: interrupt SECCOMP_IOCTL_NOTIF_RECV
			 * when all users have exited", 6.11.
			 */
			if (errno == ENOENT && control[0] == STAGE_END)
				return NULL;
			die("receive");
		}
		asked++;
		if (notice.data.nr != SYS_getppid || notice.data.args[0] != 0xd1 ||
		    notice.data.args[3] != 0x1010 || notice.data.args[5] != MARK ||
		    notice.data.instruction_pointer != (uintptr_t)marked_site)
			wrong_asked++;
		answer.id = notice.id;
		/* Each other time the call is to be made after all. */
		if (asked % 2)
			answer.val = GIVEN;
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer))
			die("send");
	}
	return NULL;
}

/* Another process, which traces the loop in stage 1. */
static void trace(pid_t loop)
{
	struct user_regs_struct regs;
	unsigned long stops = 0;
	int status;

	while (control[0] == STAGE_WARM)
		usleep(1000);
	if (ptrace(PTRACE_SEIZE, loop, 0, PTRACE_O_TRACESECCOMP))
		die("seize");
	control[TRACED] = 1;
	while (stops < ENOUGH) {
		if (waitpid(loop, &status, __WALL) != loop || !WIFSTOPPED(status))
			die("wait");
		if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
			die("another stop");
		if (ptrace(PTRACE_GETREGS, loop, 0, &regs))
			die("registers");
		if (regs.orig_rax != SYS_getppid || regs.r9 != MARK ||
		    (long)regs.rax != -ENOSYS ||
		    regs.rip != (uintptr_t)marked_site || regs.rbx != 0xb0b0 ||
		    regs.r12 != 0x1212 || regs.r15 != 0x1515 || regs.rdi != 0xd1)
			_exit(1);
		regs.orig_rax = -1;
		regs.rax = GIVEN;
		if (ptrace(PTRACE_SETREGS, loop, 0, &regs))
			die("set registers");
		if (++stops < ENOUGH && ptrace(PTRACE_CONT, loop, 0, 0))
			die("continue");
	}
	if (ptrace(PTRACE_DETACH, loop, 0, 0))
		die("detach");
	_exit(0);
}

static unsigned int action(void)
{
	if (!strcmp(kind, "errno") || !strcmp(kind, "address"))
		return SECCOMP_RET_ERRNO | EXDEV;
	if (!strcmp(kind, "errno0"))
		return SECCOMP_RET_ERRNO;
	if (!strcmp(kind, "trap"))
		return SECCOMP_RET_TRAP | 77;
	if (!strncmp(kind, "trace", 5))
		return SECCOMP_RET_TRACE | 5;
	if (!strcmp(kind, "log"))
		return SECCOMP_RET_LOG;
	if (!strcmp(kind, "notify"))
		return SECCOMP_RET_USER_NOTIF;
	if (!strcmp(kind, "kill"))
		return SECCOMP_RET_KILL_PROCESS;
	if (!strcmp(kind, "killthread"))
		return SECCOMP_RET_KILL_THREAD;
	return SECCOMP_RET_ALLOW;
}

#define DATA(field)	offsetof(struct seccomp_data, field)

static void install(void)
{
	struct sock_filter by_mark[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(args[5])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)MARK, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(args[5]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK >> 32, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action()),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	unsigned long third_at = (uintptr_t)third_site;
	struct sock_filter by_address[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)third_at, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, third_at >> 32, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA(args[5])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action()),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter nothing[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(by_mark) / sizeof(by_mark[0]), .filter = by_mark,
	};
	struct sock_fprog outer = { .len = 1, .filter = nothing };
	unsigned int flags = 0;

	if (!strcmp(kind, "address")) {
		program.len = sizeof(by_address) / sizeof(by_address[0]);
		program.filter = by_address;
	} else if (!strcmp(kind, "all")) {
		program = outer;
	} else if (!strcmp(kind, "notify")) {
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	/* It is the inner one that decides, wherever in the chain it is. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &outer))
		die("outer filter");
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (listener < 0)
		die("filter");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &outer))
		die("outer filter");
}

static void *loop(void *unused)
{
	unsigned long turns = 0, ordinary = 0, odd = 0, allowed = 0, refused = 0;
	unsigned long given = 0, third_allowed = 0, third_refused = 0;
	pid_t parent = getppid();
	bool address = !strcmp(kind, "address"), tracer = !strcmp(kind, "tracer");
	int want = -1;

	(void)unused;
	install();
	while (control[0] != STAGE_END) {
		bool act = control[0] == STAGE_ACT;
		bool mark = act && !(++turns % EVERY) &&
			    !(tracer && (control[1] || !control[TRACED]));
		unsigned long word = mark ? MARK : MARK + 1;
		long got, last = parent;

		/* One way through all calls, whether or not they are marked. */
		asm volatile("" : "+r" (word));
		if (plain() != 1)
			odd++;
		got = marked(word);
		if (address)
			last = third(word);
		if (!mark && got != parent)
			odd++;
		else if (!mark)
			ordinary += ordinary < ENOUGH;
		else if (got == parent)
			allowed++;
		else if (got == GIVEN)
			given++;
		else if (want == -1 || got == want)
			refused++, want = got;
		else
			odd++;
		if (address) {
			if (!mark && last != parent)
				odd++;
			else if (mark && last == -EXDEV)
				third_refused++;
			else if (mark)
				third_allowed++;
		}
		if (ordinary == ENOUGH)
			control[2] = AT_WARM;
		if (refused + given + (address ? third_refused : allowed) >= 2 * ENOUGH)
			control[1] = 1;
		else if (tracer && given >= ENOUGH)
			control[1] = 1;
	}
	printf("allowed %d refused %d with %d given %d odd %lu\n", allowed >= ENOUGH,
	       refused >= ENOUGH, refused >= ENOUGH ? want : 0, given >= ENOUGH, odd);
	printf("traps %d wrong %lu same %d\n", traps >= ENOUGH, wrong_traps,
	       traps == refused || !traps);
	printf("asked %d wrong %lu\n", asked >= ENOUGH, wrong_asked);
	printf("third allowed %lu refused %d\n", third_allowed, third_refused > ENOUGH);
	return NULL;
}

static void strict(void)
{
	static const char said[] = "strict\n";
	unsigned long odd = 0;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		die("strict mode");
	while (control[0] != STAGE_END) {
		if (plain() != 1)
			odd++;
		control[2] = AT_WARM;
		control[1] = control[0];
	}
	if (write(1, said, sizeof(said) - 1) != sizeof(said) - 1)
		odd++;
	/* The library's would be exit_group. */
	syscall(SYS_exit, odd != 0);
}

int main(int argc, char **argv)
{
	struct sigaction trap = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	pthread_t thread;
	int status;

	if (argc != 2)
		return 2;
	kind = argv[1];
	control = control_page();
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero < 0)
		die("/dev/zero");
	if (!strcmp(kind, "trap") && sigaction(SIGSYS, &trap, NULL))
		die("sigaction");
	if (!strcmp(kind, "strict"))
		strict();
	if (!strcmp(kind, "tracer")) {
		pid_t loop_pid = getpid(), tracer = fork();

		if (!tracer)
			trace(loop_pid);
		loop(NULL);
		if (waitpid(tracer, &status, 0) != tracer)
			die("tracer");
		printf("tracer %d\n", status);
		return 0;
	}
	if (!strcmp(kind, "notify") || !strcmp(kind, "killthread")) {
		/* The main thread has no filter. */
		if (pthread_create(&thread, NULL, loop, NULL))
			die("pthread_create");
		if (!strcmp(kind, "killthread")) {
			pthread_join(thread, NULL);
			puts("the thread is gone");
			return 0;
		}
		while (listener < 0)
			usleep(1000);
		pthread_t supervisor;

		if (pthread_create(&supervisor, NULL, supervise, NULL))
			die("pthread_create");
		pthread_join(thread, NULL);
		return 0;
	}
	loop(NULL);
	return 0;
}
