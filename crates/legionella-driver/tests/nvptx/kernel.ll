; A kernel as the linker step leaves it, with one of everything that LLVM 22 gets wrong on NVIDIA's
; devices, or gives up on. Its argument block: an input, an output, a number.
declare i64 @legionella.global_id(i32)
declare i64 @legionella.grid_size(i32)
declare i64 @legionella.local_id(i32)
declare ptr @legionella.immutable(ptr)
declare void @legionella.panic(ptr)
declare float @llvm.exp2.f32(float)
declare float @llvm.sqrt.f32(float)
declare float @llvm.fma.f32(float, float, float)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.trap()
declare i32 @bcmp(ptr, ptr, i64)
declare i128 @llvm.fptoui.sat.i128.f64(double)

; The device library's functions, as far as they are told apart by what they return.
define double @legionella.maths.frem.f64(double %x, double %y) noinline {
  %r = fsub double %x, %y
  ret double %r
}
define float @legionella.maths.exp2.f32(float %x) noinline {
  %r = fadd float %x, 1.0
  ret float %r
}
define double @legionella.maths.uitofp.f64.i128(i128 %n) noinline {
  %low = trunc i128 %n to i64
  %r = bitcast i64 %low to double
  ret double %r
}
define i128 @legionella.maths.fptoui.sat.i128.f64(double %x) noinline {
  %low = bitcast double %x to i64
  %r = zext i64 %low to i128
  ret i128 %r
}
; Without the device library's panics in it, a program has none.
define void @legionella.panic_handler(ptr %info) noreturn {
  call void @legionella.panic(ptr %info)
  unreachable
}

; y[i] = s * x[i] + y[i], where i is in bounds.
define void @bounds(ptr noundef nonnull readonly align 8 dereferenceable(32) %block) {
start:
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yp = getelementptr i8, ptr %block, i64 8
  %y = load ptr, ptr %yp, align 8
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8
  %sp = getelementptr i8, ptr %block, i64 24
  %s = load float, ptr %sp, align 4
  %i = call i64 @legionella.global_id(i32 0)
  %in = icmp ult i64 %i, %n
  br i1 %in, label %fine, label %out
fine:
  %xi = getelementptr float, ptr %x, i64 %i
  %yi = getelementptr float, ptr %y, i64 %i
  %a = load float, ptr %xi, align 4
  %b = load float, ptr %yi, align 4
  %product = fmul float %s, %a
  %sum = fadd float %product, %b
  store float %sum, ptr %yi, align 4
  ret void
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; z[i] = x[i] + y[i], of which x has shorter elements than the others.
define void @doubles(ptr noundef nonnull readonly align 8 dereferenceable(24) %block) {
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yp = getelementptr i8, ptr %block, i64 8
  %yl = load ptr, ptr %yp, align 8
  %y = call ptr @legionella.immutable(ptr %yl)
  %zp = getelementptr i8, ptr %block, i64 16
  %z = load ptr, ptr %zp, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %xi = getelementptr float, ptr %x, i64 %i
  %yi = getelementptr double, ptr %y, i64 %i
  %zi = getelementptr double, ptr %z, i64 %i
  %a = load float, ptr %xi, align 4
  %wide = fpext float %a to double
  %b = load double, ptr %yi, align 8
  %sum = fadd double %wide, %b
  store double %sum, ptr %zi, align 8
  ret void
}

; z[i] = x[i] + y[i], where i is below n; each may be memory of the others.
define void @raw(ptr noundef nonnull readonly align 8 dereferenceable(32) %block) {
start:
  %x = load ptr, ptr %block, align 8
  %yp = getelementptr i8, ptr %block, i64 8
  %y = load ptr, ptr %yp, align 8
  %zp = getelementptr i8, ptr %block, i64 16
  %z = load ptr, ptr %zp, align 8
  %np = getelementptr i8, ptr %block, i64 24
  %n = load i64, ptr %np, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %in = icmp ult i64 %i, %n
  br i1 %in, label %fine, label %out
fine:
  %xi = getelementptr float, ptr %x, i64 %i
  %a = load float, ptr %xi, align 4
  %yi = getelementptr float, ptr %y, i64 %i
  %b = load float, ptr %yi, align 4
  %sum = fadd float %a, %b
  %zi = getelementptr float, ptr %z, i64 %i
  store float %sum, ptr %zi, align 4
  br label %out
out:
  ret void
}

; Quotients and roots in a row, of which the last is by what is read where the others say, and a root without them.
define void @quotients(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yp = getelementptr i8, ptr %block, i64 8
  %y = load ptr, ptr %yp, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %ai = getelementptr [4 x float], ptr %x, i64 %i
  %a = load float, ptr %ai, align 4
  %bi = getelementptr i8, ptr %ai, i64 4
  %b = load float, ptr %bi, align 4
  %quotient = fdiv float %a, %b
  %scaled = fdiv float 1.0, %quotient
  %root = call float @llvm.sqrt.f32(float %scaled)
  %third = fdiv float %root, 3.0
  %place = fptoui float %third to i32
  %wide = zext i32 %place to i64
  %ci = getelementptr float, ptr %x, i64 %wide
  %c = load float, ptr %ci, align 4
  %d = call float @llvm.sqrt.f32(float %c)
  %yi = getelementptr float, ptr %y, i64 %i
  %sum = fadd float %root, %d
  store float %sum, ptr %yi, align 4
  ret void
}

; Two quotients, of which the second is computed behind where the first is written, and another write behind that of both.
define void @results(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yp = getelementptr i8, ptr %block, i64 8
  %y = load ptr, ptr %yp, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %ai = getelementptr [4 x float], ptr %x, i64 %i
  %a = load float, ptr %ai, align 4
  %bi = getelementptr i8, ptr %ai, i64 4
  %b = load float, ptr %bi, align 4
  %first = fdiv float %a, %b
  %yi = getelementptr [4 x float], ptr %y, i64 %i
  store float %first, ptr %yi, align 4
  %c = fadd float %first, %b
  %second = fdiv float %b, %c
  %y1 = getelementptr i8, ptr %yi, i64 4
  store float %second, ptr %y1, align 4
  %y2 = getelementptr i8, ptr %yi, i64 12
  store float %b, ptr %y2, align 4
  ret void
}

define void @atomics(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %relaxed = atomicrmw add ptr %p, i32 1 monotonic, align 4
  %p1 = getelementptr i32, ptr %p, i64 1
  %acquire = atomicrmw add ptr %p1, i32 2 acquire, align 4
  %p2 = getelementptr i32, ptr %p, i64 2
  %release = atomicrmw xchg ptr %p2, i32 3 release, align 4
  %p3 = getelementptr i32, ptr %p, i64 3
  %both = atomicrmw or ptr %p3, i32 4 acq_rel, align 4
  %p4 = getelementptr i32, ptr %p, i64 4
  %total = atomicrmw umax ptr %p4, i32 5 seq_cst, align 4
  %p5 = getelementptr i32, ptr %p, i64 5
  store atomic i32 6, ptr %p5 release, align 4
  ret void
}

define void @maths(ptr noundef nonnull readonly align 16 dereferenceable(48) %block)
    "legionella.needs"="legionella.maths.exp2.f32,legionella.maths.fptoui.sat.i128.f64,legionella.maths.frem.f64,legionella.maths.uitofp.f64.i128" {
  %p = load ptr, ptr %block, align 8
  %ap = getelementptr i8, ptr %block, i64 8
  %a = load double, ptr %ap, align 8
  %fp = getelementptr i8, ptr %block, i64 16
  %f = load float, ptr %fp, align 8
  %np = getelementptr i8, ptr %block, i64 32
  %n = load i128, ptr %np, align 16
  %rem = frem double %a, 3.0
  store double %rem, ptr %p, align 8
  %power = call float @llvm.exp2.f32(float %f)
  %p1 = getelementptr i8, ptr %p, i64 8
  store float %power, ptr %p1, align 8
  %wide = uitofp i128 %n to double
  %p2 = getelementptr i8, ptr %p, i64 16
  store double %wide, ptr %p2, align 8
  %back = call i128 @llvm.fptoui.sat.i128.f64(double %a)
  %p3 = getelementptr i8, ptr %p, i64 32
  store i128 %back, ptr %p3, align 16
  ret void
}

define void @memory(ptr noundef nonnull readonly align 8 dereferenceable(24) %block) {
  %to = load ptr, ptr %block, align 8
  %fromp = getelementptr i8, ptr %block, i64 8
  %from = load ptr, ptr %fromp, align 8
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %n, i1 false)
  call void @llvm.memmove.p0.p0.i64(ptr %to, ptr %from, i64 1000, i1 false)
  call void @llvm.memset.p0.i64(ptr %to, i8 7, i64 %n, i1 false)
  %c = call i32 @bcmp(ptr %to, ptr %from, i64 %n)
  store i32 %c, ptr %to, align 4
  ret void
}

