; What generated code calls on an AMD device: the end of a work-item that panics or waits for the host, what
; it asks of the application, and comparison of memory. Linked into every kernel; what a kernel does not use goes away.

; Where work-items leave a panic (`legionella_abi::gpu::State`), and the first group of the launch
; in each dimension; set before every call that may panic. In shared memory: each work-group has its
; own, and all of a group write the same.
@legionella.place = internal addrspace(3) global { ptr, [3 x i64] } poison, align 8

; A number of the launch, the first two extents of its grid, and the first group of the launch and the size of
; groups in each dimension; set before every call that may ask for it.
%Running = type { i64, [2 x i64], [3 x i64], [3 x i64] }
@legionella.launch = internal addrspace(3) global %Running poison, align 8

; `legionella_abi::gpu::State` and `Record`.
%State = type { i32, i32, ptr }
%Record = type { i32, i32, i32, i32, i32, i32, [3 x i64], [3 x i32], [8 x i64], [1024 x i8], [1024 x i8], i32 }
; `legionella_abi::cpu::Panic`.
%Panic = type { ptr, i64, ptr, i64, i32, i32 }

@legionella.aborted = internal addrspace(4) constant [18 x i8] c"the kernel aborted"
@legionella.abort = internal addrspace(4) constant %Panic { ptr addrspacecast (ptr addrspace(4) @legionella.aborted to ptr), i64 18, ptr addrspacecast (ptr addrspace(4) @legionella.aborted to ptr), i64 0, i32 0, i32 0 }

; What the application sets (`legionella_abi::gpu::PORT` and `HEAP`).
@legionella_port = weak protected addrspace(1) externally_initialized global ptr null, align 8
@legionella_heap = weak protected addrspace(1) externally_initialized global ptr null, align 8

declare i32 @llvm.amdgcn.workitem.id.x()
declare i32 @llvm.amdgcn.workitem.id.y()
declare i32 @llvm.amdgcn.workitem.id.z()
declare i32 @llvm.amdgcn.workgroup.id.x()
declare i32 @llvm.amdgcn.workgroup.id.y()
declare i32 @llvm.amdgcn.workgroup.id.z()
declare void @llvm.amdgcn.endpgm()
declare void @llvm.amdgcn.s.sleep(i32)
declare i64 @llvm.umin.i64(i64, i64)
; As in groups.ll; of kernels whose items don't wait for each other there is nobody to tell.
declare void @legionella.panicked()
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; The first work-item of the launch that comes here writes the record. All of them end, and with them the
; other items of their wavefronts: lanes can't end alone.
define void @legionella.panic(ptr %panic) #0 {
entry:
  %state = load ptr, ptr addrspace(3) @legionella.place, align 8
  %claim = cmpxchg ptr %state, i32 0, i32 1 syncscope("agent") monotonic monotonic
  %first = extractvalue { i32, i1 } %claim, 1
  br i1 %first, label %write, label %leave
