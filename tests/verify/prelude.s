# Put before every case of pass.s and fail.s.
.intel_syntax noprefix
.set EXITNR, 0
.set BUDGET, 4
.set LIMIT, 8
.set UFLAGS, 0x10
.set SYSFLAGS, 0x18
.set TARGET, 0x20
.set FSBASE, 0x28
.set TMP0, 0x30
.set TMP1, 0x38
.set FIP, 0x48
.set PRIVATE, 0x50
.set REGS, 0x8c0
.set sR15, REGS+0
.set sR11, REGS+48
.set sR10, REGS+56
.set sR9, REGS+64
.set sRBX, REGS+40
.set sRAX, REGS+80
.set sRCX, REGS+88
.set sRDX, REGS+96
.set sRSI, REGS+104
.set sRDI, REGS+112
.set sORIG, REGS+120
.set sRIP, REGS+128
.set sRSP, REGS+152

# An instruction that may fault, and the exit stub for it.
.macro user fix, insn:vararg
fault_at.\fix\().\@:
	\insn
.endm
# The rel32 of this jump is listed in .jumps.
.macro leave_code
jump_at.\@:
	.byte 0xe9
	.long 0
.endm
.macro stub number
	mov dword ptr [rsp], \number
	leave_code
.endm
.macro dispatch nr, pre=x_work, post=x_done
	mov eax, \nr
	room_for \nr, \pre, \post
.endm
# The same with whatever is in eax.
.macro room_for nr, pre=x_work, post=x_done
dispatch_at.\nr\().\pre\().\post\().\@:
	.fill DISPATCH, 1, 0xcc
.endm
.macro clamp reg
	cmp \reg, [rsp+LIMIT]
	cmovae \reg, [rsp+LIMIT]
.endm
# For trusted programs.
.macro guard reg
	cmp \reg, [rsp+LIMIT]
	ja x_fault
.endm
.macro load reg, slot
	mov \reg, [rsp+\slot]
.endm
# One stub for each of the default exits.
.macro stubs
x_fault:
	stub 0
x_budget:
	stub 1
x_work:
	stub 2
x_done:
	stub 3
x_miss:
	mov [rsp+TARGET], r11
	stub 4
.endm
