; What generated code calls on an NVIDIA device: the end of a work-item that panics or waits for the host,
; what it asks of the application, and copies of memory. Linked into every kernel; what a kernel does not use goes away.
;
; Copies are loops here because LLVM expands those of unknown length into loops over bytes. The
; attribute "no-builtins" keeps it from finding in them the copies that they implement.

; Where work-items leave a panic (`legionella_abi::nvptx::State`), and the first group of the launch
; in each dimension. In shared memory: each work-group has its own, which its first item sets at the
; start of a kernel that calls what may panic; if nothing of that returns, those set it that panic, all to the same,
; and read it by atomic operations, or `compute-sanitizer` speaks of a race.
@legionella.place = internal addrspace(3) global { ptr, [3 x i64] } undef, align 8

; A number of the launch, the first two extents of its grid, and the first group of the launch in each
; dimension; set likewise for what may ask for it, which returns.
%Running = type { i64, [2 x i64], [3 x i64] }
@legionella.launch = internal addrspace(3) global %Running undef, align 8

; What the application sets (`legionella_abi::nvptx::PORT` and `HEAP`).
@legionella_port = addrspace(4) externally_initialized global ptr null, align 8
@legionella_heap = addrspace(4) externally_initialized global ptr addrspace(1) null, align 8

; `legionella_abi::nvptx::State` and `Record`.
%State = type { i32, i32, ptr }
%Record = type { i32, i32, i32, i32, i32, i32, [3 x i64], [3 x i32], [8 x i64], [1024 x i8], [1024 x i8], i32 }
; `legionella_abi::cpu::Panic`.
%Panic = type { ptr, i64, ptr, i64, i32, i32 }

@legionella.aborted = internal constant [18 x i8] c"the kernel aborted"
@legionella.abort = internal constant %Panic { ptr @legionella.aborted, i64 18, ptr @legionella.aborted, i64 0, i32 0, i32 0 }

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.y()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.z()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.z()
declare void @llvm.nvvm.exit()
declare i64 @llvm.umin.i64(i64, i64)
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.y()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.z()
declare i32 @llvm.nvvm.read.ptx.sreg.smid()
declare void @llvm.nvvm.nanosleep(i32)

; The first work-item of the launch that comes here writes the record; all of them end.
define void @legionella.panic(ptr %panic) #0 {
entry:
  %stateword = atomicrmw or ptr addrspace(3) @legionella.place, i64 0 syncscope("block") monotonic
  %state = inttoptr i64 %stateword to ptr
  %claim = cmpxchg ptr %state, i32 0, i32 1 syncscope("device") monotonic monotonic
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
  %herex = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %firstpx = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 0
  %firstx = atomicrmw or ptr addrspace(3) %firstpx, i64 0 syncscope("block") monotonic
  %widex = zext i32 %herex to i64
  %gx = add i64 %firstx, %widex
  %herey = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
  %firstpy = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 1
  %firsty = atomicrmw or ptr addrspace(3) %firstpy, i64 0 syncscope("block") monotonic
  %widey = zext i32 %herey to i64
  %gy = add i64 %firsty, %widey
  %herez = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.z()
  %firstpz = getelementptr { ptr, [3 x i64] }, ptr addrspace(3) @legionella.place, i64 0, i32 1, i64 2
  %firstz = atomicrmw or ptr addrspace(3) %firstpz, i64 0 syncscope("block") monotonic
  %widez = zext i32 %herez to i64
  %gz = add i64 %firstz, %widez
  %rgx = getelementptr %Record, ptr %record, i64 0, i32 6, i64 0
  store i64 %gx, ptr %rgx, align 8
  %rgy = getelementptr %Record, ptr %record, i64 0, i32 6, i64 1
  store i64 %gy, ptr %rgy, align 8
  %rgz = getelementptr %Record, ptr %record, i64 0, i32 6, i64 2
  store i64 %gz, ptr %rgz, align 8
  %lx = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ly = call i32 @llvm.nvvm.read.ptx.sreg.tid.y()
  %lz = call i32 @llvm.nvvm.read.ptx.sreg.tid.z()
  %rlx = getelementptr %Record, ptr %record, i64 0, i32 7, i64 0
  store i32 %lx, ptr %rlx, align 4
  %rly = getelementptr %Record, ptr %record, i64 0, i32 7, i64 1
  store i32 %ly, ptr %rly, align 4
  %rlz = getelementptr %Record, ptr %record, i64 0, i32 7, i64 2
  store i32 %lz, ptr %rlz, align 4
  %rmessage = getelementptr %Record, ptr %record, i64 0, i32 9, i64 0
  call void @legionella.copy(ptr %rmessage, ptr %messagep, i64 %messagefit)
  %rfile = getelementptr %Record, ptr %record, i64 0, i32 10, i64 0
  call void @legionella.copy(ptr %rfile, ptr %filep, i64 %filefit)
  ; The host reads the rest once it sees this, or once the launch has ended.
  store atomic i32 1, ptr %record release, align 4
  br label %leave
leave:
  call void @llvm.nvvm.exit()
  unreachable
}

