// Apart from the daemon: its build needs no generator.
module dynvit.asm

go 1.26.8
