# The catalogue of attacks and accidents. One case after each ruler: its name is
# the bug, "#! rule" the rule that must refuse it.

######################################################################## encoding
#--------------------------------------------------------------- empty
#! rule path
entry:
#--------------------------------------------------------------- hlt_copied
#! rule encoding
entry:
	hlt
	stubs
#--------------------------------------------------------------- undecodable
#! rule encoding
entry:
	.byte 0x06
	jmp x_fault
	stubs
#--------------------------------------------------------------- cut_off_at_end
#! rule encoding
entry:
	jmp x_fault
	stubs
	.byte 0x48, 0xb8, 0, 0
#--------------------------------------------------------------- rex_not_last
#! rule encoding
entry:
	.byte 0x48, 0x66, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- rex_twice
#! rule encoding
entry:
	.byte 0x40, 0x48, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- rex_without_effect
#! rule encoding
entry:
	.byte 0x42, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- data16_twice
#! rule encoding
entry:
	.byte 0x66, 0x66, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- data16_and_rexw
#! rule encoding
entry:
	.byte 0x66, 0x48, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- address32
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0x67, 0x8b, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- gs_is_per_cpu
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, gs:[rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- gs_absolute
#! rule encoding
entry:
	user x_fault, mov rax, gs:[0x28]
	jmp x_fault
	stubs
#--------------------------------------------------------------- ds_prefix
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0x3e, 0x8b, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- branch_hint
#! rule branch
entry:
	.byte 0x2e, 0x74, 0x00
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_without_effect
#! rule encoding
entry:
	.byte 0xf3, 0x89, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_load
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0xf0, 0x8b, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_register
#! rule encoding
entry:
	load rax, sRAX
	.byte 0xf0, 0x01, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_load_that_adds
#! rule encoding
entry:
	load rax, sRAX
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0xf0, 0x48, 0x03, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_load_that_borrows
#! rule encoding
entry:
	load rax, sRAX
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0xf0, 0x1a, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_compare
#! rule encoding
entry:
	load rax, sRAX
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0xf0, 0x48, 0x39, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- fs_without_effect
#! rule encoding
entry:
	load rax, sRAX
	.byte 0x64, 0x01, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- fs_on_lea
#! rule encoding
entry:
	load rdi, sRDI
	.byte 0x64, 0x48, 0x8d, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- prefix_before_vex
#! rule encoding
entry:
	.byte 0x66, 0xc5, 0xf5, 0x74, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- vex_vvvv_ignored
#! rule encoding
entry:
	.byte 0xc5, 0xf1, 0x6f, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- wrpkru
#! rule encoding
entry:
	wrpkru
	jmp x_fault
	stubs
#--------------------------------------------------------------- wrgsbase
#! rule encoding
entry:
	wrgsbase rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- wrfsbase
#! rule encoding
entry:
	wrfsbase rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdgsbase
#! rule encoding
entry:
	rdgsbase rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- swapgs
#! rule encoding
entry:
	swapgs
	jmp x_fault
	stubs
#--------------------------------------------------------------- std
#! rule encoding
entry:
	std
	jmp x_fault
	stubs
#--------------------------------------------------------------- cli
#! rule encoding
entry:
	cli
	jmp x_fault
	stubs
#--------------------------------------------------------------- clac
#! rule encoding
entry:
	clac
	jmp x_fault
	stubs
#--------------------------------------------------------------- wrmsr
#! rule encoding
entry:
	wrmsr
	jmp x_fault
	stubs
#--------------------------------------------------------------- in_out
#! rule encoding
entry:
	out dx, al
	jmp x_fault
	stubs
#--------------------------------------------------------------- pause
#! rule encoding
entry:
	pause
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdrand
#! rule encoding
entry:
	rdrand rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdrand16
#! rule encoding
entry:
	rdrand cx
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdseed
#! rule encoding
entry:
	rdseed eax
	jmp x_fault
	stubs
#--------------------------------------------------------------- cpuid
#! rule encoding
entry:
	cpuid
	jmp x_fault
	stubs
#--------------------------------------------------------------- vmcall
#! rule encoding
entry:
	vmcall
	jmp x_fault
	stubs
#--------------------------------------------------------------- mov_segment
#! rule encoding
entry:
	load rax, sRAX
	mov fs, eax
	jmp x_fault
	stubs
#--------------------------------------------------------------- mov_cr
#! rule encoding
entry:
	mov rax, cr3
	jmp x_fault
	stubs
#--------------------------------------------------------------- sgdt
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, sgdt [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- ldmxcsr_may_fault
#! rule fault
entry:
	ldmxcsr [rsp+sRAX]
	jmp x_fault
	stubs
#--------------------------------------------------------------- monitor
#! rule encoding
entry:
	monitor
	jmp x_fault
	stubs
#--------------------------------------------------------------- clzero
#! rule encoding
entry:
	clzero
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_in_the_kernel
#! rule branch
entry:
	endbr64
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_between_instructions
#! rule branch
entry:
	mov ecx, 0
	endbr64
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_in_a_number
#! rule branch
entry:
	mov eax, 0xfa1e0ff3
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_in_a_long_number
#! rule branch
entry:
	movabs rax, 0x7ffa1e0ff300
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_in_two_numbers
#! rule branch
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, test dword ptr [rdi+0x0ff30000], 0xfa1e
	jmp x_fault
	stubs
#--------------------------------------------------------------- endbr_in_a_constant
#! rule branch
entry:
	cmp rax, [rip+wanted]
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x7ffa1e0ff300
#--------------------------------------------------------------- endbr_behind_the_code
#! rule branch
entry:
	jmp x_fault
	stubs
	endbr64
#--------------------------------------------------------------- feature_absent
#! rule encoding
#! features sse4_2
entry:
	vzeroupper
	jmp x_fault
	stubs
#--------------------------------------------------------------- avx2_is_not_avx
#! rule encoding
#! features avx
entry:
	vpaddd ymm0, ymm0, ymm0
	jmp x_fault
	stubs

########################################################################## branch
#--------------------------------------------------------------- indirect_jump
#! rule branch
entry:
	load rax, sRAX
	jmp rax
	stubs
#--------------------------------------------------------------- indirect_jump_memory
#! rule branch
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, jmp [rdi]
	stubs
#--------------------------------------------------------------- call
#! rule branch
entry:
	call x_fault
	stubs
#--------------------------------------------------------------- indirect_call
#! rule branch
entry:
	load rax, sRAX
	call rax
	stubs
#--------------------------------------------------------------- ret
#! rule branch
entry:
	ret
	stubs
#--------------------------------------------------------------- ret_imm
#! rule branch
entry:
	ret 16
	stubs
#--------------------------------------------------------------- iret
#! rule branch
entry:
	iretq
	stubs
#--------------------------------------------------------------- syscall
#! rule branch
entry:
	syscall
	jmp x_fault
	stubs
#--------------------------------------------------------------- int80
#! rule branch
entry:
	int 0x80
	jmp x_fault
	stubs
#--------------------------------------------------------------- xbegin
#! rule branch
entry:
	xbegin x_fault
	jmp x_fault
	stubs
#--------------------------------------------------------------- into_an_instruction
#! rule branch
entry:
	jmp 1f+1
1:	mov eax, 0x0f050f05
	jmp x_fault
	stubs
#--------------------------------------------------------------- outside_the_code
#! rule branch
entry:
	.byte 0xe9
	.long 0x10000
	stubs
#--------------------------------------------------------------- before_the_code
#! rule branch
entry:
	.byte 0xeb, 0x80
	stubs
#--------------------------------------------------------------- into_a_dispatch
#! rule branch
entry:
	jmp 1f+4
1:	room_for 39
	jmp x_fault
	stubs
#--------------------------------------------------------------- into_the_constants
#! rule branch
entry:
	jmp wanted
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x401000
#--------------------------------------------------------------- data16_branch
#! rule branch
entry:
	.byte 0x66, 0xe9
	.long 0
	stubs
#--------------------------------------------------------------- data16_jcc
#! rule branch
entry:
	.byte 0x66, 0x0f, 0x84
	.long 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- unlisted_exit_jump
#! rule path
entry:
	mov dword ptr [rsp], 0
	.byte 0xe9
	.long 0
	stubs
#--------------------------------------------------------------- listed_conditional
#! rule branch
entry:
	mov dword ptr [rsp], 0
	.byte 0x0f
jump_at.0:
	.byte 0x84
	.long 0
	stubs
#--------------------------------------------------------------- listed_jump_not_zero
#! rule branch
entry:
	mov dword ptr [rsp], 0
jump_at.0:
	.byte 0xe9
	.long 4
	stubs
#--------------------------------------------------------------- listed_immediate
#! rule branch
entry:
jump_at.0:
	.byte 0xb8
	.long 0
	jmp x_fault
	stubs

########################################################################### stack
#--------------------------------------------------------------- rsp_moved
#! rule stack
entry:
	load rax, sRAX
	mov rsp, rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_added
#! rule stack
entry:
	add rsp, 8
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_shown
#! rule stack
entry:
	mov rax, rsp
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_address_shown
#! rule stack
entry:
	lea rax, [rsp+REGS]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_by_byte
#! rule stack
entry:
	load rax, sRAX
	mov spl, al
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_exchanged
#! rule stack
entry:
	load rax, sRAX
	xchg rsp, rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- rsp_by_cmov
#! rule stack
entry:
	cmovne rsp, [rsp+sRAX]
	jmp x_fault
	stubs
#--------------------------------------------------------------- push_register
#! rule stack
entry:
	load rax, sRAX
	push rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- push_immediate
#! rule stack
entry:
	push 2
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- pushfq_alone
#! rule stack
entry:
	pushfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_alone
#! rule stack
entry:
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_of_user_value
#! rule stack
entry:
	push [rsp+sRAX]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_of_tmp
#! rule stack
entry:
	push [rsp+TMP0]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_of_entry_flags
#! rule stack
entry:
	push [rsp+SYSFLAGS]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_of_copied_entry_flags
#! rule stack
entry:
	pushfq
	pop [rsp+UFLAGS]
	push [rsp+SYSFLAGS]
	pop [rsp+UFLAGS]
	push [rsp+UFLAGS]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_saved_on_one_path
#! rule stack
entry:
	load rax, sRAX
	test rax, rax
	je 1f
	pushfq
	pop [rsp+SYSFLAGS]
1:	push [rsp+SYSFLAGS]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_saved_before_another_entry
#! rule stack
entry_one:
	pushfq
	pop [rsp+UFLAGS]
entry_two:
	push [rsp+UFLAGS]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- popfq_before_access
#! rule stack
entry:
	push [rsp+SYSFLAGS]
	popfq
	load edi, sRDI
	user x_fault, mov eax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pop_to_limit
#! rule stack
entry:
	pushfq
	pop [rsp+LIMIT]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pair_torn_apart
#! rule stack
entry:
	pushfq
	nop
	pop [rsp+UFLAGS]
	jmp x_fault
	stubs
#--------------------------------------------------------------- branch_into_pair
#! rule stack
entry:
	jmp 1f
	pushfq
1:	pop [rsp+UFLAGS]
	jmp x_fault
	stubs
#--------------------------------------------------------------- entry_into_pair
#! rule stack
	pushfq
entry:
	pop [rsp+UFLAGS]
	jmp x_fault
	stubs
#--------------------------------------------------------------- push_of_user_memory
#! rule stack
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, push [rdi]
	popfq
	jmp x_fault
	stubs
#--------------------------------------------------------------- enter
#! rule encoding
entry:
	enter 16, 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- leave
#! rule stack
entry:
	leave
	jmp x_fault
	stubs

########################################################################## memory
#--------------------------------------------------------------- limit_raised
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+LIMIT], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- limit_raised_by_half
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+LIMIT+4], eax
	jmp x_fault
	stubs
