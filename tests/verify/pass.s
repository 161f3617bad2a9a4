#--------------------------------------------------------------- nothing_but_exit
entry:
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_and_read
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov rax, [rdi+8]
	user x_fault, mov [rdi-8], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_into_scratch
entry:
	load rdi, sRDI
	load rcx, sRCX
	lea r11, [rdi+rcx*8+0x100]
	clamp r11
	user x_fault, mov eax, [r11]
	jmp x_fault
	stubs
#--------------------------------------------------------------- small_index
entry:
	load rdi, sRDI
	clamp rdi
	load ecx, sRCX
	user x_fault, mov rax, [rdi+rcx*8-0x200000]
	user x_fault, mov rax, [rcx+rdi]
	sub rcx, 0x40000
	user x_fault, mov rax, [rdi+rcx*8]
	movzx edx, byte ptr [rsp+sRAX]
	user x_fault, mov [rdi+rdx*4+0x7fffffff], eax
	load rdx, sRDX
	user x_fault, movsx rcx, word ptr [rdi]
	user x_fault, mov rax, [rdi+rcx*8]
	movsx rcx, dl
	user x_fault, mov rax, [rdi+rcx*8-0x1ffc00]
	mov rcx, rdx
	shr rcx, 32
	user x_fault, mov rax, [rdi+rcx*8]
	and rdx, 0x7f0
	user x_fault, mov rax, [rdi+rdx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- clamp_of_a_copy
entry:
	load rdi, sRDI
	mov r11, rdi
	cmp rdi, [rsp+LIMIT]
	mov r10, rdi
	cmovae r10, [rsp+LIMIT]
	user x_fault, mov eax, [r10]
	jmp x_fault
	stubs
#------------------------------------------------------ guard_and_clamp
entry:
	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	sub rbp, 8
	cmp rbp, [rsp+LIMIT]
	ja x_fault
	cmovae rbp, [rsp+LIMIT]
	user x_fault, mov [rbp], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_at_entry
entry:
	load rbp, sRSP
	user x_fault, mov rax, [rbp]
	lea rbp, [rbp+8]
	user x_fault, mov rcx, [rbp]
	inc rbp
	dec rbp
	and rbp, -16
	user x_fault, mov [rbp-0x100], rcx
	jmp x_fault
	stubs
#--------------------------------------------------------------- usp_kept_over_dispatch
entry:
	load rbp, sRSP
	dispatch 39
	user x_fault, mov rcx, [rbp]
	dispatch 0
	load rbx, sRSP
	user x_fault, mov rcx, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- interval_ends
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, mov al, [rdi+0x7fffffff]
	user x_fault, mov al, [rdi-0x200000]
	add rdi, 0x100
	user x_fault, mov al, [rdi+0x7ffffeff]
	user x_fault, mov al, [rdi-0x200100]
	jmp x_fault
	stubs
#--------------------------------------------------------------- zero_extension
entry:
	load eax, sRAX
	user x_fault, mov ecx, [rax]
	user x_fault, movzx edx, byte ptr [rcx]
	add edx, ecx
	user x_fault, mov [rdx+4], edx
	cmovne ecx, eax
	user x_fault, mov [rcx+4], edx
	jmp x_fault
	stubs
#--------------------------------------------------------------- literal_address_and_displacement
entry:
	mov r11, 0x7f0000001000
	user x_fault, mov eax, [r11-0x40000000]
	user x_fault, mov eax, [r11+0x40000000]
	jmp x_fault
	stubs
#--------------------------------------------------------------- literal_address
entry:
	movabs r11, 0x7fffffffe000
	user x_fault, mov eax, [r11]
	mov r11d, 0x404040
	user x_fault, mov rax, [r11+8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- thread_local
entry:
	user x_fault, mov rax, fs:[0x28]
	user x_fault, cmp rax, fs:[0xfffffffffffffff8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- join_of_intervals
entry:
	load rbp, sRSP
	load rax, sRAX
	test rax, rax
	je 1f
	sub rbp, 64
	jmp 2f
1:	add rbp, 8
2:	user x_fault, mov rax, [rbp]
	jmp x_fault
	stubs
#--------------------------------------------------------------- join_of_constants
entry:
	load rax, sRAX
	mov ecx, 0x1000
	test rax, rax
	je 1f
	mov ecx, 0x2000
1:	user x_fault, mov rax, [rcx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- slots
entry:
	load rax, sRAX
	mov [rsp+TMP0], rax
	load rcx, TMP0
	add dword ptr [rsp+sRCX], 3
	mov byte ptr [rsp+sRCX+1], 3
	movzx ecx, byte ptr [rsp+sRDX+7]
	load rdx, FSBASE
	load rsi, UFLAGS
	load rdi, SYSFLAGS
	imul rdi, [rsp+sRDI], 5
	not qword ptr [rsp+sR15]
	movq xmm0, qword ptr [rsp+sR10]
	jmp x_fault
	stubs
#--------------------------------------------------------------- flags_saved
entry:
	load rax, sRAX
	cmp rax, 1
	pushfq
	pop [rsp+UFLAGS]
	load rdi, sRDI
	clamp rdi
	user x_fault, mov ecx, [rdi]
	push [rsp+UFLAGS]
	popfq
	push [rsp+UFLAGS]
	pop [rsp+SYSFLAGS]
	dispatch 39
	push [rsp+SYSFLAGS]
	popfq
	load edi, sRDI
	user x_fault, mov ecx, [rdi]
	je x_fault
	jmp x_fault
	stubs
#--------------------------------------------------------------- loop_that_pays
entry:
	load rdi, sRDI
	load rcx, sRCX
1:	sub dword ptr [rsp+BUDGET], 5
	js x_budget
	clamp rdi
	user x_fault, mov eax, [rdi]
	add rdi, 8
	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- long_path_that_pays
entry:
	.rept 4000
	nop
	.endr
	sub dword ptr [rsp+BUDGET], 127
	js x_budget
	.rept 4000
	nop
	.endr
	jmp x_fault
	stubs
#--------------------------------------------------------------- loop_moves_up_what_it_pays
entry:
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
1:	sub dword ptr [rsp+BUDGET], 4
	js x_budget
	user x_fault, mov eax, [rdi]
	add rdi, 8
	dec rcx
	jne 1b
	user x_fault, mov eax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- loop_with_dispatch
entry:
	load rbp, sRSP
1:	user x_fault, mov rdi, [rbp]
	mov [rsp+sRDI], rdi
	dispatch 1
	test rax, rax
	jns 1b
	mov [rsp+sRAX], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- nested_loops
entry:
	load rbp, sRSP
	load rcx, sRCX
	load rdx, sRDX
1:	sub dword ptr [rsp+BUDGET], 2
	js x_budget
2:	sub dword ptr [rsp+BUDGET], 0x1000
	js x_budget
	user x_fault, mov rax, [rbp-8]
	dec rdx
	jne 2b
	dec rcx
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- shared_tail
entry:
	load rax, sRAX
	load rdi, sRDI
	clamp rdi
	user y_fault, mov rcx, [rdi]
	load rdx, sRDX
	user y_fault, mov rcx, [rdi+8]
	jmp y_fault
y_fault:
	mov dword ptr [rsp], 0
	jmp tail
y_miss:
	mov dword ptr [rsp], 4
	mov [rsp+TARGET], rdi
	jmp tail
tail:
	mov [rsp+sRAX], rax
	mov [rsp+sRDI], rdi
	leave_code
#--------------------------------------------------------------- missed_return
entry:
	load rbp, sRSP
	user x_fault, mov r11, [rbp]
	cmp r11, [rip+wanted]
	jne x_miss
	add rbp, 8
	mov rax, [rip+wanted]
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x401234
#--------------------------------------------------------------- nearly_endbr
entry:
	mov eax, 0xfa1e0ff2
	mov ecx, 0xfb1e0ff3
	movabs rdx, 0x7ffa1e00f300
	cmp rax, [rip+wanted]
	jmp x_fault
	stubs
	.balign 8, 0xcc
constants:
wanted:
	.quad 0x7f1e0ff30000
#--------------------------------------------------------------- division
entry:
	load rax, sRAX
	load rcx, sRCX
	cqo
	user x_fault, idiv rcx
	xor edx, edx
	user x_fault, div qword ptr [rsp+sRSI]
	user x_fault, div ecx
	jmp x_fault
	stubs
#--------------------------------------------------------------- two_destinations
entry:
	load rax, sRAX
	load rcx, sRCX
	load rdi, sRDI
	clamp rdi
	user x_fault, lock xadd [rdi], rax
	user x_fault, xchg [rdi], ecx
	user x_fault, lock cmpxchg [rdi], rcx
	user x_fault, lock inc dword ptr [rdi]
	user x_fault, lock add [rdi], rax
	user x_fault, lock sbb byte ptr [rdi], al
	xchg rax, rcx
	load r8, sRCX
	xchg r8, rax
	xchg r8w, ax
	mul rcx
	mov [rsp+sRDX], rdx
	user x_fault, bts dword ptr [rdi], 3
	jmp x_fault
	stubs
#--------------------------------------------------------------- vector
#! features avx avx2 bmi1 bmi2 ssse3
entry:
	load rdi, sRDI
	load rdx, sRDX
	clamp rdi
	user x_fault, movdqu xmm0, [rdi]
	user x_fault, movaps [rdi+16], xmm0
	user x_fault, vpcmpeqb ymm1, ymm0, [rdi]
	vpmovmskb eax, ymm1
	tzcnt ecx, eax
	mulx rsi, r11, rdx
	andn rsi, rsi, rdx
	vzeroupper
	vzeroall
	pshufb xmm0, xmm1
	movq rax, xmm0
	user x_fault, addsd xmm0, xmm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- vector_dispatch
entry:
	load rbp, sRSP
	user x_fault, movups xmm0, [rbp]
	user x_fault, comisd xmm0, [rbp+8]
	dispatch 39
	user x_fault, movups [rbp], xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- padding_and_nops
entry:
	nop
	.byte 0x66, 0x90
	nop dword ptr [rax]
	nop word ptr [rax+rax]
	lfence
	jmp x_fault
	.balign 32, 0xcc
	stubs
#--------------------------------------------------------------- prefetch
entry:
	load rdi, sRDI
	clamp rdi
	prefetcht0 [rdi+64]
	user x_fault, prefetchnta [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- two_entries_meet
entry_one:
	load rbp, sRSP
	jmp 1f
entry_two:
	load rbp, sRSP
1:	user x_fault, mov rax, [rbp]
	jmp x_fault
	stubs
#--------------------------------------------------------------- unreachable_stub
entry:
	jmp x_fault
	jmp x_budget
	stubs
#--------------------------------------------------------------- compare_again_in_stub
entry:
	load rax, sRAX
	load rdi, sRDI
	clamp rdi
	user y_fault, mov r11, [rdi]
	clamp r11
	dispatch 39
	jmp x_fault
y_fault:
	lea r11, [rax-8]
	add r11, 8
	test rax, rax
	mov [rsp+TARGET], rdi
	mov dword ptr [rsp], 0
	leave_code
	stubs
#--------------------------------------------------------------- every_kind_of_integer_form
entry:
	load rax, sRAX
	load rbx, sRBX
	load rcx, sRCX
	load rdx, sRDX
	load rdi, sRDI
	clamp rdi
	user x_fault, lock cmpxchg16b [rdi]
	user x_fault, lock cmpxchg8b [rdi]
	user x_fault, lock xadd [rdi], cx
	shld rax, rbx, cl
	rcr dword ptr [rsp+sRSI], cl
	adox rax, rbx
	crc32 eax, byte ptr [rsp+sRSI]
	user x_fault, movbe [rdi+8], rcx
	mulx rcx, rbx, rax
	rorx rcx, rbx, 3
	cmc
	lahf
	sahf
	rdtscp
	sfence
	user x_fault, lock bts qword ptr [rdi], 63
	user x_fault, mul byte ptr [rdi]
	imul cx, [rsp+sRDX], 3
	jmp x_fault
	stubs
#--------------------------------------------------------------- vector_forms
entry:
	load rdi, sRDI
	load rax, sRAX
	load rdx, sRDX
	clamp rdi
	user x_fault, vpmaskmovd ymm0, ymm1, [rdi]
	user x_fault, vmaskmovpd [rdi], xmm1, xmm0
	pcmpestri xmm0, xmm1, 0x1a
	mov [rsp+sRCX], rcx
	vpblendvb ymm0, ymm1, ymm2, ymm3
	user x_fault, vfmadd213sd xmm0, xmm1, [rdi]
	user x_fault, vcmpeq_uqps ymm0, ymm1, [rdi]
	user x_fault, cmpnltsd xmm0, xmm1
	vaesenc ymm0, ymm1, ymm2
	vpclmulqdq ymm0, ymm1, ymm2, 1
	sha256rnds2 xmm1, xmm2
	vgf2p8affineqb xmm0, xmm1, xmm2, 3
	user x_fault, vcvtph2ps ymm0, [rdi]
	user x_fault, ldmxcsr [rdi]
	user x_fault, stmxcsr [rdi]
	stmxcsr [rsp+sRBX]
	vpextrb ecx, xmm0, 3
	pinsrq xmm0, [rsp+sRBX], 1
	movq [rsp+sRBX], xmm0
	jmp x_fault
	stubs
#--------------------------------------------------------------- strings
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	user x_fault, movsb
	user x_fault, movsw
	user x_fault, mov [rdi], rsi
	user x_fault, stosq
	user x_fault, lodsd
	user x_fault, mov cl, [rax]
	user x_fault, scasw
	user x_fault, cmpsq
	user x_fault, mov al, [rsi-23]
	jmp x_fault
	stubs
#--------------------------------------------------------------- string_loop
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
1:
	sub dword ptr [rsp+BUDGET], 3
	js x_budget
	user x_fault, lodsb
	user x_fault, stosb
	test al, al
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- repeated_strings
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
	load rdi, sRDI
	load rcx, sRCX
	clamp rdi
	cmp rcx, 0x7fff
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	load rsi, UFLAGS
	user x_fault, repne scasb
	mov [rsp+sRCX], rcx
	mov [rsp+sRDI], rdi
	jmp x_fault
	stubs
#--------------------------------------------------------------- repeated_string_with_flags
entry:
	load rdi, sRDI
	load rsi, sRSI
	load rcx, sRCX
	load rax, sRAX
	clamp rdi
	clamp rsi
	cmp rax, 5
	pushfq
	pop [rsp+UFLAGS]
	cmp rcx, 0x10000
	ja x_fault
	sub dword ptr [rsp+BUDGET], ecx
	js x_budget
	push [rsp+UFLAGS]
	popfq
	user x_fault, repe cmpsd
	je x_fault
	jmp x_fault
	stubs
#--------------------------------------------------------------- avx512
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	user x_fault, vmovdqu64 zmm16, [rdi+0x7fffffc0]
	user x_fault, vpcmpneqb k1, zmm16, [rdi+0x40]
	kortestq k1, k1
	kmovq rcx, k1
	tzcnt rcx, rcx
	kmovd k2, ecx
	user x_fault, vmovdqu8 [rdi-0x40]{k1}, zmm16
	user x_fault, vmovdqu8 ymm17{k2}{z}, [rdi+0x1000]
	user x_fault, vpternlogd xmm18, xmm19, [rdi]{1to4}, 0x96
	user x_fault, vaddpd zmm0, zmm1, zmm2, {rz-sae}
	user x_fault, vcvttsd2usi rdx, xmm17
	vpbroadcastb zmm3, ecx
	vpcompressb zmm3{k1}{z}, zmm4
	kmovw k3, word ptr [rsp+sRAX]
	vpinsrq xmm16, xmm16, [rsp+sRBX], 1
	vpextrd eax, xmm16, 2
	kshiftrq k1, k1, 32
	vpmovmskb esi, ymm1
	jmp x_fault
	stubs
#--------------------------------------------------------------- avx512_disp8
entry:
	load rdi, sRDI
	load rbx, sRBX
	clamp rdi
	clamp rbx
	add rdi, 0x7fffe000
	user x_fault, vmovups zmm0, [rdi+0x1fc0]
	sub rbx, 0x1fe000
	user x_fault, vmovups [rbx-0x2000], zmm0
	user x_fault, vpaddq zmm0, zmm1, [rbx-0x400]{1to8}
	user x_fault, vmovdqu64 [rbx-0x800], xmm31
	jmp x_fault
	stubs
#--------------------------------------------------------------- x87
#! x87
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, fld tbyte ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401000
	mov dword ptr [rsp+FIP+4], 0x7fff
	user x_fault, fmul qword ptr [rdi+10]
	mov dword ptr [rsp+FIP], 0x401003
	user x_fault, fcomi st, st(1)
	mov dword ptr [rsp+FIP], 0
	mov dword ptr [rsp+FIP+4], 0x5555
	fnstsw ax
	user x_fault, fnstcw [rdi]
	user x_fault, fwait
	fnclex
	dispatch 39
	load rdi, sRDI
	clamp rdi
	user x_fault, fstp tbyte ptr [rdi]
	mov dword ptr [rsp+FIP], 0x401009
	user x_fault, fnstsw [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- mmx
entry:
	load rdi, sRDI
	clamp rdi
	user x_fault, movq mm0, [rdi]
	user x_fault, paddb mm0, mm1
	user x_fault, pshufb mm0, [rdi+8]
	user x_fault, movd eax, mm0
	user x_fault, movq [rsp+sRAX], mm0
	user x_fault, pmovmskb ecx, mm0
	user x_fault, cvtpi2ps xmm0, mm1
	user x_fault, emms
	jmp x_fault
	stubs
#------------------------------------------------------------------------ number_compared
entry:
	load rax, sRAX
	cmp eax, 39
	jne x_fault
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------------------- number_cleared
entry:
	xor eax, eax
	room_for 0
	jmp x_fault
	stubs
#--------------------------------------------------------------------------- number_large
entry:
	load rax, sRAX
	cmp eax, 307
	jne x_fault
	room_for 307
	mov rax, 307
	room_for 307
	jmp x_fault
	stubs
#------------------------------------------------------- number_copied_and_kept_in_a_slot
entry:
	mov eax, 39
	mov rbx, rax
	mov [rsp+TMP1], rax
	mov eax, 1
	mov [rsp+TMP0], rax
	load rax, TMP1
	mov rax, rbx
	test rax, rax
	room_for 39
	jmp x_fault
	stubs
#-------------------------------------------------------------------- number_on_both_ways
entry:
	load rax, sRAX
	load rdi, sRDI
	test edi, edi
	je 1f
	cmp eax, 39
	jne x_fault
	jmp 2f
1:	mov eax, 39
2:	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------------ number_through_a_loop
entry:
	load rcx, sRCX
	mov eax, 39
1:	sub dword ptr [rsp+BUDGET], 1
	js x_budget
	dec rcx
	jne 1b
	room_for 39
	jmp x_fault
	stubs
#------------------------------------------------------------------------ several_numbers
entry:
	load rax, sRAX
1:	cmp eax, 39
	jne 3f
	room_for 39
2:	test rax, rax
	jns 1b
	jmp x_fault
3:	cmp eax, 0
	je 4f
	cmp eax, 232
	je 5f
	cmp eax, 1
	jne x_fault
	room_for 1
	jmp 2b
4:	room_for 0
	jmp 2b
5:	room_for 232
	jmp 2b
	stubs

##################################################################### trusted
#--------------------------------------------------------------- trusted_guard
#! trusted
entry:
	load rdi, sRDI
	guard rdi
	user x_fault, mov rax, [rdi]
	user x_fault, mov [rdi+0x1000], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_clamp
# A trusted translation may have clamps as well.
#! trusted
entry:
	load rdi, sRDI
	load rsi, sRSI
	clamp rdi
	guard rsi
	user x_fault, mov rax, [rdi]
	user x_fault, mov [rsi], rax
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_copies
#! trusted
entry:
	load rdi, sRDI
	cmp rdi, [rsp+LIMIT]
	mov rsi, rdi
	ja x_fault
	mov rbx, rsi
	user x_fault, mov rax, [rdi]
	user x_fault, mov rax, [rsi]
	user x_fault, mov rax, [rbx+8]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_join
#! trusted
entry:
	load rdi, sRDI
	load rsi, sRSI
	test rsi, rsi
	je 1f
	guard rdi
	add rdi, 8
	jmp 2f
1:	clamp rdi
2:	user x_fault, mov rax, [rdi]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_guard_in_a_loop
#! trusted
entry:
	load rdi, sRDI
1:	guard rdi
	user x_fault, mov rax, [rdi]
	add rdi, 8
	sub dword ptr [rsp+BUDGET], 4
	js x_budget
	cmp rax, 0
	jne 1b
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_across_a_dispatch
#! trusted
entry:
	load rbx, sRBX
	guard rbx
	dispatch 39
	user x_fault, mov rax, [rbx]
	jmp x_fault
	stubs
#--------------------------------------------------------------- trusted_small_index
#! trusted
entry:
	load rdi, sRDI
	load ecx, sRCX
	mov ecx, ecx
	guard rdi
	user x_fault, mov rax, [rdi+rcx*8]
	jmp x_fault
	stubs
