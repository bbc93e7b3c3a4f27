module dynvit.asm/avx512

go 1.26.8
