// The peers of the benchmarks on NVIDIA's devices: the same algorithms in CUDA C++, and NVIDIA's libraries,
// compiled by
//   nvcc -O3 -fmad=false -arch=native -shared -Xcompiler -fPIC -o libpeer.so peer*.cu -ldl
// so that neither side fuses products and sums. Every function waits for what it starts, and gives
// the runtime's error, 0 for none.

#include "peer.h"

extern "C" int peer_allocate(void **memory, size_t bytes) { return (int)cudaMalloc(memory, bytes); }
extern "C" int peer_free(void *memory) { return (int)cudaFree(memory); }
extern "C" int peer_upload(void *to, const void *from, size_t bytes) {
    return (int)cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice);
}
extern "C" int peer_download(void *to, const void *from, size_t bytes) {
    return (int)cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost);
}
extern "C" int peer_device_copy(void *to, const void *from, size_t bytes) {
    cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, 0);
    return wait();
}

extern "C" int peer_heap_size(size_t bytes) {
    return (int)cudaDeviceSetLimit(cudaLimitMallocHeapSize, bytes);
}
__global__ void take(char **objects, size_t size, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    objects[i] = (char *)malloc(size);
    if (objects[i]) objects[i][0] = 1;
}
extern "C" int peer_heap_take(void *objects, size_t size, size_t n) {
    take<<<groups(n), GROUP>>>((char **)objects, size, n);
    return wait();
}
__global__ void give(char **objects, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) free(objects[i]);
}
extern "C" int peer_heap_give(void *objects, size_t n) {
    give<<<groups(n), GROUP>>>((char **)objects, n);
    return wait();
}
__global__ void churn(uint64_t *sums, uint32_t rounds, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint8_t *alive[4] = {};
    uint32_t random = (uint32_t)i * 2 + 1;
    uint64_t total = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        random = random * 1664525u + 1013904223u;
        uint32_t scale = random >> 29 & 7;
        uint8_t *object = (uint8_t *)malloc((size_t)16 << (scale < 6 ? scale : 6));
        if (object) object[0] = (uint8_t)random;
        uint32_t place = random >> 20 & 3;
        uint8_t *old = alive[place];
        alive[place] = object;
        if (old) total += old[0];
        free(old);
    }
    for (int place = 0; place < 4; place++) free(alive[place]);
    sums[i] = total;
}
extern "C" int peer_heap_churn(uint64_t *sums, uint32_t rounds, size_t n) {
    churn<<<groups(n), GROUP>>>(sums, rounds, n);
    return wait();
}

__global__ void empty() {}
extern "C" int peer_empty() {
    empty<<<1, 1>>>();
    return wait();
}
extern "C" int peer_chain(int launches) {
    for (int i = 0; i < launches; i++) empty<<<1, 1>>>();
    return wait();
}

template <typename T> __global__ void copy(const T *a, T *c, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i];
}
template <typename T> __global__ void mul(T s, const T *c, T *b, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) b[i] = s * c[i];
}
template <typename T> __global__ void add(const T *a, const T *b, T *c, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}
template <typename T> __global__ void triad(T s, const T *b, const T *c, T *a, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] = b[i] + s * c[i];
}

// A sum for each group, which are added up on the host.
static const int DOT_GROUP = 1024;
template <typename T> __global__ void dot(const T *a, const T *b, T *sums, size_t n) {
    __shared__ T tile[DOT_GROUP];
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    T mine = 0;
    for (; i < n; i += (size_t)blockDim.x * gridDim.x) mine += a[i] * b[i];
    tile[threadIdx.x] = mine;
    for (int half = DOT_GROUP / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) tile[threadIdx.x] += tile[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = tile[0];
}

#define STREAM(T, NAME)                                                                            \
    extern "C" int peer_copy_##NAME(const T *a, T *c, size_t n) {                                  \
        copy<T><<<groups(n), GROUP>>>(a, c, n);                                                    \
        return wait();                                                                             \
    }                                                                                              \
    extern "C" int peer_mul_##NAME(T s, const T *c, T *b, size_t n) {                              \
        mul<T><<<groups(n), GROUP>>>(s, c, b, n);                                                  \
        return wait();                                                                             \
    }                                                                                              \
    extern "C" int peer_add_##NAME(const T *a, const T *b, T *c, size_t n) {                       \
        add<T><<<groups(n), GROUP>>>(a, b, c, n);                                                  \
        return wait();                                                                             \
    }                                                                                              \
    extern "C" int peer_triad_##NAME(T s, const T *b, const T *c, T *a, size_t n) {                \
        triad<T><<<groups(n), GROUP>>>(s, b, c, a, n);                                             \
        return wait();                                                                             \
    }                                                                                              \
    extern "C" int peer_dot_##NAME(const T *a, const T *b, T *sums, size_t count, size_t n) {       \
        dot<T><<<(unsigned)count, DOT_GROUP>>>(a, b, sums, n);                                     \
        return wait();                                                                             \
    }
