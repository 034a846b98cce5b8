; Products of matrices by the matrix unit of a wavefront, in the arrangement of rows of `legionella_device::matrix`.
;
; Each takes the left matrix, the right one and the sum. A lane's words are operands of one instruction, or of several
; that follow each other; where depth is cut, left and right matrix are cut alike, which is all that matters.

declare <4 x float> @llvm.amdgcn.mfma.f32.16x16x16f16(<4 x half>, <4 x half>, <4 x float>, i32, i32, i32)
declare <4 x float> @llvm.amdgcn.mfma.f32.16x16x16bf16.1k(<4 x i16>, <4 x i16>, <4 x float>, i32, i32, i32)
declare <4 x float> @llvm.amdgcn.mfma.f32.16x16x8.xf32(<2 x float>, <2 x float>, <4 x float>, i32, i32, i32)
declare <4 x float> @llvm.amdgcn.mfma.f32.16x16x4f32(float, float, <4 x float>, i32, i32, i32)
declare <4 x double> @llvm.amdgcn.mfma.f64.16x16x4f64(double, double, <4 x double>, i32, i32, i32)
declare <4 x i32> @llvm.amdgcn.mfma.i32.16x16x32.i8(i64, i64, <4 x i32>, i32, i32, i32)
declare <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32, i32, <4 x i32>, i32, i32, i32)
declare <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.f16.v8f32.v16f16(<16 x half>, <16 x half>, <8 x float>)
declare <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.bf16.v8f32.v16i16(<16 x i16>, <16 x i16>, <8 x float>)
declare <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v4i32(i1, <4 x i32>, i1, <4 x i32>, <8 x i32>, i1)
declare <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.f16.v8f32.v8f16(<8 x half>, <8 x half>, <8 x float>)
declare <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.bf16.v8f32.v8i16(<8 x i16>, <8 x i16>, <8 x float>)
declare <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v2i32(i1, <2 x i32>, i1, <2 x i32>, <8 x i32>, i1)
declare i32 @llvm.amdgcn.permlanex16.i32(i32, i32, i32, i32, i1, i1)
declare i32 @llvm.amdgcn.mbcnt.lo(i32, i32)

define void @legionella.unit.f16.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x half>, ptr %left, align 4
  %r = load <4 x half>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x16f16(<4 x half> %l, <4 x half> %r, <4 x float> %s0, i32 0, i32 0, i32 0)
  store <4 x float> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.bf16.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x i16>, ptr %left, align 4
  %r = load <4 x i16>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x16bf16.1k(<4 x i16> %l, <4 x i16> %r, <4 x float> %s0, i32 0, i32 0, i32 0)
  store <4 x float> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.f64.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load double, ptr %left, align 4
  %r = load double, ptr %right, align 4
  %s0 = load <4 x double>, ptr %sum, align 4
  %s1 = call <4 x double> @llvm.amdgcn.mfma.f64.16x16x4f64(double %l, double %r, <4 x double> %s0, i32 0, i32 0, i32 0)
  store <4 x double> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.f16.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x half>, ptr %left, align 4
  %r = load <4 x half>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x16f16(<4 x half> %l, <4 x half> %r, <4 x float> %s0, i32 0, i32 0, i32 0)
  store <4 x float> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.bf16.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x i16>, ptr %left, align 4
  %r = load <4 x i16>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x16bf16.1k(<4 x i16> %l, <4 x i16> %r, <4 x float> %s0, i32 0, i32 0, i32 0)
  store <4 x float> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.f64.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load double, ptr %left, align 4
  %r = load double, ptr %right, align 4
  %s0 = load <4 x double>, ptr %sum, align 4
  %s1 = call <4 x double> @llvm.amdgcn.mfma.f64.16x16x4f64(double %l, double %r, <4 x double> %s0, i32 0, i32 0, i32 0)
  store <4 x double> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.tf32.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <2 x float>, ptr %left, align 4
  %r = load <2 x float>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %a0 = extractelement <2 x float> %l, i32 0
  %b0 = extractelement <2 x float> %r, i32 0
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x4f32(float %a0, float %b0, <4 x float> %s0, i32 0, i32 0, i32 0)
  %a1 = extractelement <2 x float> %l, i32 1
  %b1 = extractelement <2 x float> %r, i32 1
  %s2 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x4f32(float %a1, float %b1, <4 x float> %s1, i32 0, i32 0, i32 0)
  store <4 x float> %s2, ptr %sum, align 4
  ret void
}

