; Copies of whole parts of two matrices to shared memory, by TMA (PTX ISA, "Tensor Copy"): the operations of
; `legionella_abi::intrinsic::PART_COPIES` by what is behind their names' last dot, and two more. The first item of a
; group carries them out, but for `told` and `wait`.

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.y()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.z()
declare i32 @llvm.nvvm.read.ptx.sreg.smid()

; Maps of matrices, which the machine reads in memory of the device: places for two, and whether each is taken. A
; multiprocessor begins to look at 4 of its own, as many as it has groups of eight warps at once.
@legionella.parts.maps = internal addrspace(1) global [1024 x [256 x i8]] zeroinitializer, align 128
@legionella.parts.taken = internal addrspace(1) global [1024 x i32] zeroinitializer, align 4
; What the maps of a place are of, each four words of which three are used.
@legionella.parts.keys = internal addrspace(1) global [1024 x [8 x i64]] zeroinitializer, align 64

; For each stage, a barrier that counts bytes.
@legionella.parts.barriers = internal addrspace(3) global [8 x i64] undef, align 8
; For each stage, a bit that is turned for each copy that begins: the parity of their number.
@legionella.parts.begun = internal addrspace(3) global i32 undef, align 4
; What all items are told.
@legionella.parts.told = internal addrspace(3) global i32 undef, align 4
; The group's place in memory of the device, or 0.
@legionella.parts.place = internal addrspace(3) global i64 undef, align 8
; Where a map is made.
@legionella.parts.map = internal addrspace(3) global [128 x i8] undef, align 128

define internal i1 @legionella.tma.first() #0 {
  %x = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %y = call i32 @llvm.nvvm.read.ptx.sreg.tid.y()
  %z = call i32 @llvm.nvvm.read.ptx.sreg.tid.z()
  %xy = or i32 %x, %y
  %xyz = or i32 %xy, %z
  %first = icmp eq i32 %xyz, 0
  ret i1 %first
}

; At the start of a kernel.
define void @legionella.tma.ready() #0 {
entry:
  %first = call i1 @legionella.tma.first()
  br i1 %first, label %stage, label %done
stage:
  %index = phi i64 [ 0, %entry ], [ %next, %stage ]
  %barrier = getelementptr i64, ptr addrspace(3) @legionella.parts.barriers, i64 %index
  call void asm sideeffect "mbarrier.init.shared::cta.b64 [$0], 1;", "r,~{memory}"(ptr addrspace(3) %barrier)
  %next = add i64 %index, 1
  %more = icmp ult i64 %next, 8
  br i1 %more, label %stage, label %last
last:
  store atomic i32 0, ptr addrspace(3) @legionella.parts.begun syncscope("block") monotonic, align 4
  store atomic i32 0, ptr addrspace(3) @legionella.parts.told syncscope("block") monotonic, align 4
  store atomic i64 0, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  call void asm sideeffect "fence.mbarrier_init.release.cluster;", "~{memory}"()
  br label %done
done:
  ret void
}

; How many rows a matrix has, and a part of it.
define internal i64 @legionella.tma.shape(i32 %count, i32 %part) #0 {
  %low = zext i32 %count to i64
  %high = zext i32 %part to i64
  %shifted = shl i64 %high, 32
  %shape = or i64 %low, %shifted
  ret i64 %shape
}

; Notes of what a place has a map.
define internal void @legionella.tma.note(ptr addrspace(1) %key, ptr %rows, i64 %width, i32 %count, i32 %part) #0 {
  %start = ptrtoint ptr %rows to i64
  %shape = call i64 @legionella.tma.shape(i32 %count, i32 %part)
  %second = getelementptr i64, ptr addrspace(1) %key, i64 1
  %third = getelementptr i64, ptr addrspace(1) %key, i64 2
  store i64 %start, ptr addrspace(1) %key, align 8
  store i64 %width, ptr addrspace(1) %second, align 8
  store i64 %shape, ptr addrspace(1) %third, align 8
  ret void
}

; Whether it is the one that was noted.
define internal i1 @legionella.tma.known(ptr addrspace(1) %key, ptr %rows, i64 %width, i32 %count, i32 %part) #0 {
  %start = ptrtoint ptr %rows to i64
  %shape = call i64 @legionella.tma.shape(i32 %count, i32 %part)
  %second = getelementptr i64, ptr addrspace(1) %key, i64 1
  %third = getelementptr i64, ptr addrspace(1) %key, i64 2
  %is.start = load i64, ptr addrspace(1) %key, align 8
  %is.width = load i64, ptr addrspace(1) %second, align 8
  %is.shape = load i64, ptr addrspace(1) %third, align 8
  %same.start = icmp eq i64 %is.start, %start
  %same.width = icmp eq i64 %is.width, %width
  %same.shape = icmp eq i64 %is.shape, %shape
  %both = and i1 %same.start, %same.width
  %known = and i1 %both, %same.shape
  ret i1 %known
}

