// Peers that multiply matrices, and one that transforms: see peer.cu. A product's terms are fused and
// added in order, as in ours.

#include "peer.h"
#include <dlfcn.h>

// One of cuBLAS's functions, by the names of its C API; null if the library isn't there.
void *cublas(const char *name) {
    static void *library = nullptr;
    const char *const names[] = {"libcublas.so", "libcublas.so.13", "libcublas.so.12"};
    for (const char *each : names)
        if (!library) library = dlopen(each, RTLD_NOW);
    return library ? dlsym(library, name) : nullptr;
}

// The product of the transpose of `a` and of `b`, both n × n by rows: groups of 16 × 16 threads, a tile of
// 128 × 128 each, 8 × 8 elements a thread. n is a multiple of 128.
static const int SIDE = 128, DEPTH = 16, FOURS = SIDE / 4;

__device__ void multiply(const float4 *a, const float4 *b, float (&sums)[8][8], int tx, int ty) {
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        float4 a0 = a[k * FOURS + ty], a1 = a[k * FOURS + 16 + ty];
        float4 b0 = b[k * FOURS + tx], b1 = b[k * FOURS + 16 + tx];
        float left[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        float right[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
    }
}
__global__ void gemm(int n, const float4 *__restrict__ a, const float4 *__restrict__ b, float4 *c) {
    __shared__ float4 tile_a[2][DEPTH * FOURS], tile_b[2][DEPTH * FOURS];
    int rank = threadIdx.x, tx = rank % 16, ty = rank / 16, width = n / 4;
    // The part of a tile that the thread loads: two neighbours of row `rank / 16`.
    size_t from = (size_t)(rank / 16) * width + 2 * (rank % 16);
    size_t from_a = from + blockIdx.y * FOURS, from_b = from + blockIdx.x * FOURS;
    int to = rank / 16 * FOURS + 2 * (rank % 16);
    float sums[8][8] = {};
    float4 next[4] = {a[from_a], a[from_a + 1], b[from_b], b[from_b + 1]};
    int now = 0;
    for (int k = 0; k < n; k += DEPTH) {
        tile_a[now][to] = next[0], tile_a[now][to + 1] = next[1];
        tile_b[now][to] = next[2], tile_b[now][to + 1] = next[3];
        __syncthreads();
        if (k + DEPTH < n) {
            from_a += (size_t)DEPTH * width, from_b += (size_t)DEPTH * width;
            next[0] = a[from_a], next[1] = a[from_a + 1];
            next[2] = b[from_b], next[3] = b[from_b + 1];
        }
        multiply(tile_a[now], tile_b[now], sums, tx, ty);
        now ^= 1;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        size_t row = blockIdx.y * SIDE + i / 4 * 64 + ty * 4 + i % 4;
        size_t at = row * width + blockIdx.x * FOURS + tx;
        c[at] = make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
        c[at + 16] = make_float4(sums[i][4], sums[i][5], sums[i][6], sums[i][7]);
    }
}
extern "C" int peer_gemm(int n, const float4 *a, const float4 *b, float4 *c) {
    dim3 grid(n / SIDE, n / SIDE);
    gemm<<<grid, 256>>>(n, a, b, c);
    return wait();
}

// The same product by cuBLAS, with its strict math mode: no tensor cores.
extern "C" int peer_sgemm(int n, const float *a, const float *b, float *c) {
    typedef void *Handle;
    typedef int (*Create)(Handle *);
    typedef int (*Mode)(Handle, int);
    typedef int (*Sgemm)(Handle, int, int, int, int, int, const float *, const float *, int,
                         const float *, int, const float *, float *, int);
    static Handle handle = nullptr;
    static Sgemm sgemm = (Sgemm)cublas("cublasSgemm_v2");
    if (!sgemm) return -1;
    const int PEDANTIC = 2, PLAIN = 0, TRANSPOSED = 1;
    if (!handle) {
        int error = ((Create)cublas("cublasCreate_v2"))(&handle);
        if (!error) error = ((Mode)cublas("cublasSetMathMode"))(handle, PEDANTIC);
        if (error) return -error;
    }
    float one = 1, zero = 0;
    // By columns, as cuBLAS has it, the result is b by the transpose of a.
    int error = sgemm(handle, PLAIN, TRANSPOSED, n, n, n, &one, b, n, a, n, &zero, c, n);
    return error ? -error : wait();
}

// The product of `a` and the transpose of `b`, both n × n of bf16 by rows, by cuBLAS; sums are f32.
extern "C" int peer_bgemm(int n, const uint16_t *a, const uint16_t *b, float *c) {
    typedef void *Handle;
    typedef int (*Create)(Handle *);
    typedef int (*Gemm)(Handle, int, int, int, int, int, const void *, const void *, int, int,
                        const void *, int, int, const void *, void *, int, int, int, int);
    static Handle handle = nullptr;
    static Gemm gemm = (Gemm)cublas("cublasGemmEx");
    if (!gemm) return -1;
    const int PLAIN = 0, TRANSPOSED = 1, F32 = 0, BF16 = 14, SUMS_F32 = 68, ANY = -1;
    if (!handle) {
        int error = ((Create)cublas("cublasCreate_v2"))(&handle);
        if (error) return -error;
    }
    float one = 1, zero = 0;
    // By columns, as cuBLAS has it, the result is the transpose of b by a.
    int error = gemm(handle, TRANSPOSED, PLAIN, n, n, n, &one, b, BF16, n, a, BF16, n, &zero, c,
                     F32, n, SUMS_F32, ANY);
    return error ? -error : wait();
}

// A sparse matrix by rows and a vector: a row a thread.
__global__ void spmv(const uint32_t *__restrict__ starts, const uint32_t *__restrict__ columns,
                     const float *__restrict__ values, const float *__restrict__ x,
                     float *__restrict__ y, size_t rows) {
    size_t row = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = -0.0f;
    for (size_t k = starts[row]; k < starts[row + 1]; k++) sum += values[k] * x[columns[k]];
    y[row] = sum;
}
extern "C" int peer_spmv(const uint32_t *starts, const uint32_t *columns, const float *values,
                         const float *x, float *y, size_t rows) {
    spmv<<<groups(rows), GROUP>>>(starts, columns, values, x, y, rows);
    return wait();
}

// Fourier transforms, radix 4, each pass from x to y: the result's digits to base 4 are in reverse. `step` is
// 4 to the power of the pass, `w` the roots of unity.
__device__ float2 times(float2 a, float2 b) {
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
__global__ void pass(uint32_t step, const float2 *__restrict__ w, const float2 *__restrict__ x,
                     float2 *__restrict__ y, size_t quarter) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * 4 * quarter;
    if (i >= quarter) return;
    size_t turn = i & ~(size_t)(step - 1);
    const float2 *in = x + row + i;
    float2 a = in[0], b = in[quarter], c = in[2 * quarter], d = in[3 * quarter];
    float2 s = make_float2(a.x + c.x, a.y + c.y), t = make_float2(b.x + d.x, b.y + d.y);
    float2 u = make_float2(a.x - c.x, a.y - c.y), v = make_float2(b.x - d.x, b.y - d.y);
    float2 *out = y + row + 4 * i;
    out[0] = make_float2(s.x + t.x, s.y + t.y);
    out[1] = times(make_float2(u.x + v.y, u.y - v.x), w[turn]);
    out[2] = times(make_float2(s.x - t.x, s.y - t.y), w[2 * turn]);
    out[3] = times(make_float2(u.x - v.y, u.y + v.x), w[3 * turn]);
}
extern "C" int peer_fft(const float2 *w, const float2 *signal, float2 *x, float2 *y, size_t quarter,
                        size_t rows) {
    dim3 grid((unsigned)(quarter / GROUP), (unsigned)rows);
    pass<<<grid, GROUP>>>(1, w, signal, x, quarter);
    for (size_t step = 4; step <= quarter; step *= 4) {
        pass<<<grid, GROUP>>>((uint32_t)step, w, x, y, quarter);
        float2 *other = x;
        x = y;
        y = other;
    }
    return wait();
}