define void @legionella.unit.tf32.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <2 x float>, ptr %left, align 4
  %r = load <2 x float>, ptr %right, align 4
  %s0 = load <4 x float>, ptr %sum, align 4
  %s1 = call <4 x float> @llvm.amdgcn.mfma.f32.16x16x8.xf32(<2 x float> %l, <2 x float> %r, <4 x float> %s0, i32 0, i32 0, i32 0)
  store <4 x float> %s1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <2 x i32>, ptr %left, align 4
  %r = load <2 x i32>, ptr %right, align 4
  %s0 = load <4 x i32>, ptr %sum, align 4
  %a0 = extractelement <2 x i32> %l, i32 0
  %b0 = extractelement <2 x i32> %r, i32 0
  %s1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %a0, i32 %b0, <4 x i32> %s0, i32 0, i32 0, i32 0)
  %a1 = extractelement <2 x i32> %l, i32 1
  %b1 = extractelement <2 x i32> %r, i32 1
  %s2 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %a1, i32 %b1, <4 x i32> %s1, i32 0, i32 0, i32 0)
  store <4 x i32> %s2, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load i64, ptr %left, align 4
  %r = load i64, ptr %right, align 4
  %s0 = load <4 x i32>, ptr %sum, align 4
  %s1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x32.i8(i64 %l, i64 %r, <4 x i32> %s0, i32 0, i32 0, i32 0)
  store <4 x i32> %s1, ptr %sum, align 4
  ret void
}

; The units have signed bytes alone. Less 128 unsigned bytes are signed ones, and a product of two is
; (a - 128) (b - 128) + 128 ((a - 128) + (b - 128)) + 128 * 128, of which there are 32.

define void @legionella.unit.u8.mfma2(ptr %left, ptr %right, ptr %sum) #0 {
  %lu = load i64, ptr %left, align 4
  %ru = load i64, ptr %right, align 4
  %lx = xor i64 %lu, -9187201950435737472
  %rx = xor i64 %ru, -9187201950435737472
  %l = bitcast i64 %lx to <2 x i32>
  %r = bitcast i64 %rx to <2 x i32>
  %s0 = load <4 x i32>, ptr %sum, align 4
  %l0 = extractelement <2 x i32> %l, i32 0
  %r0 = extractelement <2 x i32> %r, i32 0
  %p0 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %l0, i32 %r0, <4 x i32> %s0, i32 0, i32 0, i32 0)
  %t0 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %l0, i32 16843009, <4 x i32> zeroinitializer, i32 0, i32 0, i32 0)
  %u0 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 16843009, i32 %r0, <4 x i32> %t0, i32 0, i32 0, i32 0)
  %l1 = extractelement <2 x i32> %l, i32 1
  %r1 = extractelement <2 x i32> %r, i32 1
  %p1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %l1, i32 %r1, <4 x i32> %p0, i32 0, i32 0, i32 0)
  %t1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 %l1, i32 16843009, <4 x i32> %u0, i32 0, i32 0, i32 0)
  %u1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x16i8(i32 16843009, i32 %r1, <4 x i32> %t1, i32 0, i32 0, i32 0)
  %scaled = shl <4 x i32> %u1, splat (i32 7)
  %offset = add <4 x i32> %scaled, splat (i32 524288)
  %all = add <4 x i32> %p1, %offset
  store <4 x i32> %all, ptr %sum, align 4
  ret void
}

define void @legionella.unit.u8.mfma3(ptr %left, ptr %right, ptr %sum) #0 {
  %lu = load i64, ptr %left, align 4
  %ru = load i64, ptr %right, align 4
  %lx = xor i64 %lu, -9187201950435737472
  %rx = xor i64 %ru, -9187201950435737472
  %l = bitcast i64 %lx to i64
  %r = bitcast i64 %rx to i64
  %s0 = load <4 x i32>, ptr %sum, align 4
  %s1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x32.i8(i64 %l, i64 %r, <4 x i32> %s0, i32 0, i32 0, i32 0)
  %t1 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x32.i8(i64 %l, i64 72340172838076673, <4 x i32> zeroinitializer, i32 0, i32 0, i32 0)
  %t2 = call <4 x i32> @llvm.amdgcn.mfma.i32.16x16x32.i8(i64 72340172838076673, i64 %r, <4 x i32> %t1, i32 0, i32 0, i32 0)
  %scaled = shl <4 x i32> %t2, splat (i32 7)
  %offset = add <4 x i32> %scaled, splat (i32 524288)
  %all = add <4 x i32> %s1, %offset
  store <4 x i32> %all, ptr %sum, align 4
  ret void
}

