// What kernels.cl uses of OpenCL C's library, by clang's builtins for AMD's devices: as ROCm's device
// libraries have it, without an offset of the grid. Declared by clang's own header.

#define BY_DIMENSION(NAME, BUILTIN)                                                                \
    __attribute__((overloadable, always_inline, const)) size_t NAME(uint dimension) {              \
        return dimension == 0 ? BUILTIN##_x() : dimension == 1 ? BUILTIN##_y() : BUILTIN##_z();    \
    }
BY_DIMENSION(get_local_id, __builtin_amdgcn_workitem_id)
BY_DIMENSION(get_group_id, __builtin_amdgcn_workgroup_id)
BY_DIMENSION(get_local_size, __builtin_amdgcn_workgroup_size)
BY_DIMENSION(get_global_size, __builtin_amdgcn_grid_size)

__attribute__((overloadable, always_inline, const)) size_t get_global_id(uint dimension) {
    return get_group_id(dimension) * get_local_size(dimension) + get_local_id(dimension);
}

__attribute__((overloadable, always_inline, convergent)) void barrier(cl_mem_fence_flags flags) {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}

#define OF_ONE(NAME, BUILTIN)                                                                      \
    __attribute__((overloadable, always_inline, const)) float NAME(float x) { return BUILTIN(x); }
OF_ONE(exp, __builtin_expf)
OF_ONE(log, __builtin_logf)
OF_ONE(sqrt, __builtin_sqrtf)
OF_ONE(fabs, __builtin_fabsf)

__attribute__((overloadable, always_inline, const)) float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}

// The memory's space is in the object's type; orders and scopes have the numbers of clang's builtins.
#define atomic_init(OBJECT, VALUE) __opencl_atomic_init(OBJECT, VALUE)
#define atomic_fetch_add_explicit(OBJECT, VALUE, ORDER, SCOPE)                                     \
    __opencl_atomic_fetch_add(OBJECT, VALUE, ORDER, SCOPE)
#define atomic_load_explicit(OBJECT, ORDER, SCOPE) __opencl_atomic_load(OBJECT, ORDER, SCOPE)
