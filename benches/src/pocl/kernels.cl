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
