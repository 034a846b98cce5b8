// What the files of peers share.
#pragma once

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

static const int GROUP = 256;

static inline unsigned groups(size_t items) { return (unsigned)((items + GROUP - 1) / GROUP); }

static inline int wait() {
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaStreamSynchronize(0);
    return (int)error;
}

// One of cuBLAS's functions by its name in the C API; null if the library isn't there.
void *cublas(const char *name);
