//go:build !purego

#include "textflag.h"

// func convertAVX2(dst, y, u, v *byte, c *conversion, groups int)
TEXT ·convertAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ u+16(FP), R8
	MOVQ v+24(FP), R9
	MOVQ c+32(FP), DX
	MOVQ groups+40(FP), CX
	VMOVDQU 0(DX), X8   // masks
	VMOVDQU 16(DX), X9
	VMOVDQU 32(DX), X10
	MOVQ    48(DX), R10 // steps
	MOVQ    56(DX), R11
	VMOVDQU 64(DX), Y7  // black
	VMOVDQU 96(DX), Y11 // luma's factor
	VMOVDQU 256(DX), Y12 // a half
	VMOVDQU 288(DX), Y13 // 128
	VMOVDQU 320(DX), Y14 // 255
	VMOVDQU 352(DX), Y15 // four pixels' bytes
	VPXOR   Y6, Y6, Y6

convert:
	VMOVDQU    (SI), X0
	VPSHUFB    X8, X0, X0
	VPMOVZXBD  X0, Y0
	VPSUBD     Y7, Y0, Y0
	VPMULLD    Y11, Y0, Y0
	VPADDD     Y12, Y0, Y0
	VMOVDQU    (R8), X1
	VPSHUFB    X9, X1, X1
	VPMOVZXBD  X1, Y1
	VPSUBD     Y13, Y1, Y1
	VMOVDQU    (R9), X2
	VPSHUFB    X10, X2, X2
	VPMOVZXBD  X2, Y2
	VPSUBD     Y13, Y2, Y2
	VPMULLD    128(DX), Y2, Y3
	VPMULLD    160(DX), Y1, Y4
	VPMULLD    192(DX), Y2, Y2
	VPMULLD    224(DX), Y1, Y5
	VPADDD     Y2, Y4, Y4
	VPADDD     Y0, Y3, Y3
	VPADDD     Y0, Y4, Y4
	VPADDD     Y0, Y5, Y5
	VPSRAD     $16, Y3, Y3
	VPSRAD     $16, Y4, Y4
	VPSRAD     $16, Y5, Y5
	VPMAXSD    Y6, Y3, Y3
	VPMAXSD    Y6, Y4, Y4
	VPMAXSD    Y6, Y5, Y5
	VPMINSD    Y14, Y3, Y3
	VPMINSD    Y14, Y4, Y4
	VPMINSD    Y14, Y5, Y5
	VPSLLD     $8, Y4, Y4
	VPSLLD     $16, Y5, Y5
	VPOR       Y4, Y3, Y3
	VPOR       Y5, Y3, Y3
	VPSHUFB    Y15, Y3, Y3
	VEXTRACTI128 $1, Y3, X4
	VMOVDQU    X3, (DI)
	VMOVDQU    X4, 12(DI)
	ADDQ       $24, DI
	ADDQ       R10, SI
	ADDQ       R11, R8
	ADDQ       R11, R9
	DECQ       CX
	JNZ        convert
	VZEROUPPER
	RET

// func triangleAVX2(dst, near, far *byte, groups int, even, odd uint16)
TEXT ·triangleAVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ near+8(FP), SI
	MOVQ far+16(FP), DX
	MOVQ groups+24(FP), CX
	VPBROADCASTW even+32(FP), Y14
	VPBROADCASTW odd+34(FP), Y15

triangle:
	VPMOVZXBW -1(SI), Y0
	VPMOVZXBW (SI), Y1
	VPMOVZXBW 1(SI), Y2
	VPMOVZXBW -1(DX), Y3
	VPMOVZXBW (DX), Y4
	VPMOVZXBW 1(DX), Y5
	VPADDW Y0, Y0, Y6
	VPADDW Y1, Y1, Y7
	VPADDW Y2, Y2, Y8
	VPADDW Y3, Y0, Y0
	VPADDW Y4, Y1, Y1
	VPADDW Y5, Y2, Y2
	VPADDW Y6, Y0, Y0 // sums of the samples before,
	VPADDW Y7, Y1, Y1 // here
	VPADDW Y8, Y2, Y2 // and after
	VPADDW Y1, Y1, Y3
	VPADDW Y3, Y1, Y1
	VPADDW Y1, Y0, Y0
	VPADDW Y1, Y2, Y2
	VPADDW Y14, Y0, Y0
	VPADDW Y15, Y2, Y2
	VPSRLW $4, Y0, Y0
	VPSRLW $4, Y2, Y2
	VPSLLW $8, Y2, Y2
	VPOR   Y2, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $32, DI
	DECQ CX
	JNZ  triangle
	VZEROUPPER
	RET