define void @abort(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
start:
  %p = load ptr, ptr %block, align 8
  %v = load i32, ptr %p, align 4
  %bad = icmp eq i32 %v, 0
  br i1 %bad, label %end, label %fine
fine:
  ret void
end:
  call void @llvm.trap()
  unreachable
}

define void @large(ptr noundef nonnull readonly align 8 dereferenceable(5000) %block) {
  %p = load ptr, ptr %block, align 8
  %last = getelementptr i8, ptr %block, i64 4992
  %v = load i64, ptr %last, align 8
  store i64 %v, ptr %p, align 8
  ret void
}

define i32 @factorial(i32 %n) noinline {
start:
  %done = icmp eq i32 %n, 0
  br i1 %done, label %one, label %more
one:
  ret i32 1
more:
  %m = sub i32 %n, 1
  %r = call i32 @factorial(i32 %m)
  %s = call i32 @factorial(i32 %r)
  %p = mul i32 %s, %n
  ret i32 %p
}
define void @recursion(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %n = load i32, ptr %p, align 4
  %r = call i32 @factorial(i32 %n)
  store i32 %r, ptr %p, align 4
  ret void
}

; What `black_box` is made of, in the host's dialect and with its registers.
define void @barrier(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %kept = alloca i32, align 4
  store i32 7, ptr %kept, align 4
  call void asm sideeffect inteldialect "", "r,~{memory}"(ptr %kept)
  %v = load i32, ptr %kept, align 4
  %w = call i32 asm sideeffect inteldialect "/* $0 */", "=r,0"(i32 %v)
  store i32 %w, ptr %p, align 4
  ret void
}

