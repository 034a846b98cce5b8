; How the items of a work-group find out whether they wait with one label, and, if they can't meet, where
; they wait.

declare i32 @llvm.nvvm.vote.ballot.sync(i32, i1)
declare i32 @llvm.nvvm.match.any.sync.i32(i32, i32)
declare i32 @llvm.nvvm.shfl.sync.idx.i32(i32, i32, i32, i32)
declare i32 @llvm.nvvm.barrier.cta.red.popc.all(i32, i1)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare void @llvm.nvvm.bar.warp.sync(i32)
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.y()
declare i32 @llvm.nvvm.read.ptx.sreg.tid.z()
declare i32 @llvm.cttz.i32(i32, i1)

; The label of the group's first item.
@legionella.label = internal addrspace(3) global i32 undef, align 4

; Waits for all items of the group, of which there were so many at first; whether some have ended, or
; have another label.
define i1 @legionella.labels_differ(i32 %label, i32 %items) #0 {
entry:
  %x = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %y = call i32 @llvm.nvvm.read.ptx.sreg.tid.y()
  %z = call i32 @llvm.nvvm.read.ptx.sreg.tid.z()
  %xy = or i32 %x, %y
  %xyz = or i32 %xy, %z
  %first = icmp eq i32 %xyz, 0
  br i1 %first, label %tell, label %count
tell:
  store atomic i32 %label, ptr addrspace(3) @legionella.label syncscope("block") monotonic, align 4
  br label %count
count:
  %came = call i32 @llvm.nvvm.barrier.cta.red.popc.all(i32 0, i1 true)
  %told = load atomic i32, ptr addrspace(3) @legionella.label syncscope("block") monotonic, align 4
  %same = icmp eq i32 %told, %label
  %agree = call i32 @llvm.nvvm.barrier.cta.red.popc.all(i32 0, i1 %same)
  %ended = icmp ne i32 %came, %items
  %differ = icmp ne i32 %agree, %items
  %apart = or i1 %ended, %differ
  ret i1 %apart
}

; Each of the following comes with the number of the place where it waits, from 1, and leaves with that of another place
; where items wait, or 0 if the others have ended. All items that have not ended, of the warp or of
; the group, come here at once: they saw the same counts.


; A place where some items wait, and another or 0. Items at several places write them at once: whose is last doesn't matter,
; and by exchanges, since `compute-sanitizer` takes stores for races.
@legionella.places = internal addrspace(3) global [2 x i32] undef, align 4

define i32 @legionella.other_in_warp(i32 %place) #0 {
  %here = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 true)
  %same = call i32 @llvm.nvvm.match.any.sync.i32(i32 -1, i32 %place)
  %differ = xor i32 %same, -1
  %others = and i32 %here, %differ
  %lane = call i32 @llvm.cttz.i32(i32 %others, i1 false)
  %other = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 -1, i32 %place, i32 %lane, i32 31)
  %none = icmp eq i32 %others, 0
  %result = select i1 %none, i32 0, i32 %other
  ret i32 %result
}

define i32 @legionella.other_in_group(i32 %place) #0 {
entry:
  %second = getelementptr [2 x i32], ptr addrspace(3) @legionella.places, i64 0, i64 1
  %before = atomicrmw xchg ptr addrspace(3) @legionella.places, i32 %place syncscope("block") monotonic, align 4
  store atomic i32 0, ptr addrspace(3) %second syncscope("block") monotonic, align 4
  call void @llvm.nvvm.bar.warp.sync(i32 -1)
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %one = load atomic i32, ptr addrspace(3) @legionella.places syncscope("block") monotonic, align 4
  %differs = icmp ne i32 %one, %place
  br i1 %differs, label %tell, label %ask
tell:
  %then = atomicrmw xchg ptr addrspace(3) %second, i32 %place syncscope("block") monotonic, align 4
  br label %ask
ask:
  call void @llvm.nvvm.bar.warp.sync(i32 -1)
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = load atomic i32, ptr addrspace(3) %second syncscope("block") monotonic, align 4
  %result = select i1 %differs, i32 %one, i32 %other
  ret i32 %result
}

attributes #0 = { alwaysinline convergent nounwind }
