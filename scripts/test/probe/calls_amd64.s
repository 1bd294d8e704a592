#include "textflag.h"

// func forkCall(entry, number uintptr, args *[6]uintptr, action *[4]uintptr, result *uintptr) (pid uintptr)
//
// forkCall forks. The child sets the action for all signals, makes one system call by the instruction of 64-bit (entry 0)
// or 32-bit programs (entry 1), writes the result to *result, and exits. It executes no Go code.
TEXT ·forkCall(SB), NOSPLIT, $0-48
	MOVQ	$56, AX			// clone
	MOVQ	$17, DI			// SIGCHLD
	XORQ	SI, SI
	XORQ	DX, DX
	XORQ	R10, R10
	XORQ	R8, R8
	SYSCALL
	CMPQ	AX, $0
	JEQ	child
	MOVQ	AX, pid+40(FP)
	RET
child:
	MOVQ	$64, R12
signals:
	MOVQ	$13, AX			// rt_sigaction
	MOVQ	R12, DI
	MOVQ	action+24(FP), SI
	XORQ	DX, DX
	MOVQ	$8, R10
	SYSCALL
	DECQ	R12
	JNZ	signals
	MOVQ	entry+0(FP), R12
	MOVQ	number+8(FP), AX
	MOVQ	args+16(FP), R13
	MOVQ	result+32(FP), R15
	CMPQ	R12, $1
	JEQ	narrow
	MOVQ	0(R13), DI
	MOVQ	8(R13), SI
	MOVQ	16(R13), DX
	MOVQ	24(R13), R10
	MOVQ	32(R13), R8
	MOVQ	40(R13), R9
	SYSCALL
	MOVQ	AX, (R15)
	JMP	end
narrow:
	MOVQ	0(R13), BX
	MOVQ	8(R13), CX
	MOVQ	16(R13), DX
	MOVQ	24(R13), SI
	MOVQ	32(R13), DI
	MOVQ	40(R13), R9		// EBP is unchanged: no call here needs a sixth argument
	INT	$0x80
	MOVLQSX	AX, AX
	MOVQ	AX, (R15)
end:
	MOVQ	$231, AX		// exit_group
	XORQ	DI, DI
	SYSCALL
	HLT
