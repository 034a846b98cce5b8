; Functions that straight-line strength reduction of LLVM 22.1 miscompiles.
define i32 @f(ptr %p, i32 %a, i32 %b) {
  %c = icmp slt i32 %a, %b
  %n = icmp sge i32 %a, %b
  %sn = sext i1 %n to i64
  %g1 = getelementptr i32, ptr %p, i64 %sn
  %sc = sext i1 %c to i64
  %g2 = getelementptr i32, ptr %p, i64 %sc
  %v1 = load i32, ptr %g1
  %v2 = load i32, ptr %g2
  %m = mul i32 %v1, 1000
  %r = add i32 %m, %v2
  ret i32 %r
}
define i32 @g(ptr %p, i1 %c) {
  %n = xor i1 %c, true
  %sn = sext i1 %n to i64
  %g1 = getelementptr i32, ptr %p, i64 %sn
  %sc = sext i1 %c to i64
  %g2 = getelementptr i32, ptr %p, i64 %sc
  %v1 = load i32, ptr %g1
  %v2 = load i32, ptr %g2
  %m = mul i32 %v1, 1000
  %r = add i32 %m, %v2
  ret i32 %r
}