declare void @legionella.barrier(i32, ptr)
declare ptr @legionella.shared(i64, i64, i32)
declare ptr @legionella.dynamic_shared()
declare i32 @legionella.subgroup_lane()
declare i32 @legionella.subgroup_shuffle(i32, i32, ptr)
define void @legionella.barrier_failed(ptr %place, ptr %other) noreturn {
  call void @legionella.panic(ptr %place)
  unreachable
}
@here = private constant i64 1
@there = private constant i64 2

; Barriers with two labels, and a tile between them.
define void @together(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %tile = call ptr @legionella.shared(i64 1024, i64 4, i32 1)
  %slot = getelementptr i32, ptr %tile, i64 %i
  %n = trunc i64 %i to i32
  store i32 %n, ptr %slot, align 4
  call void @legionella.barrier(i32 4, ptr @here)
  %v = load i32, ptr %tile, align 4
  call void @legionella.barrier(i32 8, ptr @there)
  %out = getelementptr i32, ptr %p, i64 %i
  store i32 %v, ptr %out, align 4
  ret void
}

; Two barriers, to which items come by branches that they take differently.
define void @ways(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %first = icmp ult i64 %i, 5
  br i1 %first, label %one, label %other
one:
  call void @legionella.barrier(i32 4, ptr @here)
  br label %both
other:
  call void @legionella.barrier(i32 8, ptr @there)
  br label %both
both:
  store i32 1, ptr %p, align 4
  ret void
}

