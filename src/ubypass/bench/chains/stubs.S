/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry to user code and exit from it, and the stack in place of a task's kernel stack.
 * The time stamps are taken here, as close to user code as possible.
 */
	.intel_syntax noprefix
	.section .note.GNU-stack, "", @progbits

	.bss
	.balign 64
	.globl ub_user, ub_user_ip, ub_user_flags, ub_began, ub_ended, ub_came, ub_pay
ub_user:	.skip 128
ub_user_ip:	.skip 8
ub_user_flags:	.skip 8
ub_began:	.skip 8
ub_ended:	.skip 8
ub_came:	.skip 8
ub_pay:		.skip 8
native_rsp:	.skip 8
chain_rsp:	.skip 8
	.balign 16384
	.globl ub_shim_stack
ub_shim_stack:
	.skip 16384
	.balign 4096
	.skip 65536
own_stack:
	.skip 64

#define USER(n)	[ub_user + 8 * n]

	.text
	.globl _start
_start:
	mov rdi, rsp
	mov rsp, offset own_stack
	call replay_main
	ud2

.macro push_saved
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
.endm

.macro pop_saved
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
.endm

/* Run user code from ub_user until it makes a system call. */
	.balign 16
	.globl ub_native, ub_native_end
ub_native:
	push_saved
	mov [native_rsp], rsp
	lfence
	rdtsc
	mov dword ptr [ub_began], eax
	mov dword ptr [ub_began + 4], edx
	cmp qword ptr [ub_pay], 0
	je 1f
	mov eax, 1000			/* no such call: the transition only */
	syscall
1:	push qword ptr [ub_user_flags]
	popfq
	mov rax, USER(0)
	mov rcx, USER(1)
	mov rdx, USER(2)
	mov rbx, USER(3)
	mov rsp, USER(4)
	mov rbp, USER(5)
	mov rsi, USER(6)
	mov rdi, USER(7)
	mov r8, USER(8)
	mov r9, USER(9)
	mov r10, USER(10)
	mov r11, USER(11)
	mov r12, USER(12)
	mov r13, USER(13)
	mov r14, USER(14)
	mov r15, USER(15)
	jmp [ub_user_ip]
/* The jumps in place of system calls lead here. */
ub_native_end:
	mov USER(0), rax
	mov USER(2), rdx
	lfence
	rdtsc
	mov dword ptr [ub_ended], eax
	mov dword ptr [ub_ended + 4], edx
	mov USER(1), rcx
	mov USER(3), rbx
	mov USER(4), rsp
	mov USER(5), rbp
	mov USER(6), rsi
	mov USER(7), rdi
	mov USER(8), r8
	mov USER(9), r9
	mov USER(10), r10
	mov USER(11), r11
	mov USER(12), r12
	mov USER(13), r13
	mov USER(14), r14
	mov USER(15), r15
	mov rsp, [native_rsp]
	pushfq
	pop qword ptr [ub_user_flags]
	push 2
	popfq
	pop_saved
	ret

/* A handler as patched by ftrace; a gap is timed from its end to the next handler. */
	.balign 16
	.globl ub_call, ub_call_body
ub_call:
	.byte 0xe8			/* call ub_trampoline, five bytes */
	.long ub_trampoline - ub_call_body
ub_call_body:
	lfence
	rdtsc
	mov dword ptr [ub_came], eax
	mov dword ptr [ub_came + 4], edx
	call chain_work
	mov rcx, rax
	lfence
	rdtsc
	mov dword ptr [ub_began], eax
	mov dword ptr [ub_began + 4], edx
	mov rax, rcx
	ret

/* The ticks between two adjacent stamps. */
	.globl ub_stamp_cost
ub_stamp_cost:
	lfence
	rdtsc
	mov esi, eax
	shl rdx, 32
	or rsi, rdx
	lfence
	rdtsc
	shl rdx, 32
	or rax, rdx
	sub rax, rsi
	ret

/* Call chain_loop() with its stack directly below the task's registers. */
	.globl ub_start_chain, ub_finish
ub_start_chain:
	push_saved
	mov [chain_rsp], rsp
	mov rsp, offset ub_shim_stack + 16384 - 168
	call chain_loop
	ud2
ub_finish:
	mov rsp, [chain_rsp]
	pop_saved
	ret

	.globl ub_restore_signal
ub_restore_signal:
	mov eax, 15
	syscall