// rounding, once for each channel of the first pixel
DATA ·start<>+0(SB)/8, $0x0020000000200000
DATA ·start<>+8(SB)/8, $0x0000000000200000
DATA ·start<>+16(SB)/8, $0
DATA ·start<>+24(SB)/8, $0
GLOBL ·start<>(SB), RODATA|NOPTR, $32

// the second pixel's channels
DATA ·second<>+0(SB)/8, $0x0000000400000003
DATA ·second<>+8(SB)/8, $0x0000000700000005
DATA ·second<>+16(SB)/8, $0x0000000700000007
DATA ·second<>+24(SB)/8, $0x0000000700000007
GLOBL ·second<>(SB), RODATA|NOPTR, $32

// func acrossAVX2(dst0, dst1, src0, src1 *byte, offsets *int32, weights *[8]int32, pairs, outs int)
TEXT ·acrossAVX2(SB), NOSPLIT, $0-64
	MOVQ dst0+0(FP), DI
	MOVQ dst1+8(FP), R8
	MOVQ src0+16(FP), SI
	MOVQ src1+24(FP), R9
	MOVQ offsets+32(FP), R10
	MOVQ weights+40(FP), DX
	MOVQ pairs+48(FP), R11
	MOVQ outs+56(FP), CX
	VMOVDQU ·start<>(SB), Y14
	VMOVDQU ·second<>(SB), Y15

across:
	MOVLQSX (R10), AX
	MOVQ    R11, BX
	VMOVDQA Y14, Y0
	VMOVDQA Y14, Y1

pair:
	VMOVDQU   (DX), Y4
	VPMOVZXBD (SI)(AX*1), Y2
	VPMOVZXBD (R9)(AX*1), Y3
	VPMULLD   Y4, Y2, Y2
	VPMULLD   Y4, Y3, Y3
	VPADDD    Y2, Y0, Y0
	VPADDD    Y3, Y1, Y1
	ADDQ      $6, AX
	ADDQ      $32, DX
	DECQ      BX
	JNZ       pair

	VPERMD    Y0, Y15, Y2
	VPERMD    Y1, Y15, Y3
	VPADDD    X2, X0, X0
	VPADDD    X3, X1, X1
	VPSRAD    $22, X0, X0
	VPSRAD    $22, X1, X1
	VPACKSSDW X1, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVD     X0, (DI)
	VPEXTRD   $1, X0, (R8)
	ADDQ      $3, DI
	ADDQ      $3, R8
	ADDQ      $4, R10
	DECQ      CX
	JNZ       across
	VZEROUPPER
	RET

// where VPACKSSDW and VPACKUSWB leave each four bytes
DATA ·unpack<>+0(SB)/8, $0x0000000400000000
DATA ·unpack<>+8(SB)/8, $0x0000000500000001
DATA ·unpack<>+16(SB)/8, $0x0000000600000002
DATA ·unpack<>+24(SB)/8, $0x0000000700000003
GLOBL ·unpack<>(SB), RODATA|NOPTR, $32

// func downAVX2(dst, rows *byte, stride int, weights *int32, count, blocks int)
TEXT ·downAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ stride+16(FP), R8
	MOVQ weights+24(FP), DX
	MOVQ count+32(FP), R9
	MOVQ blocks+40(FP), CX
	VPBROADCASTD ·start<>(SB), Y14
	VMOVDQU ·unpack<>(SB), Y15

block:
	MOVQ    SI, AX
	MOVQ    DX, R10
	MOVQ    R9, BX
	VMOVDQA Y14, Y0
	VMOVDQA Y14, Y1
	VMOVDQA Y14, Y2
	VMOVDQA Y14, Y3

row:
	VPBROADCASTD (R10), Y8
	VPMOVZXBD (AX), Y4
	VPMOVZXBD 8(AX), Y5
	VPMOVZXBD 16(AX), Y6
	VPMOVZXBD 24(AX), Y7
	VPMULLD   Y8, Y4, Y4
	VPMULLD   Y8, Y5, Y5
	VPMULLD   Y8, Y6, Y6
	VPMULLD   Y8, Y7, Y7
	VPADDD    Y4, Y0, Y0
	VPADDD    Y5, Y1, Y1
	VPADDD    Y6, Y2, Y2
	VPADDD    Y7, Y3, Y3
	ADDQ      R8, AX
	ADDQ      $4, R10
	DECQ      BX
	JNZ       row

	VPSRAD    $22, Y0, Y0
	VPSRAD    $22, Y1, Y1
	VPSRAD    $22, Y2, Y2
	VPSRAD    $22, Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VPERMD    Y0, Y15, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       block
	VZEROUPPER
	RET