; A barrier that all come to but those that panic, and one behind a branch where items that differ meet again, in a loop.
define void @turns(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
start:
  %p = load ptr, ptr %block, align 8
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i64, ptr %np, align 8
  %i = call i64 @legionella.global_id(i32 0)
  br label %loop
loop:
  %k = phi i64 [ 0, %start ], [ %next, %met ]
  %label = phi i32 [ 4, %start ], [ %turned, %met ]
  %turned = phi i32 [ 8, %start ], [ %label, %met ]
  %slot = getelementptr i32, ptr %p, i64 %k
  %v = load i32, ptr %slot, align 4
  %w = zext i32 %v to i64
  %sum = add i64 %w, %i
  %in = icmp ult i64 %sum, 1000
  br i1 %in, label %fine, label %out
fine:
  call void @legionella.barrier(i32 %label, ptr @here)
  %odd = trunc i64 %i to i1
  br i1 %odd, label %stores, label %met
stores:
  %place = getelementptr i32, ptr %p, i64 %i
  store i32 %v, ptr %place, align 4
  br label %met
met:
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; Two barriers behind a branch that items take differently and where some of them panic: all others meet again.
define void @past(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.local_id(i32 0)
  %first = icmp eq i64 %i, 0
  br i1 %first, label %one, label %meet
one:
  %v = load i32, ptr %p, align 4
  %bad = icmp eq i32 %v, 7
  br i1 %bad, label %out, label %meet
meet:
  call void @legionella.barrier(i32 4, ptr @here)
  store i32 1, ptr %p, align 4
  call void @legionella.barrier(i32 8, ptr @there)
  ret void
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; The same, but those that don't panic come to the second barrier alone.
define void @apart(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.local_id(i32 0)
  %first = icmp ult i64 %i, 5
  br i1 %first, label %one, label %meet
one:
  %v = load i32, ptr %p, align 4
  %bad = icmp eq i32 %v, 7
  br i1 %bad, label %out, label %behind
meet:
  call void @legionella.barrier(i32 4, ptr @here)
  br label %behind
behind:
  store i32 1, ptr %p, align 4
  call void @legionella.barrier(i32 8, ptr @there)
  ret void
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; The end of an item's row and of the one behind it, both within the length.
define void @rows(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
  %p = load ptr, ptr %block, align 8
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i64, ptr %np, align 8
  %y = call i64 @legionella.global_id(i32 1)
  %width = call i64 @legionella.grid_size(i32 0)
  %row = mul i64 %y, %width
  %bad = icmp ugt i64 %row, %n
  br i1 %bad, label %out, label %within
within:
  %below = add nuw i64 %y, 1
  %next = mul i64 %below, %width
  %worse = icmp ugt i64 %next, %n
  br i1 %worse, label %out, label %fine
fine:
  %slot = getelementptr i32, ptr %p, i64 %row
  store i32 1, ptr %slot, align 4
  ret void
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; Of an item's element, the one above it, and the one below, the sum, if there is a place for it.
define void @stencil(ptr noundef nonnull readonly align 8 dereferenceable(24) %block) {
  %p = load ptr, ptr %block, align 8
  %op = getelementptr i8, ptr %block, i64 8
  %o = load ptr, ptr %op, align 8
  %x = call i64 @legionella.global_id(i32 0)
  %y = call i64 @legionella.global_id(i32 1)
  %width = call i64 @legionella.grid_size(i32 0)
  %start = mul i64 %y, %width
  %i = add nuw i64 %start, %x
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8
  %in = icmp ult i64 %i, %n
  br i1 %in, label %fine, label %out
fine:
  %slot = getelementptr i32, ptr %o, i64 %i
  %before = add i64 %y, -1
  %start_above = mul i64 %before, %width
  %row_above = getelementptr i32, ptr %p, i64 %start_above
  %above = getelementptr i32, ptr %row_above, i64 %x
  %a = load i32, ptr %above, align 4
  %row = getelementptr i32, ptr %p, i64 %start
  %here = getelementptr i32, ptr %row, i64 %x
  %h = load i32, ptr %here, align 4
  %behind = add nuw i64 %y, 1
  %start_below = mul i64 %behind, %width
  %row_below = getelementptr i32, ptr %p, i64 %start_below
  %below = getelementptr i32, ptr %row_below, i64 %x
  %b = load i32, ptr %below, align 4
  %two = add i32 %a, %h
  %three = add i32 %two, %b
  store i32 %three, ptr %slot, align 4
  ret void
out:
  ret void
}

; The same of what doesn't change.
define void @still(ptr noundef nonnull readonly align 8 dereferenceable(24) %block) {
  %pp = load ptr, ptr %block, align 8
  %p = call ptr @legionella.immutable(ptr %pp)
  %op = getelementptr i8, ptr %block, i64 8
  %o = load ptr, ptr %op, align 8
  %x = call i64 @legionella.global_id(i32 0)
  %y = call i64 @legionella.global_id(i32 1)
  %width = call i64 @legionella.grid_size(i32 0)
  %start = mul i64 %y, %width
  %i = add nuw i64 %start, %x
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8
  %in = icmp ult i64 %i, %n
  br i1 %in, label %fine, label %out
fine:
  %slot = getelementptr i32, ptr %o, i64 %i
  %before = add i64 %y, -1
  %start_above = mul i64 %before, %width
  %row_above = getelementptr i32, ptr %p, i64 %start_above
  %above = getelementptr i32, ptr %row_above, i64 %x
  %a = load i32, ptr %above, align 4
  %row = getelementptr i32, ptr %p, i64 %start
  %here = getelementptr i32, ptr %row, i64 %x
  %h = load i32, ptr %here, align 4
  %behind = add nuw i64 %y, 1
  %start_below = mul i64 %behind, %width
  %row_below = getelementptr i32, ptr %p, i64 %start_below
  %below = getelementptr i32, ptr %row_below, i64 %x
  %b = load i32, ptr %below, align 4
  %two = add i32 %a, %h
  %three = add i32 %two, %b
  store i32 %three, ptr %slot, align 4
  ret void
out:
  ret void
}

; A barrier whose label depends on the item.
define void @swapped(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %own = getelementptr i32, ptr %p, i64 %i
  %label = load i32, ptr %own, align 4
  call void @legionella.barrier(i32 %label, ptr @here)
  store i32 1, ptr %p, align 4
  ret void
}

; More shared memory than code may ask for by itself, and memory of the launch's size behind it.
define void @spacious(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %tile = call ptr @legionella.shared(i64 65500, i64 4, i32 1)
  %more = call ptr @legionella.dynamic_shared()
  store i32 1, ptr %tile, align 4
  store i32 2, ptr %more, align 4
  call void @legionella.barrier(i32 4, ptr @here)
  %v = load i32, ptr %more, align 4
  store i32 %v, ptr %p, align 4
  ret void
}

define void @lanes(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  %lane = call i32 @legionella.subgroup_lane()
  %other = xor i32 %lane, 1
  %v = call i32 @legionella.subgroup_shuffle(i32 %lane, i32 %other, ptr @here)
  call void @legionella.barrier(i32 0, ptr @there)
  store i32 %v, ptr %p, align 4
  ret void
}

; The same, to which some items don't come.
define void @lanes_apart(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
start:
  %p = load ptr, ptr %block, align 8
  %lane = call i32 @legionella.subgroup_lane()
  %i = call i64 @legionella.global_id(i32 0)
  %out = getelementptr i32, ptr %p, i64 %i
  %old = load i32, ptr %out, align 4
  %none = icmp eq i32 %old, 0
  br i1 %none, label %end, label %go
go:
  %other = xor i32 %lane, 1
  %v = call i32 @legionella.subgroup_shuffle(i32 %lane, i32 %other, ptr @here)
  call void @legionella.barrier(i32 0, ptr @there)
  store i32 %v, ptr %out, align 4
  br label %end
end:
  ret void
}

; The same, to which all come, some by another way.
define void @lanes_meet(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
start:
  %p = load ptr, ptr %block, align 8
  %lane = call i32 @legionella.subgroup_lane()
  %i = call i64 @legionella.global_id(i32 0)
  %out = getelementptr i32, ptr %p, i64 %i
  %old = load i32, ptr %out, align 4
  %none = icmp eq i32 %old, 0
  br i1 %none, label %first, label %go
first:
  store volatile i32 1, ptr %out, align 4
  br label %go
go:
  %other = xor i32 %lane, 1
  %v = call i32 @legionella.subgroup_shuffle(i32 %lane, i32 %other, ptr @here)
  call void @legionella.barrier(i32 0, ptr @there)
  store i32 %v, ptr %out, align 4
  ret void
}

declare i64 @legionella.subgroup_ballot(i32, ptr)
declare void @legionella.matrix.bf16(ptr, ptr, ptr, ptr)
declare void @legionella.matrix.i8(ptr, ptr, ptr, ptr)
declare void @legionella.matrix.rows(ptr, ptr, ptr)

; Products in a loop whose length all items share, under a vote; then one more behind a branch that each item
; takes by itself, if `%alone`.
define void @matrices(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
start:
  %left = alloca [4 x i32], align 4
  %right = alloca [4 x i32], align 4
  %sum = alloca [8 x float], align 4
  %p = load ptr, ptr %block, align 8
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i32, ptr %np, align 4
  %lane = call i32 @legionella.subgroup_lane()
  %i = call i64 @legionella.global_id(i32 0)
  %mine = getelementptr i32, ptr %p, i64 %i
  %all = call i64 @legionella.subgroup_ballot(i32 1, ptr @here)
  %whole = icmp eq i64 %all, 4294967295
  br i1 %whole, label %first, label %end
first:
  store i32 %lane, ptr %left, align 4
  call void @llvm.memset.p0.i64(ptr align 4 %sum, i8 0, i64 32, i1 false)
  %tile = call ptr @legionella.shared(i64 512, i64 16, i32 1)
  br label %loop
loop:
  %k = phi i32 [ 0, %first ], [ %next, %loop ]
  %at = mul i32 %lane, 16
  %offset = zext i32 %at to i64
  %row = getelementptr i8, ptr %tile, i64 %offset
  call void @legionella.matrix.rows(ptr %row, ptr %right, ptr @here)
  call void @legionella.matrix.bf16(ptr %left, ptr %right, ptr %sum, ptr @here)
  %next = add i32 %k, 1
  %more = icmp ult i32 %next, %n
  br i1 %more, label %loop, label %behind
behind:
  %old = load i32, ptr %mine, align 4
  %none = icmp eq i32 %old, 0
  br i1 %none, label %end, label %alone
alone:
  call void @legionella.matrix.i8(ptr %left, ptr %right, ptr %sum, ptr @there)
  %v = load i32, ptr %sum, align 4
  %second = getelementptr i8, ptr %sum, i64 16
  %w = load i32, ptr %second, align 4
  %both = add i32 %v, %w
  store i32 %both, ptr %mine, align 4
  br label %end
end:
  ret void
}

; Operands of an optimisation barrier that change places.
define void @crossed(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
  %p = load ptr, ptr %block, align 8
  %q = getelementptr i8, ptr %block, i64 8
  %n = load i32, ptr %q, align 4
  %both = call {i32, i32} asm sideeffect inteldialect "", "=&r,=&r,1,0"(i32 %n, i32 41)
  %first = extractvalue {i32, i32} %both, 0
  store i32 %first, ptr %p, align 4
  ret void
}

declare ptr @legionella.scoped(ptr, i32)

; An operation for the group, and two for the whole system.
define void @scopes(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
  %p = load ptr, ptr %block, align 8
  %group = call ptr @legionella.scoped(ptr %p, i32 0)
  %a = atomicrmw add ptr %group, i32 1 acquire, align 4
  %qp = getelementptr i8, ptr %block, i64 8
  %q = load ptr, ptr %qp, align 8
  %system = call ptr @legionella.scoped(ptr %q, i32 2)
  %b = atomicrmw umax ptr %system, i32 5 acq_rel, align 4
  %c = cmpxchg ptr %system, i32 %b, i32 2 acq_rel acquire, align 4
  ret void
}

declare void @legionella.pause()
declare void @legionella.running_item(ptr)
declare ptr @legionella.print_port()
declare ptr @legionella.heap_region()
declare i32 @legionella.heap_spread()
declare i64 @legionella.peers(i64)
declare i32 @legionella.peers.lane()
declare i64 @legionella.peers.value(i64, i64, i32)
declare i64 @legionella.peers.union(i64, i64)

; Waits until the host has written a number.
define void @waits(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
entry:
  %p = load ptr, ptr %block, align 8
  br label %look
look:
  %v = load atomic i32, ptr %p monotonic, align 4
  %none = icmp eq i32 %v, 0
  br i1 %none, label %wait, label %done
wait:
  call void @legionella.pause()
  br label %look
done:
  ret void
}

define void @print(ptr %value) noinline {
  %item = alloca [2 x i64], align 8
  call void @legionella.running_item(ptr %item)
  %port = call ptr @legionella.print_port()
  %there = icmp eq ptr %port, null
  br i1 %there, label %done, label %send
send:
  %launch = load i64, ptr %item, align 8
  store i64 %launch, ptr %port, align 8
  br label %done
done:
  ret void
}

; Says from out of line who it is.
define void @prints(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
  %p = load ptr, ptr %block, align 8
  call void @print(ptr %p)
  ret void
}

declare noalias ptr @_RNvCs1234_7___rustc12___rust_alloc(i64, i64)

; Gives all who ask at once the object of the first, which is enough for a look at it.
define ptr @legionella.heap.alloc(i64 %size, i64 %align) noinline {
  %region = call ptr @legionella.heap_region()
  %spread = call i32 @legionella.heap_spread()
  %peers = call i64 @legionella.peers(i64 %size)
  %lane = call i32 @legionella.peers.lane()
  %first = call i32 @llvm.cttz.i32(i32 %lane, i1 false)
  %all = call i64 @legionella.peers.union(i64 %peers, i64 %size)
  %at = getelementptr i32, ptr %region, i32 %spread
  %before = atomicrmw add ptr %at, i64 %all monotonic
  %told = call i64 @legionella.peers.value(i64 %peers, i64 %before, i32 %first)
  %object = getelementptr i8, ptr %region, i64 %told
  ret ptr %object
}
declare i32 @llvm.cttz.i32(i32, i1)

define void @allocates(ptr noundef nonnull readonly align 8 dereferenceable(8) %block)
    "legionella.needs"="legionella.heap.alloc" {
  %p = load ptr, ptr %block, align 8
  %object = call ptr @_RNvCs1234_7___rustc12___rust_alloc(i64 24, i64 8)
  %address = ptrtoint ptr %object to i64
  store i64 %address, ptr %p, align 8
  ret void
}

; y[i] = the sum of the n numbers of x, where i + 1 is neither n nor beyond m: two panics in a row, and a loop
; whose counter is as an iterator's.
define void @checked_sum(ptr noundef nonnull readonly align 8 dereferenceable(32) %block) {
start:
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yp = getelementptr i8, ptr %block, i64 8
  %y = load ptr, ptr %yp, align 8
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8
  %mp = getelementptr i8, ptr %block, i64 24
  %m = load i64, ptr %mp, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %next = add i64 %i, 1
  %differs = icmp ne i64 %next, %n
  br i1 %differs, label %also, label %first
also:
  %in = icmp ult i64 %next, %m
  br i1 %in, label %fine, label %second
fine:
  %some = icmp ne i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %k = phi i64 [ 0, %fine ], [ %ahead, %loop ]
  %ahead = phi i64 [ 1, %fine ], [ %advanced, %loop ]
  %sum = phi float [ 0.0, %fine ], [ %more, %loop ]
  %xk = getelementptr float, ptr %x, i64 %k
  %a = load float, ptr %xk, align 4
  %more = fadd float %sum, %a
  %left = icmp ult i64 %ahead, %n
  %one = zext i1 %left to i64
  %advanced = add i64 %ahead, %one
  br i1 %left, label %loop, label %done
done:
  %all = phi float [ 0.0, %fine ], [ %more, %loop ]
  %yi = getelementptr float, ptr %y, i64 %i
  store float %all, ptr %yi, align 4
  ret void
first:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
second:
  call void @legionella.panic_handler(ptr inttoptr (i64 32 to ptr))
  unreachable
}

declare i1 @legionella.matrix.bands()
declare void @legionella.matrix.band.bf16(ptr, ptr, i32, ptr, ptr)
declare void @legionella.matrix.band.step(ptr)
declare void @legionella.matrix.band.end(i32, i32, ptr, ptr)
declare void @legionella.copy.begin(ptr, ptr, i32)
declare void @legionella.copy.close()
declare void @legionella.copy.wait(i32)

; A product of a band of 64 × 32, at two places that wait with one label of a stream, out of tiles that are copied.
define void @bands(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
start:
  %sum = alloca [16 x float], align 4
  %p = load ptr, ptr %block, align 8
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i32, ptr %np, align 4
  %i = call i64 @legionella.global_id(i32 0)
  %mine = getelementptr float, ptr %p, i64 %i
  call void @llvm.memset.p0.i64(ptr align 4 %sum, i8 0, i64 64, i1 false)
  %small = call ptr @legionella.shared(i64 4, i64 4, i32 0)
  store i32 %n, ptr %small, align 4
  %left = call ptr @legionella.shared(i64 8192, i64 16, i32 1)
  %right = call ptr @legionella.shared(i64 4096, i64 16, i32 2)
  br label %loop
loop:
  %k = phi i32 [ 0, %start ], [ %next, %loop ]
  call void @legionella.copy.begin(ptr %left, ptr %p, i32 16)
  call void @legionella.copy.close()
  call void @legionella.copy.wait(i32 0)
  call void @legionella.barrier(i32 60, ptr @here)
  call void @legionella.matrix.band.bf16(ptr %left, ptr %right, i32 32, ptr %sum, ptr @here)
  call void @legionella.matrix.band.step(ptr @here)
  %next = add i32 %k, 1
  %more = icmp ult i32 %next, %n
  br i1 %more, label %loop, label %behind
behind:
  call void @legionella.barrier(i32 60, ptr @there)
  call void @legionella.matrix.band.bf16(ptr %left, ptr %right, i32 32, ptr %sum, ptr @there)
  call void @legionella.matrix.band.end(i32 32, i32 1, ptr %sum, ptr @there)
  %v = load float, ptr %sum, align 4
  store float %v, ptr %mine, align 4
  ret void
}

declare i1 @legionella.parts()
declare void @legionella.part.open(ptr, i64, i32, i32, ptr, i64, i32, i32)
declare i32 @legionella.part.told()
declare void @legionella.part.begin(ptr, ptr, i32, i32, i32, i32, i32)
declare void @legionella.part.wait(i32, i32)
declare void @legionella.part.close()

; The same product of parts that the first item has copied.
define void @parts(ptr noundef nonnull readonly align 8 dereferenceable(16) %block) {
start:
  %sum = alloca [16 x float], align 4
  %p = load ptr, ptr %block, align 8
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i64, ptr %np, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %l = call i64 @legionella.local_id(i32 0)
  %first = icmp eq i64 %l, 0
  %mine = getelementptr float, ptr %p, i64 %i
  call void @llvm.memset.p0.i64(ptr align 4 %sum, i8 0, i64 64, i1 false)
  %left = call ptr @legionella.shared(i64 8192, i64 16, i32 1)
  %right = call ptr @legionella.shared(i64 4096, i64 16, i32 2)
  %has = call i1 @legionella.parts()
  %does = and i1 %first, %has
  br i1 %does, label %prepare, label %meet
prepare:
  call void @legionella.part.open(ptr %p, i64 %n, i32 5, i32 64, ptr %p, i64 %n, i32 5, i32 32)
  br label %meet
meet:
  call void @legionella.barrier(i32 60, ptr @here)
  %told = call i32 @legionella.part.told()
  br i1 %first, label %copy, label %again
copy:
  call void @legionella.part.begin(ptr %left, ptr %right, i32 0, i32 3, i32 4, i32 0, i32 12288)
  br label %again
again:
  call void @legionella.barrier(i32 60, ptr @here)
  %phase = and i32 %told, 1
  call void @legionella.part.wait(i32 0, i32 %phase)
  call void @legionella.matrix.band.bf16(ptr %left, ptr %right, i32 32, ptr %sum, ptr @there)
  call void @legionella.matrix.band.end(i32 32, i32 1, ptr %sum, ptr @there)
  br i1 %first, label %close, label %done
close:
  call void @legionella.part.close()
  br label %done
done:
  %v = load float, ptr %sum, align 4
  store float %v, ptr %mine, align 4
  ret void
}

; Elements of one slice by those of another, whose length is how many there are.
define void @gathers(ptr noundef nonnull readonly align 8 dereferenceable(48) %block) {
  %cp = load ptr, ptr %block, align 8
  %columns = call ptr @legionella.immutable(ptr %cp)
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i64, ptr %np, align 8
  %xpp = getelementptr i8, ptr %block, i64 16
  %xp = load ptr, ptr %xpp, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %mp = getelementptr i8, ptr %block, i64 24
  %m = load i64, ptr %mp, align 8
  %op = getelementptr i8, ptr %block, i64 32
  %out = load ptr, ptr %op, align 8
  %some = icmp ne i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %k = phi i64 [ 0, %0 ], [ %next, %fine ]
  %sum = phi float [ 0.0, %0 ], [ %more, %fine ]
  %ck = getelementptr inbounds i32, ptr %columns, i64 %k
  %c = load i32, ptr %ck, align 4
  %column = zext i32 %c to i64
  %in = icmp ult i64 %column, %m
  br i1 %in, label %fine, label %outside
fine:
  %xc = getelementptr inbounds float, ptr %x, i64 %column
  %a = load float, ptr %xc, align 4
  %more = fadd float %sum, %a
  %next = add nuw i64 %k, 1
  %last = icmp eq i64 %next, %n
  br i1 %last, label %done, label %loop
done:
  %all = phi float [ 0.0, %0 ], [ %more, %fine ]
  store float %all, ptr %out, align 4
  ret void
outside:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}

; The same of as many as are told elsewhere: whether so many can be read is not known.
define void @gathers_blindly(ptr noundef nonnull readonly align 8 dereferenceable(48) %block) {
  %cp = load ptr, ptr %block, align 8
  %columns = call ptr @legionella.immutable(ptr %cp)
  %np = getelementptr i8, ptr %block, i64 40
  %n = load i64, ptr %np, align 8
  %xpp = getelementptr i8, ptr %block, i64 16
  %xp = load ptr, ptr %xpp, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %mp = getelementptr i8, ptr %block, i64 24
  %m = load i64, ptr %mp, align 8
  %op = getelementptr i8, ptr %block, i64 32
  %out = load ptr, ptr %op, align 8
  %some = icmp ne i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %k = phi i64 [ 0, %0 ], [ %next, %fine ]
  %sum = phi float [ 0.0, %0 ], [ %more, %fine ]
  %ck = getelementptr inbounds i32, ptr %columns, i64 %k
  %c = load i32, ptr %ck, align 4
  %column = zext i32 %c to i64
  %in = icmp ult i64 %column, %m
  br i1 %in, label %fine, label %outside
fine:
  %xc = getelementptr inbounds float, ptr %x, i64 %column
  %a = load float, ptr %xc, align 4
  %more = fadd float %sum, %a
  %next = add nuw i64 %k, 1
  %last = icmp eq i64 %next, %n
  br i1 %last, label %done, label %loop
done:
  %all = phi float [ 0.0, %0 ], [ %more, %fine ]
  store float %all, ptr %out, align 4
  ret void
outside:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}


; Sums of products of 16 times 8 and 4 numbers, in an array of the item's own: a loop in a loop, which copies a part first.
define void @products(ptr noundef nonnull readonly align 8 dereferenceable(24) %block) {
  %sums = alloca [32 x float], align 4
  %part = alloca [4 x float], align 4
  %xp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xp)
  %yat = getelementptr i8, ptr %block, i64 8
  %yp = load ptr, ptr %yat, align 8
  %y = call ptr @legionella.immutable(ptr %yp)
  %op = getelementptr i8, ptr %block, i64 16
  %out = load ptr, ptr %op, align 8
  call void @llvm.memset.p0.i64(ptr align 4 %sums, i8 0, i64 128, i1 false)
  br label %outer
outer:
  %k = phi i64 [ 0, %0 ], [ %k1, %after ]
  %xk = getelementptr inbounds [8 x float], ptr %x, i64 %k
  %yk = getelementptr inbounds [4 x float], ptr %y, i64 %k
  call void @llvm.memcpy.p0.p0.i64(ptr align 4 %part, ptr align 4 %yk, i64 16, i1 false)
  %b0p = getelementptr inbounds float, ptr %part, i64 0
  %b0 = load float, ptr %b0p, align 4
  %b1p = getelementptr inbounds float, ptr %part, i64 1
  %b1 = load float, ptr %b1p, align 4
  %b2p = getelementptr inbounds float, ptr %part, i64 2
  %b2 = load float, ptr %b2p, align 4
  %b3p = getelementptr inbounds float, ptr %part, i64 3
  %b3 = load float, ptr %b3p, align 4
  br label %inner
inner:
  %i = phi i64 [ 0, %outer ], [ %i1, %inner ]
  %ap = getelementptr inbounds float, ptr %xk, i64 %i
  %a = load float, ptr %ap, align 4
  %s0p = getelementptr inbounds [4 x float], ptr %sums, i64 %i, i64 0
  %s0 = load float, ptr %s0p, align 4
  %p0 = fmul float %a, %b0
  %t0 = fadd float %s0, %p0
  store float %t0, ptr %s0p, align 4
  %s1p = getelementptr inbounds [4 x float], ptr %sums, i64 %i, i64 1
  %s1 = load float, ptr %s1p, align 4
  %p1 = fmul float %a, %b1
  %t1 = fadd float %s1, %p1
  store float %t1, ptr %s1p, align 4
  %s2p = getelementptr inbounds [4 x float], ptr %sums, i64 %i, i64 2
  %s2 = load float, ptr %s2p, align 4
  %p2 = fmul float %a, %b2
  %t2 = fadd float %s2, %p2
  store float %t2, ptr %s2p, align 4
  %s3p = getelementptr inbounds [4 x float], ptr %sums, i64 %i, i64 3
  %s3 = load float, ptr %s3p, align 4
  %p3 = fmul float %a, %b3
  %t3 = fadd float %s3, %p3
  store float %t3, ptr %s3p, align 4
  %i1 = add nuw nsw i64 %i, 1
  %ready = icmp eq i64 %i1, 8
  br i1 %ready, label %after, label %inner
after:
  %k1 = add nuw nsw i64 %k, 1
  %all = icmp eq i64 %k1, 16
  br i1 %all, label %done, label %outer
done:
  call void @llvm.memcpy.p0.p0.i64(ptr align 4 %out, ptr align 4 %sums, i64 128, i1 false)
  ret void
}

; Signs of two floats that are kept, and of one that is multiplied.
declare float @llvm.fabs.f32(float)
define void @signs(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
start:
  %p = load ptr, ptr %block, align 8
  %i = call i64 @legionella.global_id(i32 0)
  %slot = getelementptr [4 x float], ptr %p, i64 %i
  %pair = load <2 x float>, ptr %slot, align 8
  %other = getelementptr i8, ptr %slot, i64 8
  %x = load float, ptr %other, align 4
  %last = getelementptr i8, ptr %slot, i64 12
  %y = load float, ptr %last, align 4
  %negated = fneg <2 x float> %pair
  store <2 x float> %negated, ptr %slot, align 8
  %absolute = call float @llvm.fabs.f32(float %x)
  store float %absolute, ptr %other, align 4
  %minus = fneg float %y
  %product = fmul float %minus, %x
  store float %product, ptr %last, align 4
  ret void
}

; Of two slices, what is so many elements apart as there are items, in turns of which each checks both.
define void @strides(ptr noundef nonnull readonly align 8 dereferenceable(40) %block) {
  %xpp = load ptr, ptr %block, align 8
  %x = call ptr @legionella.immutable(ptr %xpp)
  %np = getelementptr i8, ptr %block, i64 8
  %n = load i64, ptr %np, align 8
  %ypp = getelementptr i8, ptr %block, i64 16
  %yp = load ptr, ptr %ypp, align 8
  %y = call ptr @legionella.immutable(ptr %yp)
  %mp = getelementptr i8, ptr %block, i64 24
  %m = load i64, ptr %mp, align 8
  %op = getelementptr i8, ptr %block, i64 32
  %out = load ptr, ptr %op, align 8
  %first = call i64 @legionella.global_id(i32 0)
  %all = call i64 @legionella.grid_size(i32 0)
  br label %loop
loop:
  %i = phi i64 [ %first, %0 ], [ %next, %fine ]
  %sum = phi float [ 0.0, %0 ], [ %more, %fine ]
  %goes.on = icmp ult i64 %i, %n
  br i1 %goes.on, label %inside, label %done
inside:
  %in = icmp ult i64 %i, %m
  br i1 %in, label %fine, label %outside
fine:
  %xi = getelementptr inbounds float, ptr %x, i64 %i
  %a = load float, ptr %xi, align 4
  %yi = getelementptr inbounds float, ptr %y, i64 %i
  %b = load float, ptr %yi, align 4
  %product = fmul float %a, %b
  %more = fadd float %sum, %product
  %next = add i64 %i, %all
  br label %loop
done:
  %mine = getelementptr inbounds float, ptr %out, i64 %first
  store float %sum, ptr %mine, align 4
  ret void
outside:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr))
  unreachable
}
