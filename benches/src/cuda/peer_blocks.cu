// CUB's building blocks: see peer.cu. Each works in memory that is allocated once for all of its calls.

#include "peer.h"
#include <cub/cub.cuh>

// Calls one of CUB's functions with the temporary memory that it asks for, which grows as needed.
template <typename F> static int with_memory(F call) {
    static void *memory = nullptr;
    static size_t held = 0;
    size_t needed = 0;
    cudaError_t error = call(nullptr, needed);
    if (error == cudaSuccess && needed > held) {
        cudaFree(memory);
        error = cudaMalloc(&memory, needed);
        held = error == cudaSuccess ? needed : 0;
    }
    if (error == cudaSuccess) error = call(memory, needed);
    return error == cudaSuccess ? wait() : (int)error;
}

extern "C" int peer_reduce(const float *x, float *out, size_t n) {
    return with_memory([=](void *memory, size_t &bytes) {
        return cub::DeviceReduce::Sum(memory, bytes, x, out, n);
    });
}
extern "C" int peer_scan(const uint32_t *x, uint32_t *out, size_t n) {
    return with_memory([=](void *memory, size_t &bytes) {
        return cub::DeviceScan::InclusiveSum(memory, bytes, x, out, n);
    });
}
extern "C" int peer_sort(const uint32_t *x, uint32_t *out, size_t n) {
    return with_memory([=](void *memory, size_t &bytes) {
        return cub::DeviceRadixSort::SortKeys(memory, bytes, x, out, n);
    });
}
extern "C" int peer_histogram(const uint8_t *x, unsigned long long *out, size_t n) {
    return with_memory([=](void *memory, size_t &bytes) {
        return cub::DeviceHistogram::HistogramEven(memory, bytes, x, out, 257, 0, 256, n);
    });
}
