// The benchmarks' kernels in OpenCL C: the same algorithms, item by item, with strict arithmetic.

#pragma OPENCL FP_CONTRACT OFF

kernel void triad(float s, global const float *restrict b, global const float *restrict c,
                  global float *restrict a) {
    size_t i = get_global_id(0);
    a[i] = b[i] + s * c[i];
}

kernel void n_body(float softening, uint len, global const float4 *restrict bodies,
                   global float4 *restrict out) {
    size_t i = get_global_id(0);
    float4 here = bodies[i];
    float x = 0.0f, y = 0.0f, z = 0.0f;
    for (uint j = 0; j < len; j++) {
        float4 there = bodies[j];
        float dx = there.x - here.x, dy = there.y - here.y, dz = there.z - here.z;
        float square = dx * dx + dy * dy + dz * dz + softening;
        float pull = there.w / (square * sqrt(square));
        x += pull * dx;
        y += pull * dy;
        z += pull * dz;
    }
    out[i] = (float4)(x, y, z, 0.0f);
}

kernel void mandelbrot(float left, float top, float pixel, uint limit, global uint *restrict steps) {
    size_t x = get_global_id(0), y = get_global_id(1);
    float re = left + pixel * (float)x, im = top + pixel * (float)y;
    float a = 0.0f, b = 0.0f;
    uint step = 0;
    while (step < limit && a * a + b * b <= 4.0f) {
        float next = a * a - b * b + re;
        b = 2.0f * a * b + im;
        a = next;
        step++;
    }
    steps[y * get_global_size(0) + x] = step;
}

kernel void convolution(constant float *restrict w, global const float *restrict image,
                        global float *restrict out) {
    size_t x = get_global_id(0), y = get_global_id(1);
    size_t width = get_global_size(0), height = get_global_size(1);
    global const float *here = image + y * width + x;
    if (x == 0 || y == 0 || x + 1 == width || y + 1 == height) {
        out[y * width + x] = *here;
        return;
    }
    global const float *above = here - width, *below = here + width;
    out[y * width + x] = w[0] * above[-1] + w[1] * above[0] + w[2] * above[1] + w[3] * here[-1]
        + w[4] * here[0] + w[5] * here[1] + w[6] * below[-1] + w[7] * below[0] + w[8] * below[1];
}

float normal(float x) {
    float k = 1.0f / (1.0f + 0.2316419f * fabs(x));
    float series = k * (0.31938154f
        + k * (-0.35656378f + k * (1.7814779f + k * (-1.8212559f + k * 1.3302745f))));
    float tail = 0.3989423f * exp(-0.5f * x * x) * series;
    return x < 0.0f ? tail : 1.0f - tail;
}

kernel void black_scholes(float rate, float volatility, global const float *restrict spots,
                          global const float *restrict strikes, global const float *restrict terms,
                          global float *restrict call, global float *restrict put) {
    size_t i = get_global_id(0);
    float spot = spots[i], strike = strikes[i], years = terms[i];
    float spread = volatility * sqrt(years);
    float d1 = (log(spot / strike) + (rate + 0.5f * volatility * volatility) * years) / spread;
    float d2 = d1 - spread;
    float discounted = strike * exp(-rate * years);
    call[i] = spot * normal(d1) - discounted * normal(d2);
    put[i] = discounted * normal(-d2) - spot * normal(-d1);
}

// Groups of 16 x 16.
kernel void matmul(uint n, global const float *restrict a, global const float *restrict b,
                   global float *restrict c) {
    local float tile_a[256], tile_b[256];
    uint x = get_local_id(0), y = get_local_id(1);
    uint column = get_global_id(0), row = get_global_id(1);
    float sum = 0.0f;
    for (uint first = 0; first < n; first += 16) {
        tile_a[16 * y + x] = row < n && first + x < n ? a[row * n + first + x] : 0.0f;
        tile_b[16 * y + x] = column < n && first + y < n ? b[(first + y) * n + column] : 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < 16; k++)
            sum += tile_a[16 * y + k] * tile_b[16 * k + x];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (column < n && row < n)
        c[row * n + column] = sum;
}

