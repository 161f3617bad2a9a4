/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry to the code under test and exit from it. No register or flag of that code
 * changes before it is stored.
 */
	.intel_syntax noprefix
	.section .note.GNU-stack, "", @progbits

	.bss
	.balign 64
	.globl ub_fpu, ub_cpu, ub_xmask, ub_kind, ub_end, ub_stepping
	.hidden ub_fpu, ub_cpu, ub_xmask, ub_kind, ub_end, ub_stepping
ub_fpu:		.skip 4096
ub_cpu:		.skip 144
saved_rsp:	.skip 8
ub_xmask:	.skip 4
ub_kind:	.skip 4
ub_end:		.skip 4
ub_stepping:	.skip 4

#define GPR(n)	[rip + ub_cpu + 8 * n]
#define RIP	[rip + ub_cpu + 128]
#define FLAGS	[rip + ub_cpu + 136]

	.text
	.globl ub_text_start, ub_text_stop
	.hidden ub_text_start, ub_text_stop
ub_text_start:

.macro load_registers
	mov rax, GPR(0)
	mov rcx, GPR(1)
	mov rdx, GPR(2)
	mov rbx, GPR(3)
	mov rbp, GPR(5)
	mov rsi, GPR(6)
	mov rdi, GPR(7)
	mov r8, GPR(8)
	mov r9, GPR(9)
	mov r10, GPR(10)
	mov r11, GPR(11)
	mov r12, GPR(12)
	mov r13, GPR(13)
	mov r14, GPR(14)
	mov r15, GPR(15)
.endm

.macro store_registers
	mov GPR(0), rax
	mov GPR(1), rcx
	mov GPR(2), rdx
	mov GPR(3), rbx
	mov GPR(4), rsp
	mov GPR(5), rbp
	mov GPR(6), rsi
	mov GPR(7), rdi
	mov GPR(8), r8
	mov GPR(9), r9
	mov GPR(10), r10
	mov GPR(11), r11
	mov GPR(12), r12
	mov GPR(13), r13
	mov GPR(14), r14
	mov GPR(15), r15
.endm

/* void ub_enter(void): run from the state in ub_cpu and ub_fpu until it stops. */
	.globl ub_enter
	.hidden ub_enter
ub_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [rip + saved_rsp], rsp
	mov eax, [rip + ub_xmask]
	xor edx, edx
	xrstor64 [rip + ub_fpu]
	cmp dword ptr [rip + ub_stepping], 0
	jne 1f
resume:
	push FLAGS
	popfq
	load_registers
	mov rsp, GPR(4)
	jmp RIP
1:	/* iretq sets TF and jumps at the same time: the first trap follows one instruction. */
	mov eax, ss
	push rax
	push GPR(4)
	push FLAGS
	mov eax, cs
	push rax
	push RIP
	load_registers
	iretq

/* The exit path of docs/abi.md, section 5. */
	.globl ub_leave
	.hidden ub_leave
ub_leave:
	mov dword ptr [rip + ub_kind], 1
/* The common end of all runs, also for signal handlers. */
	.globl ub_stop
	.hidden ub_stop
ub_stop:
	store_registers
	mov rsp, [rip + saved_rsp]
	pushfq
	pop FLAGS
	push 0x202
	popfq
	mov eax, [rip + ub_xmask]
	xor edx, edx
	xsave64 [rip + ub_fpu]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

/* The original's planted ends jump here, each to a stub of its own. */
	.balign 16
	.globl ub_ends
	.hidden ub_ends
ub_ends:
	.set number, 0
	.rept 64
	.balign 16
	mov dword ptr [rip + ub_end], number
	jmp at_end
	.set number, number + 1
	.endr
at_end:
	mov dword ptr [rip + ub_kind], 2
	jmp ub_stop

/* The code in the places of dispatches of a translation jumps here. */
	.globl ub_dispatch_stub
	.hidden ub_dispatch_stub
ub_dispatch_stub:
	store_registers
	mov rsp, [rip + saved_rsp]
	push 0x202
	popfq
	sub rsp, 8
	call ub_dispatched
	jmp resume
ub_text_stop:
