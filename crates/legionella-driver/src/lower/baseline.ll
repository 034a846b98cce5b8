; Operations of `core::arch` that every x86-64 processor has and that have no form of their own in
; LLVM, for other machines. Each is called as LLVM calls it, with "legionella" for "llvm". Meanings:
; Intel's "Software Developer's Manual", volume 2, under the instruction's name.

declare i32 @llvm.vector.reduce.add.v8i32(<8 x i32>)
declare <8 x i16> @llvm.abs.v8i16(<8 x i16>, i1)
declare {i64, i1} @llvm.uadd.with.overflow.i64(i64, i64)
declare {i64, i1} @llvm.usub.with.overflow.i64(i64, i64)
declare {i32, i1} @llvm.uadd.with.overflow.i32(i32, i32)
declare {i32, i1} @llvm.usub.with.overflow.i32(i32, i32)
declare <8 x i16> @llvm.smin.v8i16(<8 x i16>, <8 x i16>)
declare <8 x i16> @llvm.smax.v8i16(<8 x i16>, <8 x i16>)
declare <4 x i32> @llvm.smin.v4i32(<4 x i32>, <4 x i32>)
declare <4 x i32> @llvm.smax.v4i32(<4 x i32>, <4 x i32>)

; MINPS and its like: the second operand if the two are equal or one is no number.
define <4 x float> @legionella.x86.sse.min.ps(<4 x float> %a, <4 x float> %b) #0 {
  %first = fcmp olt <4 x float> %a, %b
  %r = select <4 x i1> %first, <4 x float> %a, <4 x float> %b
  ret <4 x float> %r
}
; The lowest number alone; the others are the first operand's.
define <4 x float> @legionella.x86.sse.min.ss(<4 x float> %a, <4 x float> %b) #0 {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %first = fcmp olt float %x, %y
  %low = select i1 %first, float %x, float %y
  %r = insertelement <4 x float> %a, float %low, i64 0
  ret <4 x float> %r
}
define <4 x float> @legionella.x86.sse.max.ps(<4 x float> %a, <4 x float> %b) #0 {
  %first = fcmp ogt <4 x float> %a, %b
  %r = select <4 x i1> %first, <4 x float> %a, <4 x float> %b
  ret <4 x float> %r
}
; The lowest number alone; the others are the first operand's.
define <4 x float> @legionella.x86.sse.max.ss(<4 x float> %a, <4 x float> %b) #0 {
  %x = extractelement <4 x float> %a, i64 0
  %y = extractelement <4 x float> %b, i64 0
  %first = fcmp ogt float %x, %y
  %low = select i1 %first, float %x, float %y
  %r = insertelement <4 x float> %a, float %low, i64 0
  ret <4 x float> %r
}
define <2 x double> @legionella.x86.sse2.min.pd(<2 x double> %a, <2 x double> %b) #0 {
  %first = fcmp olt <2 x double> %a, %b
  %r = select <2 x i1> %first, <2 x double> %a, <2 x double> %b
  ret <2 x double> %r
}
; The lowest number alone; the others are the first operand's.
define <2 x double> @legionella.x86.sse2.min.sd(<2 x double> %a, <2 x double> %b) #0 {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %first = fcmp olt double %x, %y
  %low = select i1 %first, double %x, double %y
  %r = insertelement <2 x double> %a, double %low, i64 0
  ret <2 x double> %r
}
define <2 x double> @legionella.x86.sse2.max.pd(<2 x double> %a, <2 x double> %b) #0 {
  %first = fcmp ogt <2 x double> %a, %b
  %r = select <2 x i1> %first, <2 x double> %a, <2 x double> %b
  ret <2 x double> %r
}
; The lowest number alone; the others are the first operand's.
define <2 x double> @legionella.x86.sse2.max.sd(<2 x double> %a, <2 x double> %b) #0 {
  %x = extractelement <2 x double> %a, i64 0
  %y = extractelement <2 x double> %b, i64 0
  %first = fcmp ogt double %x, %y
  %low = select i1 %first, double %x, double %y
  %r = insertelement <2 x double> %a, double %low, i64 0
  ret <2 x double> %r
}
; PSADBW: sums of distances of the bytes of each half.
define <2 x i64> @legionella.x86.sse2.psad.bw(<16 x i8> %a, <16 x i8> %b) #0 {
  %a0 = shufflevector <16 x i8> %a, <16 x i8> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %b0 = shufflevector <16 x i8> %b, <16 x i8> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %wa0 = zext <8 x i8> %a0 to <8 x i16>
  %wb0 = zext <8 x i8> %b0 to <8 x i16>
  %d0 = sub <8 x i16> %wa0, %wb0
  %m0 = call <8 x i16> @llvm.abs.v8i16(<8 x i16> %d0, i1 true)
  %w0 = zext <8 x i16> %m0 to <8 x i32>
  %s0 = call i32 @llvm.vector.reduce.add.v8i32(<8 x i32> %w0)
  %l0 = zext i32 %s0 to i64
  %a1 = shufflevector <16 x i8> %a, <16 x i8> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %b1 = shufflevector <16 x i8> %b, <16 x i8> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %wa1 = zext <8 x i8> %a1 to <8 x i16>
  %wb1 = zext <8 x i8> %b1 to <8 x i16>
  %d1 = sub <8 x i16> %wa1, %wb1
  %m1 = call <8 x i16> @llvm.abs.v8i16(<8 x i16> %d1, i1 true)
  %w1 = zext <8 x i16> %m1 to <8 x i32>
  %s1 = call i32 @llvm.vector.reduce.add.v8i32(<8 x i32> %w1)
  %l1 = zext i32 %s1 to i64
  %low = insertelement <2 x i64> poison, i64 %l0, i64 0
  %r = insertelement <2 x i64> %low, i64 %l1, i64 1
  ret <2 x i64> %r
}