; What LLVM calls a trap.
define void @legionella.trap() #0 {
  call void @legionella.panic(ptr @legionella.abort)
  unreachable
}

; Waits a little for the host or other items, and ends the work-item if the launch was cancelled or has panicked.
define void @legionella.wait() #2 {
  %state = load ptr, ptr addrspace(3) @legionella.place, align 8
  call void @legionella.wait_of(ptr %state)
  ret void
}

; The same, of a launch with that state.
define void @legionella.wait_of(ptr %state) #1 {
entry:
  call void @llvm.nvvm.nanosleep(i32 500)
  %panicked = load atomic i32, ptr %state syncscope("device") monotonic, align 4
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
  call void @llvm.nvvm.exit()
  unreachable
}

; A number of the launch, and the linear id of the work-item.
define void @legionella.whoami(ptr %item) #1 {
  %number = load i64, ptr addrspace(3) @legionella.launch, align 8
  %gridxp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 1, i64 0
  %gridx = load i64, ptr addrspace(3) %gridxp, align 8
  %gridyp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 1, i64 1
  %gridy = load i64, ptr addrspace(3) %gridyp, align 8
  %firstxp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 2, i64 0
  %firstx = load i64, ptr addrspace(3) %firstxp, align 8
  %firstyp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 2, i64 1
  %firsty = load i64, ptr addrspace(3) %firstyp, align 8
  %firstzp = getelementptr %Running, ptr addrspace(3) @legionella.launch, i64 0, i32 2, i64 2
  %firstz = load i64, ptr addrspace(3) %firstzp, align 8
  %gx = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %gy = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
  %gz = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.z()
  %sx = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %sy = call i32 @llvm.nvvm.read.ptx.sreg.ntid.y()
  %sz = call i32 @llvm.nvvm.read.ptx.sreg.ntid.z()
  %lx = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ly = call i32 @llvm.nvvm.read.ptx.sreg.tid.y()
  %lz = call i32 @llvm.nvvm.read.ptx.sreg.tid.z()
  %x = call i64 @legionella.id(i64 %firstx, i32 %gx, i32 %sx, i32 %lx)
  %y = call i64 @legionella.id(i64 %firsty, i32 %gy, i32 %sy, i32 %ly)
  %z = call i64 @legionella.id(i64 %firstz, i32 %gz, i32 %sz, i32 %lz)
  %planes = mul i64 %gridy, %z
  %row = add i64 %y, %planes
  %rows = mul i64 %gridx, %row
  %linear = add i64 %x, %rows
  store i64 %number, ptr %item, align 8
  %second = getelementptr i64, ptr %item, i64 1
  store i64 %linear, ptr %second, align 8
  ret void
}

; An id: of the first group, the group from there, the size of groups, and the thread.
define i64 @legionella.id(i64 %first, i32 %group, i32 %size, i32 %thread) #2 {
  %groupwide = zext i32 %group to i64
  %sizewide = zext i32 %size to i64
  %threadwide = zext i32 %thread to i64
  %at = add i64 %first, %groupwide
  %before = mul i64 %at, %sizewide
  %id = add i64 %before, %threadwide
  ret i64 %id
}

define ptr @legionella.port() #2 {
  %port = load ptr, ptr addrspace(4) @legionella_port, align 8
  ret ptr %port
}

define ptr @legionella.region() #2 {
  %region = load ptr addrspace(1), ptr addrspace(4) @legionella_heap, align 8
  %generic = addrspacecast ptr addrspace(1) %region to ptr
  ret ptr %generic
}

; Work-items of one multiprocessor are near each other.
define i32 @legionella.multiprocessor() #2 {
  %number = call i32 @llvm.nvvm.read.ptx.sreg.smid()
  ret i32 %number
}

; memcpy: 16, then 4, then 1 byte at a time, as far as both addresses are aligned so.
define void @legionella.copy(ptr %to, ptr %from, i64 %len) #1 {
entry:
  %toi = ptrtoint ptr %to to i64
  %fromi = ptrtoint ptr %from to i64
  %both = or i64 %toi, %fromi
  %low16 = and i64 %both, 15
  %is16 = icmp eq i64 %low16, 0
  %part16 = and i64 %len, -16
  %end16 = select i1 %is16, i64 %part16, i64 0
  br label %head16
head16:
  %i16 = phi i64 [ 0, %entry ], [ %next16, %body16 ]
  %more16 = icmp ult i64 %i16, %end16
  br i1 %more16, label %body16, label %between4
body16:
  %from16 = getelementptr i8, ptr %from, i64 %i16
  %to16 = getelementptr i8, ptr %to, i64 %i16
  %value16 = load <4 x i32>, ptr %from16, align 16
  store <4 x i32> %value16, ptr %to16, align 16
  %next16 = add nuw i64 %i16, 16
  br label %head16
between4:
  %low4 = and i64 %both, 3
  %is4 = icmp eq i64 %low4, 0
  %part4 = and i64 %len, -4
  %end4 = select i1 %is4, i64 %part4, i64 0
  br label %head4
head4:
  %i4 = phi i64 [ %end16, %between4 ], [ %next4, %body4 ]
  %more4 = icmp ult i64 %i4, %end4
  br i1 %more4, label %body4, label %between1