#--------------------------------------------------------------- fsbase_written
#! rule memory
entry:
	inc qword ptr [rsp+FSBASE]
	jmp x_fault
	stubs
#--------------------------------------------------------------- flags_slot_written
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+UFLAGS], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- flags_slot_or
#! rule memory
entry:
	or dword ptr [rsp+SYSFLAGS], 0x100
	jmp x_fault
	stubs
#--------------------------------------------------------------- budget_raised
#! rule memory
entry:
	mov dword ptr [rsp+BUDGET], 0x7fffffff
	jmp x_fault
	stubs
#--------------------------------------------------------------- budget_with_exit
#! rule memory
entry:
	load rax, sRAX
	mov [rsp], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_from_register
#! rule memory
entry:
	load rax, sRAX
	mov [rsp], eax
	jmp x_fault
	stubs
#--------------------------------------------------------------- private_area
#! rule memory
entry:
	load rax, PRIVATE
	jmp x_fault
	stubs
#--------------------------------------------------------------- below_the_frame
#! rule memory
entry:
	load rax, -8
	jmp x_fault
	stubs
#--------------------------------------------------------------- regs_ip_written
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+sRIP], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- orig_ax_written
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+sORIG], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- across_two_slots
#! rule memory
entry:
	load rax, sRAX
	mov [rsp+sRDI+4], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- wider_by_folding
#! rule memory
entry:
	pxor xmm0, [rsp+sRAX]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vector_over_slots
#! rule memory
entry:
	movups [rsp+sRAX], xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- frame_with_index
