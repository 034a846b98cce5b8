; Products of matrices by the matrix units of a warp, in the arrangement of `legionella_device::matrix`, which is that of
; PTX ISA, "Matrix Fragments for mma": the left matrix, and each half of the right one and of the sum, are
; fragments of one instruction, or of several that follow each other.

declare { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.f32.f32(<2 x half>, <2 x half>, <2 x half>, <2 x half>, <2 x half>, <2 x half>, float, float, float, float)
declare { float, float, float, float } @llvm.nvvm.mma.m16n8k8.row.col.f32.f32(<2 x half>, <2 x half>, <2 x half>, float, float, float, float)
declare { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32, i32, i32, i32, i32, i32, float, float, float, float)
declare { float, float, float, float } @llvm.nvvm.mma.m16n8k8.row.col.tf32(i32, i32, i32, i32, i32, i32, float, float, float, float)
declare { double, double } @llvm.nvvm.mma.m8n8k4.row.col.f64(double, double, double, double)
declare { i32, i32, i32, i32 } @llvm.nvvm.mma.m16n8k32.row.col.s8(i32, i32, i32, i32, i32, i32, i32, i32, i32, i32)
declare { i32, i32, i32, i32 } @llvm.nvvm.mma.m16n8k32.row.col.u8(i32, i32, i32, i32, i32, i32, i32, i32, i32, i32)
declare { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.s8(i32, i32, i32, i32)
declare { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.u8(i32, i32, i32, i32)
declare { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3))
declare { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3(ptr addrspace(3))

; Each takes the left matrix, the right one and the sum.

define void @legionella.unit.f16(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.f16(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.f16(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.f16(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x float>, ptr %sum, align 4
  %c0 = extractelement <4 x float> %sums, i32 0
  %c1 = extractelement <4 x float> %sums, i32 1
  %c2 = extractelement <4 x float> %sums, i32 2
  %c3 = extractelement <4 x float> %sums, i32 3
  %l0h = bitcast i32 %l0 to <2 x half>
  %l1h = bitcast i32 %l1 to <2 x half>
  %l2h = bitcast i32 %l2 to <2 x half>
  %l3h = bitcast i32 %l3 to <2 x half>
  %r0h = bitcast i32 %r0 to <2 x half>
  %r1h = bitcast i32 %r1 to <2 x half>
  %d = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.f32.f32(<2 x half> %l0h, <2 x half> %l1h, <2 x half> %l2h, <2 x half> %l3h, <2 x half> %r0h, <2 x half> %r1h, float %c0, float %c1, float %c2, float %c3)
  %d0 = extractvalue { float, float, float, float } %d, 0
  %d1 = extractvalue { float, float, float, float } %d, 1
  %d2 = extractvalue { float, float, float, float } %d, 2
  %d3 = extractvalue { float, float, float, float } %d, 3
  %s0 = insertelement <4 x float> poison, float %d0, i32 0
  %s1 = insertelement <4 x float> %s0, float %d1, i32 1
  %s2 = insertelement <4 x float> %s1, float %d2, i32 2
  %s3 = insertelement <4 x float> %s2, float %d3, i32 3
  store <4 x float> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.bf16(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.bf16(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.bf16(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.bf16(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x float>, ptr %sum, align 4
  %c0 = extractelement <4 x float> %sums, i32 0
  %c1 = extractelement <4 x float> %sums, i32 1
  %c2 = extractelement <4 x float> %sums, i32 2
  %c3 = extractelement <4 x float> %sums, i32 3
  %d = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 %l0, i32 %l1, i32 %l2, i32 %l3, i32 %r0, i32 %r1, float %c0, float %c1, float %c2, float %c3)
  %d0 = extractvalue { float, float, float, float } %d, 0
  %d1 = extractvalue { float, float, float, float } %d, 1
  %d2 = extractvalue { float, float, float, float } %d, 2
  %d3 = extractvalue { float, float, float, float } %d, 3
  %s0 = insertelement <4 x float> poison, float %d0, i32 0
  %s1 = insertelement <4 x float> %s0, float %d1, i32 1
  %s2 = insertelement <4 x float> %s1, float %d2, i32 2
  %s3 = insertelement <4 x float> %s2, float %d3, i32 3
  store <4 x float> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.tf32(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.tf32(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.tf32(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.tf32(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x float>, ptr %sum, align 4
  %c0 = extractelement <4 x float> %sums, i32 0
  %c1 = extractelement <4 x float> %sums, i32 1
  %c2 = extractelement <4 x float> %sums, i32 2
  %c3 = extractelement <4 x float> %sums, i32 3
  %d = call { float, float, float, float } @llvm.nvvm.mma.m16n8k8.row.col.tf32(i32 %l0, i32 %l1, i32 %l2, i32 %l3, i32 %r0, i32 %r1, float %c0, float %c1, float %c2, float %c3)
  %d0 = extractvalue { float, float, float, float } %d, 0
  %d1 = extractvalue { float, float, float, float } %d, 1
  %d2 = extractvalue { float, float, float, float } %d, 2
  %d3 = extractvalue { float, float, float, float } %d, 3
  %s0 = insertelement <4 x float> poison, float %d0, i32 0
  %s1 = insertelement <4 x float> %s0, float %d1, i32 1
  %s2 = insertelement <4 x float> %s1, float %d2, i32 2
  %s3 = insertelement <4 x float> %s2, float %d3, i32 3
  store <4 x float> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.i8(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.i8(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.i8(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x i32>, ptr %sum, align 4
  %c0 = extractelement <4 x i32> %sums, i32 0
  %c1 = extractelement <4 x i32> %sums, i32 1
  %c2 = extractelement <4 x i32> %sums, i32 2
  %c3 = extractelement <4 x i32> %sums, i32 3
  %d = call { i32, i32, i32, i32 } @llvm.nvvm.mma.m16n8k32.row.col.s8(i32 %l0, i32 %l1, i32 %l2, i32 %l3, i32 %r0, i32 %r1, i32 %c0, i32 %c1, i32 %c2, i32 %c3)
  %d0 = extractvalue { i32, i32, i32, i32 } %d, 0
  %d1 = extractvalue { i32, i32, i32, i32 } %d, 1
  %d2 = extractvalue { i32, i32, i32, i32 } %d, 2
  %d3 = extractvalue { i32, i32, i32, i32 } %d, 3
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.u8(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.u8(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.u8(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.u8(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x i32>, ptr %sum, align 4
  %c0 = extractelement <4 x i32> %sums, i32 0
  %c1 = extractelement <4 x i32> %sums, i32 1
  %c2 = extractelement <4 x i32> %sums, i32 2
  %c3 = extractelement <4 x i32> %sums, i32 3
  %d = call { i32, i32, i32, i32 } @llvm.nvvm.mma.m16n8k32.row.col.u8(i32 %l0, i32 %l1, i32 %l2, i32 %l3, i32 %r0, i32 %r1, i32 %c0, i32 %c1, i32 %c2, i32 %c3)
  %d0 = extractvalue { i32, i32, i32, i32 } %d, 0
  %d1 = extractvalue { i32, i32, i32, i32 } %d, 1
  %d2 = extractvalue { i32, i32, i32, i32 } %d, 2
  %d3 = extractvalue { i32, i32, i32, i32 } %d, 3
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.f64(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.f64(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 32
  call void @legionella.unit.half.f64(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.f64(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <2 x double>, ptr %left, align 4
  %l0 = extractelement <2 x double> %lefts, i32 0
  %l1 = extractelement <2 x double> %lefts, i32 1
  %r0 = load double, ptr %right, align 4
  %sums = load <4 x double>, ptr %sum, align 8
  %c0 = extractelement <4 x double> %sums, i32 0
  %c1 = extractelement <4 x double> %sums, i32 1
  %c2 = extractelement <4 x double> %sums, i32 2
  %c3 = extractelement <4 x double> %sums, i32 3
  %d0 = call { double, double } @llvm.nvvm.mma.m8n8k4.row.col.f64(double %l0, double %r0, double %c0, double %c1)
  %e0 = extractvalue { double, double } %d0, 0
  %e1 = extractvalue { double, double } %d0, 1
  %d1 = call { double, double } @llvm.nvvm.mma.m8n8k4.row.col.f64(double %l1, double %r0, double %c2, double %c3)
  %e2 = extractvalue { double, double } %d1, 0
  %e3 = extractvalue { double, double } %d1, 1
  %s0 = insertelement <4 x double> poison, double %e0, i32 0
  %s1 = insertelement <4 x double> %s0, double %e1, i32 1
  %s2 = insertelement <4 x double> %s1, double %e2, i32 2
  %s3 = insertelement <4 x double> %s2, double %e3, i32 3
  store <4 x double> %s3, ptr %sum, align 8
  ret void
}

; Before compute capability 8.0 instructions are half as deep.

define void @legionella.unit.f16.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.f16.shallow(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.f16.shallow(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.f16.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x float>, ptr %sum, align 4
  %c0 = extractelement <4 x float> %sums, i32 0
  %c1 = extractelement <4 x float> %sums, i32 1
  %c2 = extractelement <4 x float> %sums, i32 2
  %c3 = extractelement <4 x float> %sums, i32 3
  %l0h = bitcast i32 %l0 to <2 x half>
  %l1h = bitcast i32 %l1 to <2 x half>
  %l2h = bitcast i32 %l2 to <2 x half>
  %l3h = bitcast i32 %l3 to <2 x half>
  %r0h = bitcast i32 %r0 to <2 x half>
  %r1h = bitcast i32 %r1 to <2 x half>
  %a = call { float, float, float, float } @llvm.nvvm.mma.m16n8k8.row.col.f32.f32(<2 x half> %l0h, <2 x half> %l1h, <2 x half> %r0h, float %c0, float %c1, float %c2, float %c3)
  %a0 = extractvalue { float, float, float, float } %a, 0
  %a1 = extractvalue { float, float, float, float } %a, 1
  %a2 = extractvalue { float, float, float, float } %a, 2
  %a3 = extractvalue { float, float, float, float } %a, 3
  %d = call { float, float, float, float } @llvm.nvvm.mma.m16n8k8.row.col.f32.f32(<2 x half> %l2h, <2 x half> %l3h, <2 x half> %r1h, float %a0, float %a1, float %a2, float %a3)
  %d0 = extractvalue { float, float, float, float } %d, 0
  %d1 = extractvalue { float, float, float, float } %d, 1
  %d2 = extractvalue { float, float, float, float } %d, 2
  %d3 = extractvalue { float, float, float, float } %d, 3
  %s0 = insertelement <4 x float> poison, float %d0, i32 0
  %s1 = insertelement <4 x float> %s0, float %d1, i32 1
  %s2 = insertelement <4 x float> %s1, float %d2, i32 2
  %s3 = insertelement <4 x float> %s2, float %d3, i32 3
  store <4 x float> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.i8.shallow(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.i8.shallow(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.i8.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x i32>, ptr %sum, align 4
  %c0 = extractelement <4 x i32> %sums, i32 0
  %c1 = extractelement <4 x i32> %sums, i32 1
  %c2 = extractelement <4 x i32> %sums, i32 2
  %c3 = extractelement <4 x i32> %sums, i32 3
  %a0 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.s8(i32 %l0, i32 %r0, i32 %c0, i32 %c1)
  %a00 = extractvalue { i32, i32 } %a0, 0
  %a01 = extractvalue { i32, i32 } %a0, 1
  %b0 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.s8(i32 %l2, i32 %r1, i32 %a00, i32 %a01)
  %d0 = extractvalue { i32, i32 } %b0, 0
  %d1 = extractvalue { i32, i32 } %b0, 1
  %a1 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.s8(i32 %l1, i32 %r0, i32 %c2, i32 %c3)
  %a10 = extractvalue { i32, i32 } %a1, 0
  %a11 = extractvalue { i32, i32 } %a1, 1
  %b1 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.s8(i32 %l3, i32 %r1, i32 %a10, i32 %a11)
  %d2 = extractvalue { i32, i32 } %b1, 0
  %d3 = extractvalue { i32, i32 } %b1, 1
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %sum, align 4
  ret void
}

define void @legionella.unit.u8.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  call void @legionella.unit.half.u8.shallow(ptr %left, ptr %right, ptr %sum)
  %secondright = getelementptr i8, ptr %right, i64 8
  %secondsum = getelementptr i8, ptr %sum, i64 16
  call void @legionella.unit.half.u8.shallow(ptr %left, ptr %secondright, ptr %secondsum)
  ret void
}

define void @legionella.unit.half.u8.shallow(ptr %left, ptr %right, ptr %sum) #0 {
  %lefts = load <4 x i32>, ptr %left, align 4
  %l0 = extractelement <4 x i32> %lefts, i32 0
  %l1 = extractelement <4 x i32> %lefts, i32 1
  %l2 = extractelement <4 x i32> %lefts, i32 2
  %l3 = extractelement <4 x i32> %lefts, i32 3
  %rights = load <2 x i32>, ptr %right, align 4
  %r0 = extractelement <2 x i32> %rights, i32 0
  %r1 = extractelement <2 x i32> %rights, i32 1
  %sums = load <4 x i32>, ptr %sum, align 4
  %c0 = extractelement <4 x i32> %sums, i32 0
  %c1 = extractelement <4 x i32> %sums, i32 1
  %c2 = extractelement <4 x i32> %sums, i32 2
  %c3 = extractelement <4 x i32> %sums, i32 3
  %a0 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.u8(i32 %l0, i32 %r0, i32 %c0, i32 %c1)
  %a00 = extractvalue { i32, i32 } %a0, 0
  %a01 = extractvalue { i32, i32 } %a0, 1
  %b0 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.u8(i32 %l2, i32 %r1, i32 %a00, i32 %a01)
  %d0 = extractvalue { i32, i32 } %b0, 0
  %d1 = extractvalue { i32, i32 } %b0, 1
  %a1 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.u8(i32 %l1, i32 %r0, i32 %c2, i32 %c3)
  %a10 = extractvalue { i32, i32 } %a1, 0
  %a11 = extractvalue { i32, i32 } %a1, 1
  %b1 = call { i32, i32 } @llvm.nvvm.mma.m8n8k16.row.col.u8(i32 %l3, i32 %r1, i32 %a10, i32 %a11)
  %d2 = extractvalue { i32, i32 } %b1, 0
  %d3 = extractvalue { i32, i32 } %b1, 1
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %sum, align 4
  ret void
}

; Each takes the address of the lane's row, in shared memory, and where the words go.

define void @legionella.unit.rows(ptr %row, ptr %words) #0 {
  %place = addrspacecast ptr %row to ptr addrspace(3)
  %d = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %place)
  %d0 = extractvalue { i32, i32, i32, i32 } %d, 0
  %d1 = extractvalue { i32, i32, i32, i32 } %d, 1
  %d2 = extractvalue { i32, i32, i32, i32 } %d, 2
  %d3 = extractvalue { i32, i32, i32, i32 } %d, 3
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %words, align 4
  ret void
}

define void @legionella.unit.columns(ptr %row, ptr %words) #0 {
  %place = addrspacecast ptr %row to ptr addrspace(3)
  %d = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3(ptr addrspace(3) %place)
  %d0 = extractvalue { i32, i32, i32, i32 } %d, 0
  %d1 = extractvalue { i32, i32, i32, i32 } %d, 1
  %d2 = extractvalue { i32, i32, i32, i32 } %d, 2
  %d3 = extractvalue { i32, i32, i32, i32 } %d, 3
  %s0 = insertelement <4 x i32> poison, i32 %d0, i32 0
  %s1 = insertelement <4 x i32> %s0, i32 %d1, i32 1
  %s2 = insertelement <4 x i32> %s1, i32 %d2, i32 2
  %s3 = insertelement <4 x i32> %s2, i32 %d3, i32 3
  store <4 x i32> %s3, ptr %words, align 4
  ret void
}

attributes #0 = { alwaysinline convergent nounwind }
