; Work-items that happen to be at the same place at once, as the threads of a warp that the device runs
; together. Nothing here waits for a thread that is not among those that the device says are at the
; place: this is what CUDA's `cooperative_groups::coalesced_threads` does.

declare i32 @llvm.nvvm.activemask()
declare i32 @llvm.nvvm.match.any.sync.i64(i32, i64)
declare i32 @llvm.nvvm.read.ptx.sreg.laneid()
declare void @llvm.nvvm.bar.warp.sync(i32)
declare i32 @llvm.nvvm.shfl.sync.idx.i32(i32, i32, i32, i32)
declare i32 @llvm.nvvm.redux.sync.or(i32, i32)
declare i32 @llvm.cttz.i32(i32, i1)

define i64 @legionella.threads.with_key(i64 %key) #0 {
  %here = call i32 @llvm.nvvm.activemask()
  %same = call i32 @llvm.nvvm.match.any.sync.i64(i32 %here, i64 %key)
  %peers = zext i32 %same to i64
  ret i64 %peers
}

define i32 @legionella.threads.lane() #0 {
  %lane = call i32 @llvm.nvvm.read.ptx.sreg.laneid()
  ret i32 %lane
}

define i64 @legionella.threads.value(i64 %peers, i64 %value, i32 %lane) #0 {
  %mask = trunc i64 %peers to i32
  %low = trunc i64 %value to i32
  %shifted = lshr i64 %value, 32
  %high = trunc i64 %shifted to i32
  call void @llvm.nvvm.bar.warp.sync(i32 %mask)
  %lowthere = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 %mask, i32 %low, i32 %lane, i32 31)
  %highthere = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 %mask, i32 %high, i32 %lane, i32 31)
  %lowwide = zext i32 %lowthere to i64
  %highwide = zext i32 %highthere to i64
  %up = shl i64 %highwide, 32
  %both = or i64 %up, %lowwide
  ret i64 %both
}

; From compute capability 8.0 on.
define i64 @legionella.threads.union(i64 %peers, i64 %value) #0 {
  %mask = trunc i64 %peers to i32
  %low = trunc i64 %value to i32
  %shifted = lshr i64 %value, 32
  %high = trunc i64 %shifted to i32
  call void @llvm.nvvm.bar.warp.sync(i32 %mask)
  %lowall = call i32 @llvm.nvvm.redux.sync.or(i32 %low, i32 %mask)
  %highall = call i32 @llvm.nvvm.redux.sync.or(i32 %high, i32 %mask)
  %lowwide = zext i32 %lowall to i64
  %highwide = zext i32 %highall to i64
  %up = shl i64 %highwide, 32
  %both = or i64 %up, %lowwide
  ret i64 %both
}

; Before that: one peer after the other tells its value.
define i64 @legionella.threads.union_by_turns(i64 %peers, i64 %value) #0 {
entry:
  %mask = trunc i64 %peers to i32
  br label %turn
turn:
  %left = phi i32 [ %mask, %entry ], [ %rest, %turn ]
  %sum = phi i64 [ 0, %entry ], [ %more, %turn ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 false)
  %theirs = call i64 @legionella.threads.value(i64 %peers, i64 %value, i32 %lane)
  %more = or i64 %sum, %theirs
  %less = add i32 %left, -1
  %rest = and i32 %left, %less
  %done = icmp eq i32 %rest, 0
  br i1 %done, label %end, label %turn
end:
  ret i64 %more
}

attributes #0 = { alwaysinline convergent nounwind }