; Makes a map, unless it is known. Its elements are words of 4 bytes, of which a part's rows have 32, in the 128-byte
; swizzling mode. It is made of nothing but zeros, and copied to where the machine reads it (PTX ISA,
; "tensormap.replace").
define internal void @legionella.tma.make(
    i64 %to, ptr addrspace(1) %key, i1 %known, ptr %rows, i64 %width, i32 %count, i32 %part) #0 {
entry:
  br i1 %known, label %done, label %make
make:
  %global = addrspacecast ptr %rows to ptr addrspace(1)
  %narrow = trunc i64 %width to i32
  %words = mul i32 %narrow, 4
  %bytes = mul i64 %width, 16
  call void asm sideeffect "{
	.reg .b64 a, b;
	st.shared::cta.v4.b32 [$0], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 16], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 32], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 48], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 64], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 80], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 96], {0, 0, 0, 0};
	st.shared::cta.v4.b32 [$0 + 112], {0, 0, 0, 0};
	tensormap.replace.tile.global_address.shared::cta.b1024.b64 [$0], $2;
	tensormap.replace.tile.rank.shared::cta.b1024.b32 [$0], 1;
	tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [$0], 0, 32;
	tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [$0], 1, $6;
	tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [$0], 0, $3;
	tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [$0], 1, $5;
	tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [$0], 0, $4;
	tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [$0], 0, 1;
	tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [$0], 1, 1;
	tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [$0], 2;
	tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [$0], 0;
	tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [$0], 3;
	tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [$0], 0;
	ld.shared::cta.v2.b64 {a, b}, [$0];
	st.global.v2.b64 [$1], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 16];
	st.global.v2.b64 [$1 + 16], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 32];
	st.global.v2.b64 [$1 + 32], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 48];
	st.global.v2.b64 [$1 + 48], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 64];
	st.global.v2.b64 [$1 + 64], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 80];
	st.global.v2.b64 [$1 + 80], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 96];
	st.global.v2.b64 [$1 + 96], {a, b};
	ld.shared::cta.v2.b64 {a, b}, [$0 + 112];
	st.global.v2.b64 [$1 + 112], {a, b};
	}", "r,l,l,r,l,r,r,~{memory}"(
    ptr addrspace(3) @legionella.parts.map, i64 %to, ptr addrspace(1) %global, i32 %words, i64 %bytes, i32 %count, i32 %part)
  call void @legionella.tma.note(ptr addrspace(1) %key, ptr %rows, i64 %width, i32 %count, i32 %part)
  br label %done
done:
  ret void
}

; Takes a place, and has the maps there: those of whom had it before, if they are the same. That they were made is known by
; the fence behind that and by the flag, on which there are only atomic exchanges since. What is in shared memory,
; barriers as well, is there for the copies (PTX ISA, "Async proxy").
define void @legionella.tma.open(
    ptr %left, i64 %left.width, i32 %left.count, i32 %left.part,
    ptr %right, i64 %right.width, i32 %right.count, i32 %right.part) #0 {
entry:
  %processor = call i32 @llvm.nvvm.read.ptx.sreg.smid()
  %own = mul i32 %processor, 4
  br label %look
look:
  %turn = phi i32 [ 0, %entry ], [ %next, %other ]
  %number = add i32 %own, %turn
  %within = and i32 %number, 1023
  %index = zext i32 %within to i64
  %flag = getelementptr i32, ptr addrspace(1) @legionella.parts.taken, i64 %index
  %found = cmpxchg ptr addrspace(1) %flag, i32 0, i32 1 syncscope("device") acquire monotonic
  %free = extractvalue { i32, i1 } %found, 1
  br i1 %free, label %take, label %other
other:
  %next = add i32 %turn, 1
  %more = icmp ult i32 %next, 16
  br i1 %more, label %look, label %done, !llvm.loop !0
take:
  %maps = getelementptr [256 x i8], ptr addrspace(1) @legionella.parts.maps, i64 %index
  %keys = getelementptr [8 x i64], ptr addrspace(1) @legionella.parts.keys, i64 %index
  %second.key = getelementptr i64, ptr addrspace(1) %keys, i64 4
  %place = ptrtoint ptr addrspace(1) %maps to i64
  %second = add i64 %place, 128
  %left.known = call i1 @legionella.tma.known(
    ptr addrspace(1) %keys, ptr %left, i64 %left.width, i32 %left.count, i32 %left.part)
  %right.known = call i1 @legionella.tma.known(
    ptr addrspace(1) %second.key, ptr %right, i64 %right.width, i32 %right.count, i32 %right.part)
  call void @legionella.tma.make(
    i64 %place, ptr addrspace(1) %keys, i1 %left.known, ptr %left, i64 %left.width, i32 %left.count, i32 %left.part)
  call void @legionella.tma.make(
    i64 %second, ptr addrspace(1) %second.key, i1 %right.known, ptr %right, i64 %right.width, i32 %right.count, i32 %right.part)
  %known = and i1 %left.known, %right.known
  br i1 %known, label %ready, label %publish
