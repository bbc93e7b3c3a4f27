// Package cuda is the backend for NVIDIA's GPUs, from Jetson Nano on: kernels of package
// kernels, started by CUDA's driver API (package driver) on one queue. With the build tag
// cuda it is in the program, which then runs on machines without a GPU as well; else, and
// where no driver is found, Open refuses and says why. docs/cuda.md
//
// Nothing waits for the device but Download. What is recorded becomes one graph, in which
// a LayerNorm that only products read is done by those.
package cuda