write:
  %recordp = getelementptr %State, ptr %state, i64 0, i32 2
  %record = load ptr, ptr %recordp, align 8
  %messagep = load ptr, ptr %panic, align 8
  %messagelenp = getelementptr %Panic, ptr %panic, i64 0, i32 1
  %messagelen = load i64, ptr %messagelenp, align 8
  %filepp = getelementptr %Panic, ptr %panic, i64 0, i32 2
  %filep = load ptr, ptr %filepp, align 8
  %filelenp = getelementptr %Panic, ptr %panic, i64 0, i32 3
  %filelen = load i64, ptr %filelenp, align 8
  %linep = getelementptr %Panic, ptr %panic, i64 0, i32 4
  %line = load i32, ptr %linep, align 4
  %columnp = getelementptr %Panic, ptr %panic, i64 0, i32 5
  %column = load i32, ptr %columnp, align 4
  %messagefit = call i64 @llvm.umin.i64(i64 %messagelen, i64 1024)
  %filefit = call i64 @llvm.umin.i64(i64 %filelen, i64 1024)
  %message32 = trunc i64 %messagefit to i32
  %file32 = trunc i64 %filefit to i32
  %rline = getelementptr %Record, ptr %record, i64 0, i32 1
  store i32 %line, ptr %rline, align 4
  %rcolumn = getelementptr %Record, ptr %record, i64 0, i32 2
  store i32 %column, ptr %rcolumn, align 4
  %rmessagelen = getelementptr %Record, ptr %record, i64 0, i32 3
  store i32 %message32, ptr %rmessagelen, align 4
  %rfilelen = getelementptr %Record, ptr %record, i64 0, i32 4
  store i32 %file32, ptr %rfilelen, align 4
  %herex = call i32 @llvm.amdgcn.workgroup.id.x()
  %firstpx = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 0
  %firstx = load i64, ptr addrspace(3) %firstpx, align 8
  %widex = zext i32 %herex to i64
  %gx = add i64 %firstx, %widex
  %herey = call i32 @llvm.amdgcn.workgroup.id.y()
  %firstpy = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 1
  %firsty = load i64, ptr addrspace(3) %firstpy, align 8
  %widey = zext i32 %herey to i64
  %gy = add i64 %firsty, %widey
  %herez = call i32 @llvm.amdgcn.workgroup.id.z()
  %firstpz = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 2
  %firstz = load i64, ptr addrspace(3) %firstpz, align 8
  %widez = zext i32 %herez to i64
  %gz = add i64 %firstz, %widez
  %rgx = getelementptr %Record, ptr %record, i64 0, i32 6, i64 0
  store i64 %gx, ptr %rgx, align 8
  %rgy = getelementptr %Record, ptr %record, i64 0, i32 6, i64 1
  store i64 %gy, ptr %rgy, align 8
  %rgz = getelementptr %Record, ptr %record, i64 0, i32 6, i64 2
  store i64 %gz, ptr %rgz, align 8
  %lx = call i32 @llvm.amdgcn.workitem.id.x()
  %ly = call i32 @llvm.amdgcn.workitem.id.y()
  %lz = call i32 @llvm.amdgcn.workitem.id.z()
  %rlx = getelementptr %Record, ptr %record, i64 0, i32 7, i64 0
  store i32 %lx, ptr %rlx, align 4
  %rly = getelementptr %Record, ptr %record, i64 0, i32 7, i64 1
  store i32 %ly, ptr %rly, align 4
  %rlz = getelementptr %Record, ptr %record, i64 0, i32 7, i64 2
  store i32 %lz, ptr %rlz, align 4
  %rmessage = getelementptr %Record, ptr %record, i64 0, i32 9, i64 0
  call void @llvm.memcpy.p0.p0.i64(ptr %rmessage, ptr %messagep, i64 %messagefit, i1 false)
  %rfile = getelementptr %Record, ptr %record, i64 0, i32 10, i64 0
  call void @llvm.memcpy.p0.p0.i64(ptr %rfile, ptr %filep, i64 %filefit, i1 false)
  ; The host reads the rest once it sees this, or once the launch has ended.
  store atomic i32 1, ptr %record release, align 4
  br label %leave
leave:
  call void @legionella.panicked()
  call void @llvm.amdgcn.endpgm()
  unreachable
}

; What LLVM calls a trap.
define void @legionella.trap() #0 {
  call void @legionella.panic(ptr addrspacecast (ptr addrspace(4) @legionella.abort to ptr))
  unreachable
}

; Waits a little for the host or other items, and ends the work-items of the wavefront if the launch was cancelled or
; has panicked.
define void @legionella.pause() #3 {
entry:
  call void @llvm.amdgcn.s.sleep(i32 16)
  %state = load ptr, ptr addrspace(3) @legionella.place, align 8
  %panicked = load atomic i32, ptr %state syncscope("agent") monotonic, align 4
  %live = icmp eq i32 %panicked, 0
  br i1 %live, label %ask, label %end
ask:
  %recordp = getelementptr %State, ptr %state, i64 0, i32 2
  %record = load ptr, ptr %recordp, align 8
  %cancelledp = getelementptr %Record, ptr %record, i64 0, i32 11
  %cancelled = load atomic i32, ptr %cancelledp monotonic, align 4
  %go_on = icmp eq i32 %cancelled, 0
  br i1 %go_on, label %done, label %leave
done:
  ret void
leave:
  store atomic i32 2, ptr %cancelledp monotonic, align 4
  br label %end
end:
  call void @legionella.panicked()
  call void @llvm.amdgcn.endpgm()
  unreachable
}

; A number of the launch, and the linear id of the work-item.
define void @legionella.running_item(ptr %item) #3 {
  %number = load i64, ptr addrspace(3) @legionella.launch, align 8
  %gridxp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 1, i64 0
  %gridx = load i64, ptr addrspace(3) %gridxp, align 8
  %gridyp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 1, i64 1
  %gridy = load i64, ptr addrspace(3) %gridyp, align 8
  %gx = call i32 @llvm.amdgcn.workgroup.id.x()
  %gy = call i32 @llvm.amdgcn.workgroup.id.y()
  %gz = call i32 @llvm.amdgcn.workgroup.id.z()
  %lx = call i32 @llvm.amdgcn.workitem.id.x()
  %ly = call i32 @llvm.amdgcn.workitem.id.y()
  %lz = call i32 @llvm.amdgcn.workitem.id.z()
  %x = call i64 @legionella.id(i64 0, i32 %gx, i32 %lx)
  %y = call i64 @legionella.id(i64 1, i32 %gy, i32 %ly)
  %z = call i64 @legionella.id(i64 2, i32 %gz, i32 %lz)
  %planes = mul i64 %gridy, %z
  %row = add i64 %y, %planes
  %rows = mul i64 %gridx, %row
  %linear = add i64 %x, %rows
  store i64 %number, ptr %item, align 8
  %second = getelementptr i64, ptr %item, i64 1
  store i64 %linear, ptr %second, align 8
  ret void
}