publish:
  call void asm sideeffect "fence.proxy.tensormap::generic.release.gpu;", "~{memory}"()
  fence syncscope("device") release
  br label %ready
ready:
  call void asm sideeffect "fence.proxy.tensormap::generic.acquire.gpu [$0], 128;
	fence.proxy.tensormap::generic.acquire.gpu [$1], 128;
	fence.proxy.async.shared::cta;", "l,l,~{memory}"(i64 %place, i64 %second)
  store atomic i64 %place, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  %begun = load atomic i32, ptr addrspace(3) @legionella.parts.begun syncscope("block") monotonic, align 4
  %told = or i32 %begun, 256
  store atomic i32 %told, ptr addrspace(3) @legionella.parts.told syncscope("block") monotonic, align 4
  br label %done
done:
  ret void
}

define i32 @legionella.tma.told() #0 {
  %told = load atomic i32, ptr addrspace(3) @legionella.parts.told syncscope("block") monotonic, align 4
  ret i32 %told
}

define internal void @legionella.tma.copy(ptr %to, i64 %map, i32 %word, i32 %row, ptr addrspace(3) %barrier) #0 {
  %shared = addrspacecast ptr %to to ptr addrspace(3)
  call void asm sideeffect "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
	[$0], [$1, {$2, $3}], [$4];", "r,l,r,r,r,~{memory}"(
    ptr addrspace(3) %shared, i64 %map, i32 %word, i32 %row, ptr addrspace(3) %barrier)
  ret void
}

define void @legionella.tma.begin(ptr %left, ptr %right, i32 %strip, i32 %left.row, i32 %right.row, i32 %stage, i32 %bytes) #0 {
  %begun = load atomic i32, ptr addrspace(3) @legionella.parts.begun syncscope("block") monotonic, align 4
  %bit = shl i32 1, %stage
  %turned = xor i32 %begun, %bit
  store atomic i32 %turned, ptr addrspace(3) @legionella.parts.begun syncscope("block") monotonic, align 4
  %barrier = getelementptr i64, ptr addrspace(3) @legionella.parts.barriers, i32 %stage
  %place = load atomic i64, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  %second = add i64 %place, 128
  %word = mul i32 %strip, 4
  call void asm sideeffect "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}"(
    ptr addrspace(3) %barrier, i32 %bytes)
  call void @legionella.tma.copy(ptr %left, i64 %place, i32 %word, i32 %left.row, ptr addrspace(3) %barrier)
  call void @legionella.tma.copy(ptr %right, i64 %second, i32 %word, i32 %right.row, ptr addrspace(3) %barrier)
  ret void
}

define void @legionella.tma.wait(i32 %stage, i32 %phase) #0 {
  %barrier = getelementptr i64, ptr addrspace(3) @legionella.parts.barriers, i32 %stage
  call void asm sideeffect "{
	.reg .pred there;
again:
	mbarrier.try_wait.parity.shared::cta.b64 there, [$0], $1;
	@!there bra again;
	}", "r,r,~{memory}"(ptr addrspace(3) %barrier, i32 %phase)
  ret void
}

define void @legionella.tma.close() #0 {
entry:
  %place = load atomic i64, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  %none = icmp eq i64 %place, 0
  br i1 %none, label %done, label %give
give:
  store atomic i32 0, ptr addrspace(3) @legionella.parts.told syncscope("block") monotonic, align 4
  store atomic i64 0, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  %offset = sub i64 %place, ptrtoint (ptr addrspace(1) @legionella.parts.maps to i64)
  %index = lshr exact i64 %offset, 8
  %flag = getelementptr i32, ptr addrspace(1) @legionella.parts.taken, i64 %index
  %was = atomicrmw xchg ptr addrspace(1) %flag, i32 0 syncscope("device") monotonic
  br label %done
done:
  ret void
}

; Where an item can't go on: copies that have begun end before the group does, whose shared memory they write. A stage
; to which none has begun is there.
define void @legionella.tma.end() #0 {
entry:
  %first = call i1 @legionella.tma.first()
  br i1 %first, label %look, label %done
look:
  %place = load atomic i64, ptr addrspace(3) @legionella.parts.place syncscope("block") monotonic, align 8
  %none = icmp eq i64 %place, 0
  br i1 %none, label %done, label %open
open:
  %begun = load atomic i32, ptr addrspace(3) @legionella.parts.begun syncscope("block") monotonic, align 4
  br label %stage
stage:
  %index = phi i32 [ 0, %open ], [ %next, %stage ]
  %number = lshr i32 %begun, %index
  %last = xor i32 %number, 1
  %phase = and i32 %last, 1
  call void @legionella.tma.wait(i32 %index, i32 %phase)
  %next = add i32 %index, 1
  %more = icmp ult i32 %next, 8
  br i1 %more, label %stage, label %close
close:
  call void @legionella.tma.close()
  br label %done
done:
  ret void
}

attributes #0 = { alwaysinline nounwind }

!0 = distinct !{!0, !1}
!1 = !{!"llvm.loop.unroll.disable"}
