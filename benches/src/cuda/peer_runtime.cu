// Peers of what the runtime itself does: graphs, memory that comes and goes, transfers.

#include "peer.h"

__global__ static void nothing() {}

// Replays a graph of so many launches, each behind the one before. It is made by the first call.
extern "C" int peer_graph(int launches) {
    static cudaGraphExec_t graph = nullptr;
    static cudaStream_t stream = nullptr;
    if (!graph) {
        cudaGraph_t recorded;
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
        for (int i = 0; i < launches; i++) nothing<<<1, 1, 0, stream>>>();
        cudaStreamEndCapture(stream, &recorded);
        cudaError_t error = cudaGraphInstantiate(&graph, recorded, 0);
        if (error != cudaSuccess) return (int)error;
    }
    cudaError_t error = cudaGraphLaunch(graph, stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
    return (int)error;
}

// Takes memory, fills it with zeros and gives it back, so many times; from the pool.
extern "C" int peer_pool(size_t bytes, int times) {
    for (int i = 0; i < times; i++) {
        void *memory;
        cudaError_t error = cudaMallocAsync(&memory, bytes, 0);
        if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0, bytes, 0);
        if (error == cudaSuccess) error = cudaStreamSynchronize(0);
        if (error == cudaSuccess) error = cudaFreeAsync(memory, 0);
        if (error != cudaSuccess) return (int)error;
    }
    return wait();
}

// The same by cudaMalloc.
extern "C" int peer_malloc(size_t bytes, int times) {
    for (int i = 0; i < times; i++) {
        void *memory;
        cudaError_t error = cudaMalloc(&memory, bytes);
        if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0, bytes, 0);
        if (error == cudaSuccess) error = cudaStreamSynchronize(0);
        if (error == cudaSuccess) error = cudaFree(memory);
        if (error != cudaSuccess) return (int)error;
    }
    return wait();
}

// Copies from memory of the host that is page-locked, or back; null until it was taken.
static void *pinned = nullptr;
extern "C" int peer_pinned(void *device, size_t bytes, int up) {
    if (!pinned) {
        cudaError_t error = cudaMallocHost(&pinned, bytes);
        if (error != cudaSuccess) return (int)error;
    }
    if (up) {
        cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, 0);
    } else {
        cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, 0);
    }
    return wait();
}
