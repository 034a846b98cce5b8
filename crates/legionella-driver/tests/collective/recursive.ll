; A function that waits and calls itself, which can't become part of the kernel.
define internal void @descend(i64 %depth) {
start:
  call void @legionella.barrier(i32 1, ptr @place)
  %deep = icmp ugt i64 %depth, 3
  br i1 %deep, label %done, label %deeper
deeper:
  %next = add i64 %depth, 1
  call void @descend(i64 %next)
  call void @descend(i64 %next)
  br label %done
done:
  ret void
}

define void @entry(ptr %block) {
  %id = call i64 @legionella.local_id(i32 0)
  call void @descend(i64 %id)
  ret void
}