body4:
  %from4 = getelementptr i8, ptr %from, i64 %i4
  %to4 = getelementptr i8, ptr %to, i64 %i4
  %value4 = load i32, ptr %from4, align 4
  store i32 %value4, ptr %to4, align 4
  %next4 = add nuw i64 %i4, 4
  br label %head4
between1:
  br label %head1
head1:
  %i1 = phi i64 [ %end4, %between1 ], [ %next1, %body1 ]
  %more1 = icmp ult i64 %i1, %len
  br i1 %more1, label %body1, label %done
body1:
  %from1 = getelementptr i8, ptr %from, i64 %i1
  %to1 = getelementptr i8, ptr %to, i64 %i1
  %value1 = load i8, ptr %from1, align 1
  store i8 %value1, ptr %to1, align 1
  %next1 = add nuw i64 %i1, 1
  br label %head1
done:
  ret void
}

; memmove: forwards where that is right, else backwards in the same widths.
define void @legionella.move(ptr %to, ptr %from, i64 %len) #1 {
entry:
  %toi = ptrtoint ptr %to to i64
  %fromi = ptrtoint ptr %from to i64
  %ahead = sub i64 %toi, %fromi
  %forwards = icmp uge i64 %ahead, %len
  br i1 %forwards, label %copy, label %backwards
copy:
  call void @legionella.copy(ptr %to, ptr %from, i64 %len)
  ret void
backwards:
  %both = or i64 %toi, %fromi
  %low4 = and i64 %both, 3
  %is4 = icmp eq i64 %low4, 0
  %part4 = and i64 %len, -4
  %words = select i1 %is4, i64 %part4, i64 0
  br label %head1
head1:
  %i1 = phi i64 [ %len, %backwards ], [ %next1, %body1 ]
  %more1 = icmp ugt i64 %i1, %words
  br i1 %more1, label %body1, label %between
body1:
  %next1 = add i64 %i1, -1
  %from1 = getelementptr i8, ptr %from, i64 %next1
  %to1 = getelementptr i8, ptr %to, i64 %next1
  %value1 = load i8, ptr %from1, align 1
  store i8 %value1, ptr %to1, align 1
  br label %head1
between:
  br label %head4
head4:
  %i4 = phi i64 [ %words, %between ], [ %next4, %body4 ]
  %more4 = icmp ne i64 %i4, 0
  br i1 %more4, label %body4, label %done
body4:
  %next4 = add i64 %i4, -4
  %from4 = getelementptr i8, ptr %from, i64 %next4
  %to4 = getelementptr i8, ptr %to, i64 %next4
  %value4 = load i32, ptr %from4, align 4
  store i32 %value4, ptr %to4, align 4
  br label %head4
done:
  ret void
}

; memset.
define void @legionella.fill(ptr %to, i8 %byte, i64 %len) #1 {
entry:
  %wide = zext i8 %byte to i32
  %word = mul i32 %wide, 16843009
  %one = insertelement <4 x i32> poison, i32 %word, i64 0
  %four = shufflevector <4 x i32> %one, <4 x i32> poison, <4 x i32> zeroinitializer
  %toi = ptrtoint ptr %to to i64
  %low16 = and i64 %toi, 15
  %is16 = icmp eq i64 %low16, 0
  %part16 = and i64 %len, -16
  %end16 = select i1 %is16, i64 %part16, i64 0
  br label %head16
head16:
  %i16 = phi i64 [ 0, %entry ], [ %next16, %body16 ]
  %more16 = icmp ult i64 %i16, %end16
  br i1 %more16, label %body16, label %between4
body16:
  %to16 = getelementptr i8, ptr %to, i64 %i16
  store <4 x i32> %four, ptr %to16, align 16
  %next16 = add nuw i64 %i16, 16
  br label %head16
between4:
  %low4 = and i64 %toi, 3
  %is4 = icmp eq i64 %low4, 0
  %part4 = and i64 %len, -4
  %end4 = select i1 %is4, i64 %part4, i64 0
  br label %head4
head4:
  %i4 = phi i64 [ %end16, %between4 ], [ %next4, %body4 ]
  %more4 = icmp ult i64 %i4, %end4
  br i1 %more4, label %body4, label %between1
body4:
  %to4 = getelementptr i8, ptr %to, i64 %i4
  store i32 %word, ptr %to4, align 4
  %next4 = add nuw i64 %i4, 4
  br label %head4
between1:
  br label %head1
head1:
  %i1 = phi i64 [ %end4, %between1 ], [ %next1, %body1 ]
  %more1 = icmp ult i64 %i1, %len
  br i1 %more1, label %body1, label %done
body1:
  %to1 = getelementptr i8, ptr %to, i64 %i1
  store i8 %byte, ptr %to1, align 1
  %next1 = add nuw i64 %i1, 1
  br label %head1
done:
  ret void
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

attributes #0 = { cold noinline noreturn nounwind "no-builtins" }
attributes #1 = { noinline nounwind "no-builtins" }
attributes #2 = { alwaysinline nounwind }