; On RDNA 3 both groups of lanes have whole rows. A lane's four words, and those of the same lane of the other group,
; in one order in both.
define <8 x i32> @legionella.unit.row(ptr %words) #0 {
  %own = load <4 x i32>, ptr %words, align 4
  %own0 = extractelement <4 x i32> %own, i32 0
  %got0 = call i32 @llvm.amdgcn.permlanex16.i32(i32 poison, i32 %own0, i32 1985229328, i32 -19088744, i1 true, i1 false)
  %other0 = insertelement <4 x i32> poison, i32 %got0, i32 0
  %own1 = extractelement <4 x i32> %own, i32 1
  %got1 = call i32 @llvm.amdgcn.permlanex16.i32(i32 poison, i32 %own1, i32 1985229328, i32 -19088744, i1 true, i1 false)
  %other1 = insertelement <4 x i32> %other0, i32 %got1, i32 1
  %own2 = extractelement <4 x i32> %own, i32 2
  %got2 = call i32 @llvm.amdgcn.permlanex16.i32(i32 poison, i32 %own2, i32 1985229328, i32 -19088744, i1 true, i1 false)
  %other2 = insertelement <4 x i32> %other1, i32 %got2, i32 2
  %own3 = extractelement <4 x i32> %own, i32 3
  %got3 = call i32 @llvm.amdgcn.permlanex16.i32(i32 poison, i32 %own3, i32 1985229328, i32 -19088744, i1 true, i1 false)
  %other3 = insertelement <4 x i32> %other2, i32 %got3, i32 3
  %lane = call i32 @llvm.amdgcn.mbcnt.lo(i32 -1, i32 0)
  %group = and i32 %lane, 16
  %upper = icmp ne i32 %group, 0
  %first = select i1 %upper, <4 x i32> %other3, <4 x i32> %own
  %second = select i1 %upper, <4 x i32> %own, <4 x i32> %other3
  %row = shufflevector <4 x i32> %first, <4 x i32> %second, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  ret <8 x i32> %row
}

define void @legionella.unit.f16.wmma3(ptr %left, ptr %right, ptr %sum) #0 {
  %lw = call <8 x i32> @legionella.unit.row(ptr %left)
  %rw = call <8 x i32> @legionella.unit.row(ptr %right)
  %l = bitcast <8 x i32> %lw to <16 x half>
  %r = bitcast <8 x i32> %rw to <16 x half>
  %s = load <8 x float>, ptr %sum, align 4
  %d = call <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.f16.v8f32.v16f16(<16 x half> %l, <16 x half> %r, <8 x float> %s)
  store <8 x float> %d, ptr %sum, align 4
  ret void
}