// Groups of 256.
kernel void reduction(global const float *restrict x, global float *restrict sums) {
    local float tile[256];
    uint rank = get_local_id(0);
    size_t first = get_group_id(0) * 4096;
    float mine = 0.0f;
    for (uint step = 0; step < 16; step++)
        mine += x[first + step * 256 + rank];
    tile[rank] = mine;
    for (uint half_of = 128; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (rank < half_of)
            mine += tile[rank + half_of];
        barrier(CLK_LOCAL_MEM_FENCE);
        tile[rank] = mine;
    }
    if (rank == 0)
        sums[get_group_id(0)] = mine;
}

typedef struct { float place[3], radius, reflects, bright; } Sphere;

float dot3(const float *a, const float *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

float trace(global const Sphere *restrict spheres, uint count, float *origin, float *direction) {
    float light = 0.0f, strength = 1.0f;
    for (uint bounce = 0; bounce < 8; bounce++) {
        float nearest = INFINITY;
        uint hit = count;
        for (uint index = 0; index < count; index++) {
            float to[3];
            for (uint d = 0; d < 3; d++)
                to[d] = spheres[index].place[d] - origin[d];
            float middle = dot3(to, direction), radius = spheres[index].radius;
            float square = radius * radius - (dot3(to, to) - middle * middle);
            if (square > 0.0f) {
                float distance = middle - sqrt(square);
                if (distance > 1e-3f && distance < nearest) {
                    nearest = distance;
                    hit = index;
                }
            }
        }
        if (hit == count)
            return light + strength * (0.5f + 0.5f * direction[1]);
        float normal[3];
        for (uint d = 0; d < 3; d++) {
            origin[d] += nearest * direction[d];
            normal[d] = (origin[d] - spheres[hit].place[d]) / spheres[hit].radius;
        }
        light += strength * spheres[hit].bright;
        strength *= spheres[hit].reflects;
        if (strength < 0.01f)
            break;
        float by = -2.0f * dot3(direction, normal);
        for (uint d = 0; d < 3; d++)
            direction[d] += by * normal[d];
    }
    return light;
}

kernel void rays(uint count, global const Sphere *restrict spheres, global float *restrict out) {
    size_t x = get_global_id(0), y = get_global_id(1);
    float width = get_global_size(0), height = get_global_size(1);
    float aim[3] = {((float)x - 0.5f * width) / width, (0.5f * height - (float)y) / width, 1.0f};
    float origin[3] = {0.0f, 0.0f, -4.0f};
    float len = sqrt(dot3(aim, aim));
    for (uint d = 0; d < 3; d++)
        aim[d] /= len;
    out[y * get_global_size(0) + x] = trace(spheres, count, origin, aim);
}

// Groups of 256.
kernel void counts(global const uchar *restrict bytes, global atomic_uint *counts) {
    local atomic_uint own[256];
    uint rank = get_local_id(0);
    atomic_init(&own[rank], 0);
    barrier(CLK_LOCAL_MEM_FENCE);
    size_t first = get_global_id(0) * 256;
    for (size_t i = first; i < first + 256; i++)
        atomic_fetch_add_explicit(&own[bytes[i]], 1, memory_order_relaxed, memory_scope_work_group);
    barrier(CLK_LOCAL_MEM_FENCE);
    uint count = atomic_load_explicit(&own[rank], memory_order_relaxed, memory_scope_work_group);
    atomic_fetch_add_explicit(&counts[rank], count, memory_order_relaxed, memory_scope_device);
}

kernel void spmv(global const uint *restrict starts, global const uint *restrict columns,
                 global const float *restrict values, global const float *restrict x,
                 global float *restrict y) {
    size_t row = get_global_id(0);
    float sum = 0.0f;
    for (uint i = starts[row]; i < starts[row + 1]; i++)
        sum += values[i] * x[columns[i]];
    y[row] = sum;
}

// What is measured on devices alone: streams, and beside them products and transforms.

kernel void copy(global const float *restrict a, global float *restrict c) {
    size_t i = get_global_id(0);
    c[i] = a[i];
}

kernel void mul(float s, global const float *restrict c, global float *restrict b) {
    size_t i = get_global_id(0);
    b[i] = s * c[i];
}

kernel void add(global const float *restrict a, global const float *restrict b,
                global float *restrict c) {
    size_t i = get_global_id(0);
    c[i] = a[i] + b[i];
}

// Groups of 1024.
kernel __attribute__((reqd_work_group_size(1024, 1, 1)))
void dot_product(global const float *restrict a, global const float *restrict b, ulong len,
                 global float *restrict sums) {
    local float tile[1024];
    uint rank = get_local_id(0);
    float mine = 0.0f;
    for (size_t i = get_global_id(0); i < len; i += get_global_size(0))
        mine += a[i] * b[i];
    tile[rank] = mine;
    for (uint half_of = 512; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (rank < half_of)
            mine += tile[rank + half_of];
        barrier(CLK_LOCAL_MEM_FENCE);
        tile[rank] = mine;
    }
    if (rank == 0)
        sums[get_group_id(0)] = mine;
}

// Groups of 256: 128 x 128 of the product of the transpose of a and of b, both n x n by rows, 8 x 8 an item.
kernel void gemm(ulong n, global const float4 *restrict a, global const float4 *restrict b,
                 global float4 *restrict c) {
    local float4 tile_a[2][512], tile_b[2][512];
    uint rank = get_local_id(0), tx = rank % 16, ty = rank / 16;
    size_t width = n / 4;
    size_t from = ty * width + 2 * tx;
    size_t from_a = from + get_group_id(1) * 32, from_b = from + get_group_id(0) * 32;
    uint to = ty * 32 + 2 * tx, now = 0;
    float sums[8][8] = {};
    float4 next[4] = {a[from_a], a[from_a + 1], b[from_b], b[from_b + 1]};
    for (size_t k = 0; k < n; k += 16) {
        tile_a[now][to] = next[0], tile_a[now][to + 1] = next[1];
        tile_b[now][to] = next[2], tile_b[now][to + 1] = next[3];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (k + 16 < n) {
            from_a += 16 * width, from_b += 16 * width;
            next[0] = a[from_a], next[1] = a[from_a + 1];
            next[2] = b[from_b], next[3] = b[from_b + 1];
        }
        for (uint d = 0; d < 16; d++) {
            float4 a0 = tile_a[now][d * 32 + ty], a1 = tile_a[now][d * 32 + 16 + ty];
            float4 b0 = tile_b[now][d * 32 + tx], b1 = tile_b[now][d * 32 + 16 + tx];
            float left[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
            float right[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
            for (uint i = 0; i < 8; i++)
                for (uint j = 0; j < 8; j++)
                    sums[i][j] = fma(left[i], right[j], sums[i][j]);
        }
        now ^= 1;
    }
    for (uint i = 0; i < 8; i++) {
        size_t row = get_group_id(1) * 128 + i / 4 * 64 + ty * 4 + i % 4;
        size_t at = row * width + get_group_id(0) * 32 + tx;
        c[at] = (float4)(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
        c[at + 16] = (float4)(sums[i][4], sums[i][5], sums[i][6], sums[i][7]);
    }
}

float2 times(float2 a, float2 b) {
    return (float2)(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// A pass of Fourier transforms of base 4, a row each.
kernel void fft(ulong step, global const float2 *restrict roots, global const float2 *restrict x,
                global float2 *restrict y) {
    size_t i = get_global_id(0), quarter = get_global_size(0);
    size_t row = get_global_id(1) * 4 * quarter, turn = i & ~(step - 1);
    global const float2 *in = x + row + i;
    float2 a = in[0], b = in[quarter], c = in[2 * quarter], d = in[3 * quarter];
    float2 s = a + c, t = b + d, u = a - c, v = b - d;
    global float2 *out = y + row + 4 * i;
    out[0] = s + t;
    out[1] = times((float2)(u.x + v.y, u.y - v.x), roots[turn]);
    out[2] = times(s - t, roots[2 * turn]);
    out[3] = times((float2)(u.x - v.y, u.y + v.x), roots[3 * turn]);
}