STREAM(float, f32)
STREAM(double, f64)

__global__ void n_body(float softening, const float4 *__restrict__ bodies, float4 *__restrict__ out,
                       size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 here = bodies[i];
    float x = 0, y = 0, z = 0;
    for (size_t j = 0; j < n; j++) {
        float4 there = bodies[j];
        float dx = there.x - here.x, dy = there.y - here.y, dz = there.z - here.z;
        float square = dx * dx + dy * dy + dz * dz + softening;
        float pull = there.w / (square * sqrtf(square));
        x += pull * dx;
        y += pull * dy;
        z += pull * dz;
    }
    out[i] = make_float4(x, y, z, 0);
}
extern "C" int peer_n_body(float softening, const float4 *bodies, float4 *out, size_t n) {
    n_body<<<groups(n), GROUP>>>(softening, bodies, out, n);
    return wait();
}

__global__ void mandelbrot(float left, float top, float pixel, uint32_t limit, uint32_t *steps,
                           size_t width, size_t height) {
    size_t px = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t py = (size_t)blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;
    float re = left + pixel * (float)px, im = top + pixel * (float)py;
    float x = 0, y = 0;
    uint32_t step = 0;
    while (step < limit && x * x + y * y <= 4.0f) {
        float next = x * x - y * y + re;
        y = 2.0f * x * y + im;
        x = next;
        step++;
    }
    steps[px + width * py] = step;
}
extern "C" int peer_mandelbrot(float left, float top, float pixel, uint32_t limit, uint32_t *steps,
                               size_t width, size_t height) {
    dim3 group(32, 8), grid((width + 31) / 32, (height + 7) / 8);
    mandelbrot<<<grid, group>>>(left, top, pixel, limit, steps, width, height);
    return wait();
}

struct Weights {
    float w[9];
};
__global__ void convolve(Weights weights, const float *__restrict__ image, float *__restrict__ out,
                         size_t width, size_t height) {
    size_t x = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t y = (size_t)blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const float *w = weights.w, *h = image + y * width;
    if (y == 0 || y + 1 == height || x == 0 || x + 1 == width) {
        out[x + width * y] = h[x];
        return;
    }
    const float *a = h - width, *b = h + width;
    out[x + width * y] = w[0] * a[x - 1] + w[1] * a[x] + w[2] * a[x + 1] + w[3] * h[x - 1] +
                         w[4] * h[x] + w[5] * h[x + 1] + w[6] * b[x - 1] + w[7] * b[x] +
                         w[8] * b[x + 1];
}
extern "C" int peer_convolution(const float *weights, const float *image, float *out, size_t width,
                                size_t height) {
    Weights all;
    for (int i = 0; i < 9; i++) all.w[i] = weights[i];
    dim3 group(32, 8), grid((width + 31) / 32, (height + 7) / 8);
    convolve<<<grid, group>>>(all, image, out, width, height);
    return wait();
}

__device__ float normal(float x) {
    float k = 1.0f / (1.0f + 0.2316419f * fabsf(x));
    float series =
        k * (0.31938154f +
             k * (-0.35656378f + k * (1.7814779f + k * (-1.8212559f + k * 1.3302745f))));
    float tail = 0.3989423f * expf(-0.5f * x * x) * series;
    return x < 0.0f ? tail : 1.0f - tail;
}
__global__ void black_scholes(float rate, float volatility, const float *__restrict__ spots,
                              const float *__restrict__ strikes, const float *__restrict__ times,
                              float *__restrict__ call, float *__restrict__ put, size_t n) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float spot = spots[i], strike = strikes[i], years = times[i];
    float spread = volatility * sqrtf(years);
    float d1 = (logf(spot / strike) + (rate + 0.5f * volatility * volatility) * years) / spread;
    float d2 = d1 - spread;
    float discounted = strike * expf(-rate * years);
    call[i] = spot * normal(d1) - discounted * normal(d2);
    put[i] = discounted * normal(-d2) - spot * normal(-d1);
}
extern "C" int peer_black_scholes(float rate, float volatility, const float *spot,
                                  const float *strike, const float *years, float *call, float *put,
                                  size_t n) {
    black_scholes<<<groups(n), GROUP>>>(rate, volatility, spot, strike, years, call, put, n);
    return wait();
}