; An id in a dimension, of the group from the first on and of the item in that.
define i64 @legionella.id(i64 %dimension, i32 %group, i32 %item) #2 {
  %firstp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 2, i64 %dimension
  %first = load i64, ptr addrspace(3) %firstp, align 8
  %sizep = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 3, i64 %dimension
  %size = load i64, ptr addrspace(3) %sizep, align 8
  %groupwide = zext i32 %group to i64
  %itemwide = zext i32 %item to i64
  %at = add i64 %first, %groupwide
  %before = mul i64 %at, %size
  %id = add i64 %before, %itemwide
  ret i64 %id
}

define ptr @legionella.print_port() #2 {
  %port = load ptr, ptr addrspace(1) @legionella_port, align 8, !invariant.load !0
  ret ptr %port
}

define ptr @legionella.heap_region() #2 {
  %region = load ptr, ptr addrspace(1) @legionella_heap, align 8, !invariant.load !0
  ret ptr %region
}

; Any number, best one that neighbours don't share.
define i32 @legionella.heap_spread() #2 {
  %item = call i32 @llvm.amdgcn.workitem.id.x()
  %group = call i32 @llvm.amdgcn.workgroup.id.x()
  %far = mul i32 %group, -1640531535
  %both = add i32 %far, %item
  ret i32 %both
}

; memcmp, and bcmp, which asks for less: 4 bytes at a time while they are equal, then bytes.
define i32 @legionella.compare(ptr %one, ptr %other, i64 %len) #1 {
entry:
  %onei = ptrtoint ptr %one to i64
  %otheri = ptrtoint ptr %other to i64
  %both = or i64 %onei, %otheri
  %low4 = and i64 %both, 3
  %is4 = icmp eq i64 %low4, 0
  %part4 = and i64 %len, -4
  %end4 = select i1 %is4, i64 %part4, i64 0
  br label %head4
head4:
  %i4 = phi i64 [ 0, %entry ], [ %next4, %body4 ]
  %more4 = icmp ult i64 %i4, %end4
  br i1 %more4, label %look4, label %between1
look4:
  %one4 = getelementptr i8, ptr %one, i64 %i4
  %other4 = getelementptr i8, ptr %other, i64 %i4
  %oneword = load i32, ptr %one4, align 4
  %otherword = load i32, ptr %other4, align 4
  %same4 = icmp eq i32 %oneword, %otherword
  br i1 %same4, label %body4, label %between1
body4:
  %next4 = add nuw i64 %i4, 4
  br label %head4
between1:
  br label %head1
head1:
  %i1 = phi i64 [ %i4, %between1 ], [ %next1, %body1 ]
  %more1 = icmp ult i64 %i1, %len
  br i1 %more1, label %look1, label %equal
look1:
  %one1 = getelementptr i8, ptr %one, i64 %i1
  %other1 = getelementptr i8, ptr %other, i64 %i1
  %onebyte = load i8, ptr %one1, align 1
  %otherbyte = load i8, ptr %other1, align 1
  %same1 = icmp eq i8 %onebyte, %otherbyte
  br i1 %same1, label %body1, label %differ
body1:
  %next1 = add nuw i64 %i1, 1
  br label %head1
differ:
  %onewide = zext i8 %onebyte to i32
  %otherwide = zext i8 %otherbyte to i32
  %difference = sub i32 %onewide, %otherwide
  ret i32 %difference
equal:
  ret i32 0
}

; Divisions of 128 bits. Each is a long loop, which LLVM would write out wherever one is.
define i128 @legionella.udiv(i128 %a, i128 %b) #1 {
  %r = udiv i128 %a, %b
  ret i128 %r
}
define i128 @legionella.urem(i128 %a, i128 %b) #1 {
  %r = urem i128 %a, %b
  ret i128 %r
}
define i128 @legionella.sdiv(i128 %a, i128 %b) #1 {
  %r = sdiv i128 %a, %b
  ret i128 %r
}
define i128 @legionella.srem(i128 %a, i128 %b) #1 {
  %r = srem i128 %a, %b
  ret i128 %r
}

; The same value, of which LLVM doesn't know where it comes from.
define i32 @legionella.hide(i32 %value) #2 {
  %same = call i32 asm "", "=v,0"(i32 %value)
  ret i32 %same
}

; Makes a call through a pointer, never, without LLVM's knowing that.
define void @legionella.any_function() #2 {
entry:
  %zero = call i32 asm "s_mov_b32 $0, 0", "=s"()
  %never = icmp ne i32 %zero, 0
  br i1 %never, label %call, label %done
call:
  %wide = zext i32 %zero to i64
  %function = inttoptr i64 %wide to ptr
  call void %function()
  br label %done
done:
  ret void
}

attributes #0 = { cold noinline noreturn nounwind "no-builtins" }
attributes #1 = { noinline nounwind "no-builtins" }
attributes #2 = { alwaysinline nounwind }
attributes #3 = { cold noinline nounwind "no-builtins" }

!0 = !{}