#! rule memory
entry:
	load rax, sRAX
	mov rcx, [rsp+rax*8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_after_clamp
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	user x_fault, mov rax, [rdi+rcx*8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamped_index
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	clamp rcx
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- small_index_of_unclamped_base
#! rule speculation
entry:
	load rdi, sRDI
	load ecx, sRCX
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- scaled_index_is_not_the_base
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load ecx, sRCX
	user x_fault, mov rax, [rcx+rdi*2]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_no_longer_small
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	mov ecx, 8
	add rcx, rdi
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_small_on_one_path
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	test edi, edi
	je 1f
	mov ecx, ecx
1:	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- signed_index_counts_from_below
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	movsx rcx, cl
	user x_fault, mov rax, [rdi+rcx*8-0x1ffff8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- signed_index_of_32_bits
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	movsxd rcx, ecx
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_shifted_too_little
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	shr rcx, 31
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_masked_with_a_negative_number
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	and rcx, -0x7fffffff
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_of_16_bits_keeps_the_rest
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	mov cx, 8
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_below_zero_too_far
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load ecx, sRCX
	sub rcx, 0x40001
	user x_fault, mov rax, [rdi+rcx*8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- index_without_base
#! rule memory
entry:
	mov ecx, 8
	user x_fault, mov rax, [rcx*8+0x1000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- absolute
#! rule memory
entry:
	user x_fault, mov rax, ds:[0x1000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rip_beyond_constants
#! rule memory
entry:
	mov rax, [rip+8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rip_not_aligned
#! rule memory
entry:
	cmp rax, [rip+wanted+4]
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x401000, 0x401000
#--------------------------------------------------------------- rip_written
#! rule memory
entry:
	load rax, sRAX
	mov [rip+wanted], rax
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x401000
#--------------------------------------------------------------- rip_other_instruction
#! rule memory
entry:
	load rax, sRAX
	add rax, [rip+wanted]
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x401000
#--------------------------------------------------------------- fs_with_base
#! rule memory
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, fs:[rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fs_with_index
#! rule memory
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, fs:[rdi*8+16]
	jmp x_fault
	stubs
#--------------------------------------------------------------- xlat
#! rule encoding
entry:
	load rbx, REGS+40
	clamp rbx
	user x_fault, xlatb
	jmp x_fault
	stubs
#--------------------------------------------------------------- maskmovdqu
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, maskmovdqu xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- bit_string
#! rule encoding
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	user x_fault, bts [rdi], rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- bit_test_of_slot
#! rule encoding
entry:
	load rcx, sRCX
	bt [rsp+sRAX], rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- gather
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vpgatherdd ymm0, [rdi+ymm1*4], ymm2
	jmp x_fault
	stubs
#--------------------------------------------------------------- lock_on_slot
#! rule memory
entry:
	load rax, sRAX
	lock add [rsp+sRAX], rax
	jmp x_fault
	stubs

########################################################################### fault
#--------------------------------------------------------------- no_entry
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_div
#! rule fault
entry:
	load rax, sRAX
	load rcx, sRCX
	cqo
	idiv rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_fs
#! rule fault
entry:
	mov rax, fs:[0]
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_float
#! rule fault
entry:
	divsd xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- entry_for_harmless
#! rule fault
entry:
	user x_fault, load rax, sRAX
	jmp x_fault
	stubs
#--------------------------------------------------------------- entry_inside_instruction
#! rule fault
#! fault 3 x_fault
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- two_entries
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
fault_at.x_fault.x:
	user x_budget, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fixup_is_no_stub
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
again:
	user again, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fixup_accesses_memory
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	user undo, mov rax, [rdi]
	jmp x_fault
undo:
	user x_fault, mov [rdi], rax
	stub 0
	stubs
#--------------------------------------------------------------- fixup_rejoins_the_code
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	user again, mov rax, [rdi]
again:
	test rdi, rdi
	jne x_fault
	stub 0
	stubs
#--------------------------------------------------------------- fixup_inside_stub
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	user inner, mov rax, [rdi]
	jmp x_fault
x:	mov dword ptr [rsp], 0
inner:
	leave_code
	stubs
#--------------------------------------------------------------- fixup_keeps_orig_ax
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	user x_done, mov rax, [rdi]
	jmp x_fault
	stubs

######################################################################### pointer
#--------------------------------------------------------------- unchecked
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- loaded_inherits_check
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rdi, [rdi]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- mask_recorded_but_dropped
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	cmp rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_wrong_register
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	add rdi, rsi
	cmp rsi, [rsp+LIMIT]
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_wrong_condition
#! rule pointer
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	cmovg rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_reversed
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	cmp [rsp+LIMIT], rdi
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_with_fsbase
#! rule pointer
entry:
	load rdi, sRDI
	cmp rdi, [rsp+FSBASE]
	cmovae rdi, [rsp+FSBASE]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_moves_other_value
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	cmp rdi, [rsp+LIMIT]
	cmovae rdi, [rsp+sRSI]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_half_compared
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	cmp edi, [rsp+LIMIT]
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_flags_changed
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	cmp rdi, [rsp+LIMIT]
	test rcx, rcx
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_flags_by_pxor_adc
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	cmp rdi, [rsp+LIMIT]
	pxor xmm0, xmm0
	adc rcx, 1
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_flags_by_shift
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	load rdx, sRDX
	cmp rdi, [rsp+LIMIT]
	shl rdx, cl
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_flags_by_popfq
#! rule pointer
entry:
	load rdi, sRDI
	pushfq
	pop [rsp+UFLAGS]
	cmp rdi, [rsp+LIMIT]
	push [rsp+UFLAGS]
	popfq
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_value_changed
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	cmp rdi, [rsp+LIMIT]
	lea rdi, [rdi+rcx]
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_on_one_path
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	add rdi, rdi
	test rcx, rcx
	je 1f
	clamp rdi
1:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_jumped_over
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	jmp 1f
	cmp rdi, [rsp+LIMIT]
1:	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_over_dispatch
#! rule pointer
entry:
	load rbx, REGS+40
	add rbx, rbx
	cmp rbx, [rsp+LIMIT]
	dispatch 39
	cmovae rbx, [rsp+LIMIT]
	user x_fault, mov rax, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- second_entry_without_clamp
#! rule pointer
entry_one:
	load rdi, sRDI
	clamp rdi
	jmp 1f
entry_two:
	load rdi, sRDI
	add rdi, rdi
1:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- mask_after_disp
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	add rdi, 0x7fffffff
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- disp_too_low
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov al, [rdi-0x200001]
	jmp x_fault
	stubs
#--------------------------------------------------------------- disp_and_size_too_high
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, [rdi+0x7ffffff9]
	jmp x_fault
	stubs
#--------------------------------------------------------------- wide_access_too_high
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, movups xmm0, [rdi+0x7ffffff1]
	jmp x_fault
	stubs
#--------------------------------------------------------------- disp_adds_up
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	sub rdi, 0x100000
	sub rdi, 0x100000
	user x_fault, mov rax, [rdi-8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- align_adds_up
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	and rdi, -16
	user x_fault, mov rax, [rdi-0x200000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fs_disp_too_low
#! rule pointer
entry:
	user x_fault, mov rax, fs:[0xffffffffffdffff8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- moves_more_than_it_pays
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
1:	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	user x_fault, mov eax, [rdi]
	add rdi, 72
	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- moves_down_in_a_paying_loop
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
1:	sub dword ptr [rsp+BUDGET], 100
	js x_budget
	user x_fault, mov eax, [rdi]
	sub rdi, 8
	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- moves_up_segment_after_segment
#! rule pointer
entry:
	load rbx, sRDI
	clamp rbx
2:	sub dword ptr [rsp+BUDGET], 4
	js x_budget
	user x_fault, mov eax, [rbx]
	add rbx, 8
	test eax, eax
	jne 2b
	dispatch 39
	test rax, rax
	jns 2b
	mov [rsp+sRAX], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- grows_in_a_loop
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
1:	sub dword ptr [rsp+BUDGET], 5
	js x_budget
	user x_fault, mov rax, [rdi]
	sub rdi, 8
	jmp 1b
	stubs
#--------------------------------------------------------------- xchg_zero_ext
#! rule pointer
entry:
	load rdi, sRDI
	load rax, sRAX
	add rax, rdi
	nop
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- xchg_with_r8_is_no_nop
#! rule pointer
entry:
	load r8, sRAX
	load rax, sRAX
	clamp rax
	xchg r8, rax
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- xchg_swaps_the_clamp
#! rule pointer
entry:
	load rdi, sRDI
	load rax, sRAX
	clamp rdi
	xchg rdi, rax
	user x_fault, mov rcx, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- bsf_zero_source
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	add rdi, rdi
	bsf edi, ecx
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- tzcnt_runs_as_bsf
#! rule encoding
#! features sse4_2
entry:
	load rdi, sRDI
	load rcx, sRCX
	add rdi, rdi
	tzcnt edi, ecx
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmpxchg_keeps_upper
#! rule pointer
entry:
	load rax, sRAX
	load rcx, sRCX
	load rdx, sRDX
	add rcx, rdx
	cmpxchg ecx, edx
	user x_fault, mov rax, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmpxchg_writes_rax
#! rule pointer
entry:
	load rax, sRAX
	load rcx, sRCX
	load rdi, sRDI
	clamp rdi
	clamp rax
	user x_fault, lock cmpxchg [rdi], rcx
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- second_dest_xadd
#! rule pointer
entry:
	load rsi, sRSI
	load rdi, sRDI
	clamp rdi
	clamp rsi
	user x_fault, xadd [rdi], rsi
	user x_fault, mov rcx, [rsi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- second_dest_xchg
#! rule pointer
entry:
	load rsi, sRSI
	load rdi, sRDI
	clamp rdi
	clamp rsi
	user x_fault, xchg rsi, [rdi]
	user x_fault, mov rcx, [rsi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- second_dest_mulx
#! rule pointer
#! features bmi2
entry:
	load rdx, sRDX
	load rdi, sRDI
	clamp rdi
	mulx rsi, rdi, rdx
	user x_fault, mov rcx, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- implicit_dest_mul
#! rule pointer
entry:
	load rax, sRAX
	load rdx, sRDX
	clamp rdx
	mul rax
	user x_fault, mov rcx, [rdx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- implicit_dest_cqo
#! rule pointer
entry:
	load rax, sRAX
	load rdx, sRDX
	clamp rdx
	cqo
	user x_fault, mov rcx, [rdx-0x200000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- implicit_dest_cdqe
#! rule pointer
entry:
	load eax, sRAX
	cdqe
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- sign_extended_load
#! rule pointer
entry:
	movsxd rax, dword ptr [rsp+sRAX]
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- high_byte
#! rule pointer
entry:
	load rax, sRAX
	clamp rax
	mov ah, 0xff
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- dil_is_not_bh
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	mov dil, 0xff
	user x_fault, mov rcx, [rdi-0x200000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- word_write
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	mov di, 0xffff
	user x_fault, mov rcx, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- setcc_after_clamp
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	sete dil
	user x_fault, mov rcx, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmov_after_clamp
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	cmove rdi, [rsp+sRSI]
	user x_fault, mov rcx, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- constant_above_a_far_displacement
#! rule pointer
entry:
	mov r11, 0xffff800000001000
	user x_fault, mov eax, [r11-0x40000000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- one_of_two_constants_at_a_far_displacement
#! rule pointer
entry:
	load eax, sRAX
	mov r11, 0x7f0000001000
	test eax, eax
	je 1f
	mov r11, 0x7e0000001000
1:	user x_fault, mov eax, [r11-0x40000000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- kernel_constant
#! rule pointer
entry:
	movabs r11, 0xffffffff81000000
	user x_fault, mov rcx, [r11]
	jmp x_fault
	stubs
#--------------------------------------------------------------- sign_extended_constant
#! rule pointer
entry:
	mov r11, -0x80000000
	user x_fault, mov rcx, [r11]
	jmp x_fault
	stubs
#--------------------------------------------------------------- constant_above_47_bits
#! rule pointer
entry:
	movabs r11, 0x800000000000
	user x_fault, mov rcx, [r11]
	jmp x_fault
	stubs
#--------------------------------------------------------------- constant_plus_constant
#! rule pointer
entry:
	movabs r11, 0x7fffffff0000
	add r11, 0x10000
	user x_fault, mov rcx, [r11]
	jmp x_fault
	stubs
#--------------------------------------------------------------- caller_saved_over_dispatch
#! rule leak
entry:
	load rdi, sRDI
	clamp rdi
	dispatch 39
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- result_is_no_pointer
#! rule pointer
entry:
	load rax, sRAX
	clamp rax
	dispatch 39
	user x_fault, mov rcx, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- prefetch_of_kernel
#! rule pointer
entry:
	load rdi, sRDI
	add rdi, rdi
	prefetcht0 [rdi]
	jmp x_fault
	stubs

########################################################################## budget
#--------------------------------------------------------------- self_loop
#! rule budget
entry:
	jmp entry
	stubs
#--------------------------------------------------------------- free_loop
#! rule budget
entry:
	load rcx, sRCX
1:	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- loop_instruction
#! rule budget
entry:
	load rcx, sRCX
1:	nop
	loop 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- charge_jumped_over
#! rule budget
entry:
	load rcx, sRCX
	sub dword ptr [rsp+BUDGET], 1
	js x_budget
1:	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- branch_behind_charge
#! rule budget
entry:
	load rcx, sRCX
	sub dword ptr [rsp+BUDGET], 1
1:	js x_budget
	dec rcx
	jmp 1b
	stubs
#--------------------------------------------------------------- inner_loop_free
#! rule budget
entry:
	load rcx, sRCX
1:	sub dword ptr [rsp+BUDGET], 1
	js x_budget
2:	dec rcx
	jne 2b
	jmp 1b
	stubs
#--------------------------------------------------------------- one_arm_free
#! rule budget
entry:
	load rcx, sRCX
1:	dec rcx
	je 2f
	sub dword ptr [rsp+BUDGET], 1
	js x_budget
2:	jmp 1b
	stubs
#--------------------------------------------------------------- long_path
#! rule budget
entry:
	.rept 4097
	nop
	.endr
	jmp x_fault
	stubs
#--------------------------------------------------------------- long_path_of_two_blocks
#! rule budget
entry:
	load rcx, sRCX
	.rept 2050
	nop
	.endr
	test ecx, ecx
	je 1f
	nop
1:	.rept 2050
	nop
	.endr
	jmp x_fault
	stubs
#--------------------------------------------------------------- long_path_behind_a_charge
#! rule budget
entry:
	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	.rept 4097
	nop
	.endr
	jmp x_fault
	stubs
#--------------------------------------------------------------- charge_without_js
#! rule budget
entry:
	load rcx, sRCX
1:	sub dword ptr [rsp+BUDGET], 1
	dec rcx
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_wrong_condition
#! rule budget
entry:
1:	sub dword ptr [rsp+BUDGET], 1
	je x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_negative
#! rule budget
entry:
1:	sub dword ptr [rsp+BUDGET], -1
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_zero
#! rule budget
entry:
1:	sub dword ptr [rsp+BUDGET], 0
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_by_register
#! rule memory
entry:
	load rax, sRAX
1:	sub dword ptr [rsp+BUDGET], eax
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_by_count_may_be_nothing
#! rule budget
entry:
	load rcx, sRCX
1:	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- charge_one_byte
#! rule memory
entry:
1:	sub byte ptr [rsp+BUDGET], 1
	js x_budget
	jmp 1b
	stubs
#--------------------------------------------------------------- js_back_into_loop
#! rule budget
entry:
1:	sub dword ptr [rsp+BUDGET], 1
	js 1b
	jmp 1b
	stubs
#--------------------------------------------------------------- budget_refilled
#! rule memory
entry:
1:	add dword ptr [rsp+BUDGET], 1
	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	jmp 1b
	stubs

############################################################################ path
#--------------------------------------------------------------- off_the_end
#! rule path
	stubs
entry:
	nop
#--------------------------------------------------------------- into_padding
#! rule path
entry:
	nop
	.byte 0xcc
	stubs
#--------------------------------------------------------------- into_constants
#! rule path
	stubs
	.balign 8, 0x90
entry:
	nop
	nop dword ptr [rax+0]
	nop dword ptr [rax]
constants:
	.quad 0x401000
#--------------------------------------------------------------- conditional_at_end
#! rule path
	stubs
entry:
	load rax, sRAX
	test rax, rax
	je x_fault
#--------------------------------------------------------------- entry_inside_instruction_start
#! rule path
#! entry 1
	load rax, sRAX
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_at_all
#! rule path
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_without_number
#! rule path
entry:
	leave_code
	stubs
#--------------------------------------------------------------- tail_without_number
#! rule path
entry:
	load rax, sRAX
	test rax, rax
	je tail
	mov dword ptr [rsp], 0
	jmp tail
tail:
	mov [rsp+sRAX], rax
	leave_code
	stubs
#--------------------------------------------------------------- exit_number_too_high
#! rule path
entry:
	stub 5
	stubs
#--------------------------------------------------------------- work_after_exit_number
#! rule path
entry:
	load rdi, sRDI
	clamp rdi
	mov dword ptr [rsp], 0
	user x_fault, mov rax, [rdi]
	leave_code
	stubs
#--------------------------------------------------------------- two_exit_numbers
#! rule path
entry:
	mov dword ptr [rsp], 0
	jmp x_budget
	stubs
#--------------------------------------------------------------- branch_after_exit_number
#! rule path
entry:
	mov dword ptr [rsp], 0
	je 1f
1:	leave_code
	stubs
#--------------------------------------------------------------- dispatch_after_exit_number
#! rule path
entry:
	mov dword ptr [rsp], 0
	dispatch 39
	leave_code
	stubs
#--------------------------------------------------------------- dispatch_forbidden_call
#! rule path
entry:
	dispatch 59
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatch_pre_no_stub
#! rule path
entry:
	dispatch 39, entry, x_done
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatch_post_no_stub
#! rule path
entry:
	dispatch 39, x_work, after
after:
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatch_pre_keeps_orig_ax
#! rule path
entry:
	dispatch 39, x_done, x_done
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatch_post_loses_orig_ax
#! rule path
entry:
	dispatch 39, x_work, x_work
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatched_without_dispatch
#! rule path
entry:
	jmp x_done
	stubs
#--------------------------------------------------------------- dispatched_by_falling_through
#! rule path
entry:
	nop
x_done:
	stub 3
#--------------------------------------------------------------- dispatch_filled_already
#! rule path
entry:
dispatch_at.39.x_work.x_done.0:
	.fill DISPATCH-1, 1, 0xcc
	.byte 0x90
	jmp x_fault
	stubs
#--------------------------------------------------------------- dispatch_cut_off
#! rule path
	stubs
entry:
dispatch_at.39.x_work.x_done.0:
	.fill 100, 1, 0xcc
#--------------------------------------------------------------- dispatches_overlap
#! rule path
entry:
dispatch_at.39.x_work.x_done.0:
	.fill 8, 1, 0xcc
dispatch_at.39.x_work.x_done.1:
	.fill DISPATCH, 1, 0xcc
	jmp x_fault
	stubs
#--------------------------------------------------------------- constants_not_aligned
#! rule path
entry:
	jmp x_fault
	stubs
	.balign 8, 0xcc
	.byte 0xcc
constants:
	.quad 0x401000
#--------------------------------------------------------------- constants_no_user_address
#! rule path
entry:
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
	.quad 0xffffffff81000000
#--------------------------------------------------------------- vector_without_saying_so
#! rule path
#! scalar
entry:
	pxor xmm0, xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- vzeroupper_without_saying_so
#! rule path
#! scalar
entry:
	vzeroupper
	jmp x_fault
	stubs
#--------------------------------------------------------------- conversion_of_memory_without_saying_so
#! rule path
#! scalar
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, cvtsd2si rax, qword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- truncation_of_memory_without_saying_so
#! rule path
#! scalar
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, cvttss2si eax, dword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vex_conversion_of_memory_without_saying_so
#! rule path
#! scalar
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vcvtss2si eax, dword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_conversion_of_memory_without_saying_so
#! rule path
#! scalar
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vcvttsd2usi rax, qword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- mxcsr_without_saying_so
#! rule path
#! scalar
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, stmxcsr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vector_dispatch_too_small
#! rule path
entry:
dispatch_at.39.x_work.x_done.0:
	.fill DISPATCH-64, 1, 0xcc
	pxor xmm0, xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_to_kernel_address
#! rule path
#! exit FAULT NONE 0xffffffff81000000
entry:
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_flags_contradict
#! rule path
#! exit FAULT SLOT_FLAGS|SLOT_SYSFLAGS
entry:
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_without_reason
#! rule path
#! exit NONE
entry:
	jmp x_fault
	stubs
#--------------------------------------------------------------- exit_dispatched_by_flag_only
#! rule path
#! exit FAULT DISPATCHED
entry:
	jmp x_fault
	stubs

##################################################################### speculation
#--------------------------------------------------------------- clamped_then_reloaded
#! rule speculation
entry:
	load rdi, sRDI
	clamp rdi
	mov [rsp+sRDI], rdi
	load rdi, sRDI
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamped_through_tmp
#! rule speculation
entry:
	load rdi, sRDI
	clamp rdi
	mov [rsp+TMP0], rdi
	load rsi, TMP0
	user x_fault, mov rax, [rsi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- branch_instead_of_clamp
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_written_then_reloaded
#! rule speculation
entry:
	load rax, sRAX
	mov [rsp+sRSP], rax
	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_written_by_half
#! rule speculation
entry:
	mov word ptr [rsp+sRSP+6], 0xffff
	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_written_on_one_path
#! rule speculation
entry:
	load rbp, sRSP
	load rax, sRAX
	test rax, rax
	je 1f
	mov [rsp+sRSP], rax
1:	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_written_round_the_loop
#! rule speculation
entry:
1:	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	mov [rsp+sRSP], rax
	dispatch 39
	jmp 1b
	stubs

############################################################################ leak
#--------------------------------------------------------------- entry_register_stored
#! rule leak
entry:
	mov [rsp+sRDI], rdi
	jmp x_fault
	stubs
#--------------------------------------------------------------- handler_register_stored
#! rule leak
entry:
	load rdi, sRDI
	dispatch 39
	mov [rsp+sRDI], rdi
	jmp x_fault
	stubs
#--------------------------------------------------------------- stale_register_in_tail
#! rule leak
entry:
	load rdi, sRDI
	clamp rdi
	user y_fault, mov rax, [rdi]
	jmp y_fault
y_fault:
	mov dword ptr [rsp], 0
	mov [rsp+sRAX], rax
	leave_code
	stubs
#--------------------------------------------------------------- scratch_at_pre
#! rule leak
entry:
	load r11, sR11
	dispatch 39, y_work, x_done
	jmp x_fault
y_work:
	mov dword ptr [rsp], 2
	mov [rsp+sR11], r11
	leave_code
	stubs
#--------------------------------------------------------------- partial_write
#! rule leak
entry:
	mov al, 1
	mov [rsp+sRAX], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- conditional_write
#! rule leak
entry:
	cmove rdi, [rsp+sRDI]
	mov [rsp+sRDI], rdi
	jmp x_fault
	stubs
#--------------------------------------------------------------- defined_on_one_path
#! rule leak
entry:
	load rax, sRAX
	test rax, rax
	je 1f
	load rdi, sRDI
1:	mov [rsp+sRDI], rdi
	jmp x_fault
	stubs
#--------------------------------------------------------------- tmp_read_first
#! rule leak
entry:
	load rax, TMP0
	jmp x_fault
	stubs
#--------------------------------------------------------------- target_not_set
#! rule leak
entry:
	stub 4
	stubs
#--------------------------------------------------------------- code_address_shown
#! rule leak
entry:
	lea rax, [rip+x_fault]
	jmp x_fault
	stubs
#--------------------------------------------------------------- timing_of_kernel_register
#! rule leak
entry:
	load rdi, sRDI
	clamp rdi
	lea rdi, [rdi+rsi]
	jmp x_fault
	stubs

#################################################################### vector and integer forms
#--------------------------------------------------------------- pcmpistri_writes_rcx
#! rule pointer
entry:
	load rcx, sRCX
	clamp rcx
	pcmpistri xmm0, xmm1, 8
	user x_fault, mov al, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vpcmpistri_writes_rcx
#! rule pointer
entry:
	load rcx, sRCX
	clamp rcx
	vpcmpistri xmm0, xmm1, 8
	user x_fault, mov al, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pcmpestri_writes_rcx
#! rule pointer
entry:
	load rcx, sRCX
	clamp rcx
	load rax, sRAX
	load rdx, sRDX
	pcmpestri xmm0, xmm1, 8
	user x_fault, mov al, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdtscp_writes_rcx
#! rule pointer
entry:
	load rcx, sRCX
	clamp rcx
	rdtscp
	user x_fault, mov al, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pmovmskb_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	pmovmskb ebx, xmm0
	mov rbx, rbx
	add rbx, rbx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vmovd_is_no_store
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	vmovq rbx, xmm1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pextrw_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	pextrq rbx, xmm0, 1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cvttsd2si_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	user x_fault, cvttsd2si rbx, xmm0
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- movmskpd_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	movmskpd ebx, xmm0
	sub ebx, 1
	movsxd rbx, ebx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- pdep_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	pdep rbx, rbx, rbx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- adcx_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	adcx rbx, rbx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rcl_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	rcl rbx, 1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- shrd_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	shrd rbx, rbx, 1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- crc32_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	crc32 rbx, rbx
	not rbx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- movbe_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	user x_fault, movbe rbx, [rdi]
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rdpid_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rbx, sRBX
	clamp rbx
	rdpid rbx
	bswap rbx
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmpxchg16b_writes_rdx
#! rule pointer
entry:
	load rdi, sRDI
	load rax, sRAX
	load rcx, sRCX
	load rbx, sRBX
	load rdx, sRDX
	clamp rdi
	clamp rdx
	user x_fault, lock cmpxchg16b [rdi]
	user x_fault, mov al, [rdx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmpxchg8b_writes_rax
#! rule pointer
entry:
	load rdi, sRDI
	load rax, sRAX
	load rcx, sRCX
	load rbx, sRBX
	load rdx, sRDX
	clamp rdi
	clamp rax
	user x_fault, lock cmpxchg8b [rdi]
	user x_fault, mov al, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- mulx_reads_rdx
#! rule leak
entry:
	load rcx, sRCX
	mulx rsi, rdi, rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- pcmpestri_reads_rdx
#! rule leak
entry:
	load rax, sRAX
	pcmpestri xmm0, xmm1, 8
	jmp x_fault
	stubs
#--------------------------------------------------------------- vex_l_makes_it_32_bytes
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vmovups ymm0, [rdi+0x7ffffff0]
	jmp x_fault
	stubs
#--------------------------------------------------------------- masked_move_counts_in_full
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vpmaskmovd ymm0, ymm1, [rdi+0x7ffffff0]
	jmp x_fault
	stubs
#--------------------------------------------------------------- masked_store_counts_in_full
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vmaskmovps [rdi+0x7ffffff8], xmm1, xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- insert_of_16_bytes
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, vinserti128 ymm0, ymm0, [rdi+0x7ffffff8], 1
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmpxchg16b_is_16_bytes
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	load rax, sRAX
	load rcx, sRCX
	load rbx, sRBX
	load rdx, sRDX
	user x_fault, lock cmpxchg16b [rdi+0x7ffffff8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- aes_reads_16_bytes
#! rule pointer
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, aesenc xmm0, [rdi+0x7ffffff8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- widening_move_over_slots
#! rule memory
entry:
	pmovzxbw xmm0, [rsp+sRAX]
	movaps xmm0, [rsp+sRAX]
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_cmpps
#! rule fault
entry:
	cmpltps xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_fma
#! rule fault
entry:
	vfmadd231pd ymm0, ymm1, ymm2
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_round
#! rule fault
entry:
	roundsd xmm0, xmm1, 3
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_dot_product
#! rule fault
entry:
	dpps xmm0, xmm1, 1
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_half
#! rule fault
entry:
	vcvtps2ph xmm0, ymm1, 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- no_entry_for_masked_move
#! rule fault
entry:
	load rdi, sRDI
	clamp rdi
	vpmaskmovd ymm0, ymm1, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- vex_l_not_for_this
#! rule encoding
entry:
	.byte 0xc4, 0xe1, 0x7d, 0x6e, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- vex_w_not_for_this
#! rule encoding
entry:
	.byte 0xc4, 0xe2, 0xfd, 0x58, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- blend_register_with_ignored_bits
#! rule encoding
entry:
	.byte 0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0x13
	jmp x_fault
	stubs
#--------------------------------------------------------------- vmaskmovdqu
#! rule encoding
entry:
	vmaskmovdqu xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- two_features_needed
#! rule encoding
#! features aes
entry:
	vaesenc xmm0, xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- vaes_is_not_aes
#! rule encoding
#! features aes avx avx2
entry:
	vaesenc ymm0, ymm0, ymm1
	jmp x_fault
	stubs

###################################################################### string instructions
#--------------------------------------------------------------- string_pointer_not_clamped
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	load rdi, sRDI
	lea rdi, [rdi+8]
	user x_fault, stosb
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_pointer_reloaded
#! rule speculation
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	load rdi, sRDI
	user x_fault, stosb
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_second_pointer_not_clamped
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	add rsi, rax
	user x_fault, movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- cmps_second_pointer_not_clamped
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	not rdi
	user x_fault, cmpsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_without_entry
#! rule fault
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	stosq
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_reads_garbage
#! rule leak
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, stosd
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_pointer_too_high
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	add rdi, 0x7ffffff9
	user x_fault, stosq
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_pointer_too_low
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	sub rdi, 0x200001
	user x_fault, scasb
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_moves_in_a_free_loop
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
1:
	user x_fault, lodsb
	test al, al
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_moves_without_bound
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	sub rdi, 0x1ffff8
	sub rdi, 8
	user x_fault, stosb
	sub rdi, 2
	user x_fault, stosb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_not_paid
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_compared_not_paid
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_paid_not_compared
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_compared_with_too_much
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10001
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_compared_with_less_than_nothing
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, -1
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_half_compared
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp ecx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_other_register_compared
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rax, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_wrong_condition
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	jg x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_on_the_wrong_arm
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja 1f
	jmp x_fault
1:
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_compared_and_jumped_over
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	test rax, rax
	je 1f
	cmp rcx, 0x10000
	ja x_fault
1:
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_flags_changed_before_the_branch
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	test rax, rax
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_count_changed_after_paying
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	inc rcx
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_count_byte_changed_after_paying
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	mov ch, al
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_count_changed_before_paying
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	neg rcx
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_paid_on_one_path
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	test rax, rax
	je 1f
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
1:
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_pays_for_one_only
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep scasb
	load rdi, sRDI
	clamp rdi
	user x_fault, repne scasb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_paid_before_a_dispatch
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	dispatch 39
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	clamp rdi
	clamp rsi
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_charge_without_js
#! rule budget
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	user x_fault, rep movsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_pointer_unknown_after_rep
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep movsb
	user x_fault, mov al, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_source_unknown_after_rep
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, repe cmpsb
	user x_fault, mov al, [rsi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_count_is_no_pointer
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	clamp rcx
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, repe cmpsb
	user x_fault, mov al, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_interval_too_large
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	add rdi, 0x7ff80001
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep stosq
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_on_stos_keeps_no_lods
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	mov eax, 0x1000
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, rep lodsq
	user x_fault, mov al, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- rep_on_what_has_no_rep
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	.byte 0xf3, 0x01, 0xc8
	jmp x_fault
	stubs
#--------------------------------------------------------------- repne_on_movs
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	user x_fault, .byte 0xf2, 0xa4
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_with_32_bit_address
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, .byte 0x67, 0xa4
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_with_fs
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, .byte 0x64, 0xa4
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_with_gs
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, .byte 0x65, 0xa4
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_with_lock
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, .byte 0xf0, 0xa4
	jmp x_fault
	stubs
#--------------------------------------------------------------- port_string
#! rule encoding
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	outsb
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_in_a_stub
#! rule fault
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user y, mov al, [rdi]
	jmp x_fault
y:
	user x_fault, stosb
	mov dword ptr [rsp], 0
	leave_code
	jmp x_fault
	stubs

######################################################################## AVX-512
#--------------------------------------------------------------- evex_disp8_counts_in_vectors
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	add rdi, 0x7fffe001
	user x_fault, vmovups zmm0, [rdi+0x1fc0]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_disp8_counts_downwards
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	sub rdi, 0x1fe001
	user x_fault, vmovups [rdi-0x2000], zmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_disp8_of_a_broadcast
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	sub rdi, 0x1ffc01
	user x_fault, vpaddq zmm0, zmm1, [rdi-0x400]{1to8}
	jmp x_fault
	stubs
#--------------------------------------------------------------- zmm_is_64_bytes
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vmovdqu64 zmm16, [rdi+0x7fffffc1]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_mask_counts_in_full
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vmovdqu8 zmm0{k1}{z}, [rdi+0x7fffffc1]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_masked_store_counts_in_full
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vmovdqu8 [rdi+0x7fffffc1]{k1}, zmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- broadcast_counts_its_element
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vpaddq zmm0, zmm1, [rdi+0x7ffffff9]{1to8}
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_index
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vmovdqu64 zmm16, [rdi+rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_masked_without_entry
#! rule fault
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	vmovdqu8 zmm0{k1}, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_sae_without_entry
#! rule fault
entry:
	vcmpps k1, zmm0, zmm1, {sae}, 1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_rounding_without_entry
#! rule fault
entry:
	vaddpd zmm0, zmm1, zmm2, {rz-sae}
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_store_to_a_slot
#! rule memory
entry:
	vmovd dword ptr [rsp+sRAX], xmm16
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_masked_store_to_a_slot
#! rule memory
entry:
	vmovss dword ptr [rsp+TMP0]{k1}, xmm1
	mov eax, [rsp+TMP0]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_vector_over_slots
#! rule memory
entry:
	vmovdqu64 xmm16, [rsp+sRAX]
	jmp x_fault
	stubs
#--------------------------------------------------------------- kmovq_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	kmovq rbx, k1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_extract_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	vpextrq rbx, xmm17, 1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_convert_writes_a_gpr
#! rule pointer
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vcvttsd2usi rbx, xmm1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- kortest_changes_flags
#! rule pointer
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	kortestw k1, k1
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov al, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- kmov_reads_garbage
#! rule leak
entry:
	kmovd k1, ecx
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_broadcast_reads_garbage
#! rule leak
entry:
	vpbroadcastq zmm0, rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_gather
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vpgatherdd zmm0{k1}, [rdi+zmm1*4]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_scatter
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vpscatterdd [rdi+zmm1*4]{k1}, zmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_compress_to_memory
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vpcompressd [rdi]{k1}, zmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_expand_from_memory
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vpexpandd zmm0{k1}, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_zeroing_in_memory
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, .byte 0x62, 0xf1, 0x7c, 0xc9, 0x11, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_zeroing_without_mask
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x7c, 0xc8, 0x10, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_mask_on_what_has_none
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x7d, 0x09, 0x6e, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_broadcast_of_bytes
#! rule encoding
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, .byte 0x62, 0xf1, 0x7d, 0x58, 0xfc, 0x07
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_length_3
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x7d, 0x68, 0xfe, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_length_of_a_scalar
#! rule encoding
entry:
	user x_fault, .byte 0x62, 0xf1, 0x7e, 0x28, 0x58, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_reserved_bit
#! rule encoding
entry:
	.byte 0x62, 0xf9, 0x7d, 0x48, 0xfe, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_other_reserved_bit
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x79, 0x48, 0xfe, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_vvvv_without_effect
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x75, 0x48, 0x6f, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_high_vvvv_without_effect
#! rule encoding
entry:
	.byte 0x62, 0xf1, 0x7d, 0x40, 0x6f, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_register_16_of_general_ones
#! rule encoding
entry:
	user x_fault, .byte 0x62, 0xe1, 0x7f, 0x08, 0x78, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_x_with_a_general_register
#! rule encoding
entry:
	.byte 0x62, 0xb2, 0x7d, 0x08, 0x7a, 0xc0
	jmp x_fault
	stubs
#--------------------------------------------------------------- mask_register_8
#! rule encoding
entry:
	.byte 0xc5, 0x78, 0x44, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- mask_register_8_in_vvvv
#! rule encoding
entry:
	.byte 0xc5, 0xbc, 0x41, 0xd3
	jmp x_fault
	stubs
#--------------------------------------------------------------- evex_prefix_before
#! rule encoding
entry:
	.byte 0x66, 0x62, 0xf1, 0x7d, 0x48, 0xfe, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- avx512vl_is_one_more
#! rule encoding
#! features avx512f
entry:
	vpaddd ymm16, ymm0, ymm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- avx512bw_is_not_avx512f
#! rule encoding
#! features avx512f avx512vl
entry:
	vpaddb zmm16, zmm0, zmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- mask_registers_without_saying_so
#! rule path
#! scalar
entry:
	kxorw k1, k1, k1
	jmp x_fault
	stubs

#################################################################### x87 and MMX
#--------------------------------------------------------------- x87_without_saying_so
#! rule path
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_without_saying_so
#! rule path
entry:
	load rdi, sRDI
	clamp rdi
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_without_fip
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_fip_before_it
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	mov dword ptr [rsp+FIP], 0x401000
	user x_fault, fld qword ptr [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_fip_later
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	nop
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_fip_of_zero
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_fip_cleared_again
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	mov dword ptr [rsp+FIP], 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_cleared_on_its_own
#! rule leak
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	nop
	mov dword ptr [rsp+FIP], 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_of_the_kernel
#! rule path
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	mov dword ptr [rsp+FIP+4], 0xffff8880
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_just_above_user_space
#! rule path
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld qword ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	mov dword ptr [rsp+FIP+4], 0x8000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_from_a_register
#! rule memory
#! x87
entry:
	load rax, sRAX
	user x_fault, fld1
	mov dword ptr [rsp+FIP], eax
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_in_one_go
#! rule memory
#! x87
entry:
	user x_fault, fld1
	mov qword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_shifted
#! rule memory
#! x87
entry:
	user x_fault, fld1
	mov dword ptr [rsp+FIP+2], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_by_halves_of_halves
#! rule memory
#! x87
entry:
	user x_fault, fld1
	mov word ptr [rsp+FIP], 0x4010
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_read
#! rule memory
#! x87
entry:
	mov eax, [rsp+FIP]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_added_to
#! rule memory
#! x87
entry:
	user x_fault, fld1
	add dword ptr [rsp+FIP], 1
	jmp x_fault
	stubs
#--------------------------------------------------------------- fip_jumped_over
#! rule leak
#! x87
entry:
	load rax, sRAX
	test rax, rax
	je 1f
	user x_fault, fld1
	mov dword ptr [rsp+FIP], 7
1:
	mov dword ptr [rsp+FIP+4], 0
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_without_entry
#! rule fault
#! x87
entry:
	fld1
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fwait_without_entry
#! rule fault
#! x87
entry:
	fwait
	jmp x_fault
	stubs
#--------------------------------------------------------------- mmx_without_entry
#! rule fault
entry:
	paddb mm0, mm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- emms_without_entry
#! rule fault
entry:
	emms
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_operand_in_the_frame
#! rule leak
#! x87
entry:
	user x_fault, fld qword ptr [rsp+sRAX]
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_tbyte_is_10_bytes
#! rule pointer
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fstp tbyte ptr [rdi+0x7ffffff7]
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_bcd_is_10_bytes
#! rule pointer
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fbstp tbyte ptr [rdi+0x7ffffff7]
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- fcomi_changes_flags
#! rule pointer
#! x87
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	user x_fault, fcomi st, st(1)
	mov dword ptr [rsp+FIP], 0x401000
	cmovae rdi, [rsp+LIMIT]
	user x_fault, mov al, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fnstsw_writes_ax
#! rule pointer
#! x87
entry:
	load eax, sRAX
	fnstsw ax
	user x_fault, mov al, [rax]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fnstsw_writes_half
#! rule leak
#! x87
entry:
	fnstsw ax
	mov [rsp+sRAX], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- pmovmskb_of_mmx_writes_a_gpr
#! rule pointer
entry:
	load rbx, sRBX
	clamp rbx
	user x_fault, movq rbx, mm1
	user x_fault, mov al, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fldcw_unmasks
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fldcw [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fnstenv
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fnstenv [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fnsave
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fnsave [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fldenv
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fldenv [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- frstor
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, frstor [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- fninit
#! rule encoding
#! x87
entry:
	fninit
	jmp x_fault
	stubs
#--------------------------------------------------------------- fxsave
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fxsave [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- xsave
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, xsave [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- maskmovq
#! rule encoding
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, maskmovq mm0, mm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_with_rex
#! rule encoding
#! x87
entry:
	user x_fault, .byte 0x41, 0xd8, 0xc1
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_with_operand_size
#! rule encoding
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, .byte 0x66, 0xd9, 0x07
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87_alias
#! rule encoding
#! x87
entry:
	user x_fault, .byte 0xdc, 0xd1
	mov dword ptr [rsp+FIP], 0x401000
	jmp x_fault
	stubs
#--------------------------------------------------------------- mmx_with_rex
#! rule encoding
entry:
	user x_fault, .byte 0x41, 0x0f, 0xfc, 0xc1
	jmp x_fault
	stubs
#--------------------------------------------------------------- mmx_without_the_flag
#! rule path
#! scalar
entry:
	user x_fault, paddb mm0, mm1
	jmp x_fault
	stubs
#----------------------------------------------------------------------- number_of_nobody
#! rule number
entry:
	load rax, sRAX
	room_for 39
	jmp x_fault
	stubs
#----------------------------------------------------------------- number_of_another_call
#! rule number
entry:
	mov eax, 1
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------------ number_in_half_of_eax
#! rule number
entry:
	load rax, sRAX
	mov ax, 39
	room_for 39
	jmp x_fault
	stubs
#--------------------------------------------------------------- number_changed_meanwhile
#! rule number
entry:
	mov eax, 39
	inc eax
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------ number_changed_behind_the_compare
#! rule number
entry:
	load rax, sRAX
	cmp eax, 39
	jne x_fault
	load rax, sRDI
	room_for 39
	jmp x_fault
	stubs
#---------------------------------------------------- number_compared_in_another_register
#! rule number
entry:
	load rax, sRAX
	load rcx, sRCX
	cmp ecx, 39
	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------- number_compared_in_16_bits
#! rule number
entry:
	load rax, sRAX
	cmp ax, 39
	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#-------------------------------------------------------------- number_compared_in_8_bits
#! rule number
entry:
	load rax, sRAX
	cmp al, 39
	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------ number_compared_and_ignored
#! rule number
entry:
	load rax, sRAX
	cmp eax, 39
	jb x_fault
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------ number_compared_for_the_other_way
#! rule number
entry:
	load rax, sRAX
	cmp eax, 39
	je x_fault
	room_for 39
	jmp x_fault
	stubs
#----------------------------------------------------- number_compared_before_other_flags
#! rule number
entry:
	load rax, sRAX
	load rdi, sRDI
	cmp eax, 39
	test edi, edi
	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#--------------------------------------------------------- number_not_compared_on_one_way
#! rule number
entry:
	load rax, sRAX
	load rdi, sRDI
	test edi, edi
	je 1f
	cmp eax, 39
1:	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#----------------------------------------------------------------- number_on_one_way_only
#! rule number
entry:
	load rax, sRAX
	load rdi, sRDI
	test edi, edi
	je 1f
	cmp eax, 39
	jne x_fault
1:	room_for 39
	jmp x_fault
	stubs
#---------------------------------------------------------------- number_of_the_neighbour
#! rule number
entry:
	load rax, sRAX
	cmp eax, 39
	jne 1f
	room_for 39
	jmp x_fault
1:	cmp eax, 1
	je 2f
	cmp eax, 0
	jne x_fault
2:	room_for 0
	jmp x_fault
	stubs
#------------------------------------------------------- number_with_chain_entered_inside
#! rule number
entry:
	load rax, sRAX
	cmp eax, 39
	jne 1f
	room_for 39
	jmp x_fault
entry_two:
	load rax, sRAX
	jmp 2f
1:	cmp eax, 1
	jne x_fault
2:	room_for 1
	jmp x_fault
	stubs
#----------------------------------------------------------------- number_over_a_dispatch
#! rule number
entry:
	mov ebx, 39
	dispatch 39
	mov rax, rbx
	room_for 39
	jmp x_fault
	stubs
#-------------------------------------------------------------------- number_and_an_entry
#! rule number
	mov eax, 39
entry:
	room_for 39
	jmp x_fault
	stubs
#---------------------------------------------------------- number_from_a_slot_of_another
#! rule number
entry:
	mov eax, 39
	mov [rsp+TMP0], rax
	load rax, sRAX
	mov [rsp+TMP1], rax
	mov eax, 39
	load rax, TMP1
	room_for 39
	jmp x_fault
	stubs
#--------------------------------------------------------- number_overwritten_in_its_slot
#! rule number
entry:
	mov eax, 39
	mov [rsp+TMP1], rax
	mov byte ptr [rsp+TMP1], 1
	load rax, TMP1
	room_for 39
	jmp x_fault
	stubs
#--------------------------------------------------------------- number_negated_by_a_loop
#! rule number
entry:
	mov eax, 39
1:	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	neg eax
	jns 1b
	room_for 39
	jmp x_fault
	stubs

##################################################################### trusted
#--------------------------------------------------------------- trusted_nothing_compared
#! trusted
#! rule pointer
entry:
	load rsi, sRSI
	load rdi, sRDI
	mov rdi, rsi
	add rdi, rsi
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_compare_without_branch
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_on_the_taken_edge
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	ja 1f
	jmp x_fault
1:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_both_edges
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	ja 1f
1:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_another_register
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	load rsi, sRSI
	guard rsi
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_below
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	jb x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_greater
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	jg x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_unequal
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	jne x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_operands_swapped
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp [rsp+LIMIT], rdi
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_low_half_compared
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp edi, [rsp+LIMIT]
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_compared_with_a_user_register
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	cmp rdi, [rsp+sRSI]
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_flags_changed
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	load rsi, sRSI
	cmp rdi, [rsp+LIMIT]
	test rsi, rsi
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_flags_restored
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	pushfq
	pop [rsp+UFLAGS]
	cmp rdi, [rsp+LIMIT]
	push [rsp+UFLAGS]
	popfq
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_changed_before_the_branch
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	cmp rdi, [rsp+LIMIT]
	lea rdi, [rdi+rsi]
	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_changed_behind_the_branch
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	guard rdi
	lea rdi, [rdi+rsi]
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_reloaded
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	guard rdi
	mov [rsp+sRDI], rdi
	load rdi, sRDI
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_slot_compared
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	guard rdi
	mov rsi, rdi
	load rsi, sRDI
	user x_fault, mov rax, [rsi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_way_around_the_guard
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	load rsi, sRSI
	add rdi, rsi
	test rsi, rsi
	je 1f
	guard rdi
1:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_compare_on_one_path
#! trusted
#! rule speculation
entry:
	load rdi, sRDI
	load rsi, sRSI
	test rsi, rsi
	je 1f
	cmp rdi, [rsp+LIMIT]
1:	ja x_fault
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_lost_by_a_dispatch
#! trusted
#! rule leak
entry:
	load rdi, sRDI
	guard rdi
	dispatch 39
	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_out_of_guard
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	guard rdi
	user x_fault, mov rax, [rdi-0x200001]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_large_index
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	load rcx, sRCX
	guard rdi
	user x_fault, mov rax, [rdi+rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_without_fixup
#! trusted
#! rule fault
entry:
	load rdi, sRDI
	guard rdi
	mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_moves_on_in_a_loop
#! trusted
#! rule pointer
entry:
	load rdi, sRDI
	guard rdi
1:	user x_fault, mov rax, [rdi]
	add rdi, 0x100000
	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	jmp 1b
	stubs
