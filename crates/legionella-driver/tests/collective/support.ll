; What the device library brings along, as far as these tests need it.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@place = private constant [24 x i8] zeroinitializer

declare i64 @legionella.local_id(i32)
declare void @legionella.barrier(i32, ptr)
declare i32 @legionella.subgroup_shuffle(i32, i32, ptr)
declare void @legionella.cpu.start(ptr, ptr, ptr, ptr)
declare void @legionella.cpu.resume(ptr)
declare i64 @legionella.cpu.frame_size()
declare i64 @legionella.cpu.shared_size()
declare ptr @legionella.cpu.scratch(i64, i64)

define void @legionella.cpu.run_groups(ptr %block, ptr %launch, i64 %first, i64 %end, ptr %progress) {
  %frame = call i64 @legionella.cpu.frame_size()
  %shared = call i64 @legionella.cpu.shared_size()
  %size = add i64 %frame, %shared
  %memory = call ptr @legionella.cpu.scratch(i64 %size, i64 64)
  call void @legionella.cpu.start(ptr %block, ptr %memory, ptr %progress, ptr %launch)
  call void @legionella.cpu.resume(ptr %memory)
  ret void
}

declare void @llvm.trap()

define void @legionella.alloc_error(i64 %align, i64 %size) noreturn {
  call void @llvm.trap()
  unreachable
}

define void @legionella.barrier_failed(ptr %place, ptr %other) noreturn {
  call void @llvm.trap()
  unreachable
}