; PMADDWD: sums of neighbouring products.
define <4 x i32> @legionella.x86.sse2.pmadd.wd(<8 x i16> %a, <8 x i16> %b) #0 {
  %wa = sext <8 x i16> %a to <8 x i32>
  %wb = sext <8 x i16> %b to <8 x i32>
  %products = mul <8 x i32> %wa, %wb
  %even = shufflevector <8 x i32> %products, <8 x i32> poison, <4 x i32> <i32 0, i32 2, i32 4, i32 6>
  %odd = shufflevector <8 x i32> %products, <8 x i32> poison, <4 x i32> <i32 1, i32 3, i32 5, i32 7>
  %r = add <4 x i32> %even, %odd
  ret <4 x i32> %r
}

; PACKSSWB, PACKUSWB, PACKSSDW: narrowed to the ends of the narrower range.
define <16 x i8> @legionella.x86.sse2.packsswb.128(<8 x i16> %a, <8 x i16> %b) #0 {
  %la = call <8 x i16> @llvm.smax.v8i16(<8 x i16> %a, <8 x i16> <i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128>)
  %ha = call <8 x i16> @llvm.smin.v8i16(<8 x i16> %la, <8 x i16> <i16 127, i16 127, i16 127, i16 127, i16 127, i16 127, i16 127, i16 127>)
  %na = trunc <8 x i16> %ha to <8 x i8>
  %lb = call <8 x i16> @llvm.smax.v8i16(<8 x i16> %b, <8 x i16> <i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128, i16 -128>)
  %hb = call <8 x i16> @llvm.smin.v8i16(<8 x i16> %lb, <8 x i16> <i16 127, i16 127, i16 127, i16 127, i16 127, i16 127, i16 127, i16 127>)
  %nb = trunc <8 x i16> %hb to <8 x i8>
  %r = shufflevector <8 x i8> %na, <8 x i8> %nb, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  ret <16 x i8> %r
}
define <16 x i8> @legionella.x86.sse2.packuswb.128(<8 x i16> %a, <8 x i16> %b) #0 {
  %la = call <8 x i16> @llvm.smax.v8i16(<8 x i16> %a, <8 x i16> <i16 0, i16 0, i16 0, i16 0, i16 0, i16 0, i16 0, i16 0>)
  %ha = call <8 x i16> @llvm.smin.v8i16(<8 x i16> %la, <8 x i16> <i16 255, i16 255, i16 255, i16 255, i16 255, i16 255, i16 255, i16 255>)
  %na = trunc <8 x i16> %ha to <8 x i8>
  %lb = call <8 x i16> @llvm.smax.v8i16(<8 x i16> %b, <8 x i16> <i16 0, i16 0, i16 0, i16 0, i16 0, i16 0, i16 0, i16 0>)
  %hb = call <8 x i16> @llvm.smin.v8i16(<8 x i16> %lb, <8 x i16> <i16 255, i16 255, i16 255, i16 255, i16 255, i16 255, i16 255, i16 255>)
  %nb = trunc <8 x i16> %hb to <8 x i8>
  %r = shufflevector <8 x i8> %na, <8 x i8> %nb, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  ret <16 x i8> %r
}
define <8 x i16> @legionella.x86.sse2.packssdw.128(<4 x i32> %a, <4 x i32> %b) #0 {
  %la = call <4 x i32> @llvm.smax.v4i32(<4 x i32> %a, <4 x i32> <i32 -32768, i32 -32768, i32 -32768, i32 -32768>)
  %ha = call <4 x i32> @llvm.smin.v4i32(<4 x i32> %la, <4 x i32> <i32 32767, i32 32767, i32 32767, i32 32767>)
  %na = trunc <4 x i32> %ha to <4 x i16>
  %lb = call <4 x i32> @llvm.smax.v4i32(<4 x i32> %b, <4 x i32> <i32 -32768, i32 -32768, i32 -32768, i32 -32768>)
  %hb = call <4 x i32> @llvm.smin.v4i32(<4 x i32> %lb, <4 x i32> <i32 32767, i32 32767, i32 32767, i32 32767>)
  %nb = trunc <4 x i32> %hb to <4 x i16>
  %r = shufflevector <4 x i16> %na, <4 x i16> %nb, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  ret <8 x i16> %r
}
; ADC and SBB: the carry that comes in is any number but 0.
define {i8, i64} @legionella.x86.addcarry.64(i8 %carry, i64 %a, i64 %b) #0 {
  %in = icmp ne i8 %carry, 0
  %c = zext i1 %in to i64
  %one = call {i64, i1} @llvm.uadd.with.overflow.i64(i64 %a, i64 %b)
  %first = extractvalue {i64, i1} %one, 0
  %o1 = extractvalue {i64, i1} %one, 1
  %two = call {i64, i1} @llvm.uadd.with.overflow.i64(i64 %first, i64 %c)
  %second = extractvalue {i64, i1} %two, 0
  %o2 = extractvalue {i64, i1} %two, 1
  %o = or i1 %o1, %o2
  %out = zext i1 %o to i8
  %whole = insertvalue {i8, i64} poison, i8 %out, 0
  %r = insertvalue {i8, i64} %whole, i64 %second, 1
  ret {i8, i64} %r
}
define {i8, i64} @legionella.x86.subborrow.64(i8 %carry, i64 %a, i64 %b) #0 {
  %in = icmp ne i8 %carry, 0
  %c = zext i1 %in to i64
  %one = call {i64, i1} @llvm.usub.with.overflow.i64(i64 %a, i64 %b)
  %first = extractvalue {i64, i1} %one, 0
  %o1 = extractvalue {i64, i1} %one, 1
  %two = call {i64, i1} @llvm.usub.with.overflow.i64(i64 %first, i64 %c)
  %second = extractvalue {i64, i1} %two, 0
  %o2 = extractvalue {i64, i1} %two, 1
  %o = or i1 %o1, %o2
  %out = zext i1 %o to i8
  %whole = insertvalue {i8, i64} poison, i8 %out, 0
  %r = insertvalue {i8, i64} %whole, i64 %second, 1
  ret {i8, i64} %r
}
define {i8, i32} @legionella.x86.addcarry.32(i8 %carry, i32 %a, i32 %b) #0 {
  %in = icmp ne i8 %carry, 0
  %c = zext i1 %in to i32
  %one = call {i32, i1} @llvm.uadd.with.overflow.i32(i32 %a, i32 %b)
  %first = extractvalue {i32, i1} %one, 0
  %o1 = extractvalue {i32, i1} %one, 1
  %two = call {i32, i1} @llvm.uadd.with.overflow.i32(i32 %first, i32 %c)
  %second = extractvalue {i32, i1} %two, 0
  %o2 = extractvalue {i32, i1} %two, 1
  %o = or i1 %o1, %o2
  %out = zext i1 %o to i8
  %whole = insertvalue {i8, i32} poison, i8 %out, 0
  %r = insertvalue {i8, i32} %whole, i32 %second, 1
  ret {i8, i32} %r
}
define {i8, i32} @legionella.x86.subborrow.32(i8 %carry, i32 %a, i32 %b) #0 {
  %in = icmp ne i8 %carry, 0
  %c = zext i1 %in to i32
  %one = call {i32, i1} @llvm.usub.with.overflow.i32(i32 %a, i32 %b)
  %first = extractvalue {i32, i1} %one, 0
  %o1 = extractvalue {i32, i1} %one, 1
  %two = call {i32, i1} @llvm.usub.with.overflow.i32(i32 %first, i32 %c)
  %second = extractvalue {i32, i1} %two, 0
  %o2 = extractvalue {i32, i1} %two, 1
  %o = or i1 %o1, %o2
  %out = zext i1 %o to i8
  %whole = insertvalue {i8, i32} poison, i8 %out, 0
  %r = insertvalue {i8, i32} %whole, i32 %second, 1
  ret {i8, i32} %r
}

attributes #0 = { alwaysinline nounwind willreturn memory(none) }