define void @legionella.unit.bf16.wmma3(ptr %left, ptr %right, ptr %sum) #0 {
  %lw = call <8 x i32> @legionella.unit.row(ptr %left)
  %rw = call <8 x i32> @legionella.unit.row(ptr %right)
  %l = bitcast <8 x i32> %lw to <16 x i16>
  %r = bitcast <8 x i32> %rw to <16 x i16>
  %s = load <8 x float>, ptr %sum, align 4
  %d = call <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.bf16.v8f32.v16i16(<16 x i16> %l, <16 x i16> %r, <8 x float> %s)
  store <8 x float> %d, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8.wmma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = call <8 x i32> @legionella.unit.row(ptr %left)
  %r = call <8 x i32> @legionella.unit.row(ptr %right)
  %s = load <8 x i32>, ptr %sum, align 4
  %l0 = shufflevector <8 x i32> %l, <8 x i32> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %l1 = shufflevector <8 x i32> %l, <8 x i32> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %r0 = shufflevector <8 x i32> %r, <8 x i32> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %r1 = shufflevector <8 x i32> %r, <8 x i32> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %d0 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v4i32(i1 true, <4 x i32> %l0, i1 true, <4 x i32> %r0, <8 x i32> %s, i1 false)
  %d1 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v4i32(i1 true, <4 x i32> %l1, i1 true, <4 x i32> %r1, <8 x i32> %d0, i1 false)
  store <8 x i32> %d1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.u8.wmma3(ptr %left, ptr %right, ptr %sum) #0 {
  %l = call <8 x i32> @legionella.unit.row(ptr %left)
  %r = call <8 x i32> @legionella.unit.row(ptr %right)
  %s = load <8 x i32>, ptr %sum, align 4
  %l0 = shufflevector <8 x i32> %l, <8 x i32> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %l1 = shufflevector <8 x i32> %l, <8 x i32> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %r0 = shufflevector <8 x i32> %r, <8 x i32> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %r1 = shufflevector <8 x i32> %r, <8 x i32> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %d0 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v4i32(i1 false, <4 x i32> %l0, i1 false, <4 x i32> %r0, <8 x i32> %s, i1 false)
  %d1 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v4i32(i1 false, <4 x i32> %l1, i1 false, <4 x i32> %r1, <8 x i32> %d0, i1 false)
  store <8 x i32> %d1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.f16.wmma4(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <8 x half>, ptr %left, align 4
  %r = load <8 x half>, ptr %right, align 4
  %s = load <8 x float>, ptr %sum, align 4
  %d = call <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.f16.v8f32.v8f16(<8 x half> %l, <8 x half> %r, <8 x float> %s)
  store <8 x float> %d, ptr %sum, align 4
  ret void
}

define void @legionella.unit.bf16.wmma4(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <8 x i16>, ptr %left, align 4
  %r = load <8 x i16>, ptr %right, align 4
  %s = load <8 x float>, ptr %sum, align 4
  %d = call <8 x float> @llvm.amdgcn.wmma.f32.16x16x16.bf16.v8f32.v8i16(<8 x i16> %l, <8 x i16> %r, <8 x float> %s)
  store <8 x float> %d, ptr %sum, align 4
  ret void
}

define void @legionella.unit.i8.wmma4(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x i32>, ptr %left, align 4
  %r = load <4 x i32>, ptr %right, align 4
  %s = load <8 x i32>, ptr %sum, align 4
  %l0 = shufflevector <4 x i32> %l, <4 x i32> poison, <2 x i32> <i32 0, i32 1>
  %l1 = shufflevector <4 x i32> %l, <4 x i32> poison, <2 x i32> <i32 2, i32 3>
  %r0 = shufflevector <4 x i32> %r, <4 x i32> poison, <2 x i32> <i32 0, i32 1>
  %r1 = shufflevector <4 x i32> %r, <4 x i32> poison, <2 x i32> <i32 2, i32 3>
  %d0 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v2i32(i1 true, <2 x i32> %l0, i1 true, <2 x i32> %r0, <8 x i32> %s, i1 false)
  %d1 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v2i32(i1 true, <2 x i32> %l1, i1 true, <2 x i32> %r1, <8 x i32> %d0, i1 false)
  store <8 x i32> %d1, ptr %sum, align 4
  ret void
}

define void @legionella.unit.u8.wmma4(ptr %left, ptr %right, ptr %sum) #0 {
  %l = load <4 x i32>, ptr %left, align 4
  %r = load <4 x i32>, ptr %right, align 4
  %s = load <8 x i32>, ptr %sum, align 4
  %l0 = shufflevector <4 x i32> %l, <4 x i32> poison, <2 x i32> <i32 0, i32 1>
  %l1 = shufflevector <4 x i32> %l, <4 x i32> poison, <2 x i32> <i32 2, i32 3>
  %r0 = shufflevector <4 x i32> %r, <4 x i32> poison, <2 x i32> <i32 0, i32 1>
  %r1 = shufflevector <4 x i32> %r, <4 x i32> poison, <2 x i32> <i32 2, i32 3>
  %d0 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v2i32(i1 false, <2 x i32> %l0, i1 false, <2 x i32> %r0, <8 x i32> %s, i1 false)
  %d1 = call <8 x i32> @llvm.amdgcn.wmma.i32.16x16x16.iu8.v8i32.v2i32(i1 false, <2 x i32> %l1, i1 false, <2 x i32> %r1, <8 x i32> %d0, i1 false)
  store <8 x i32> %d1, ptr %sum, align 4
  ret void
}

attributes #0 = { alwaysinline convergent nounwind }
