; Some items return before a barrier that is followed by work: it must not move before the return.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %id = call i64 @legionella.local_id(i32 0)
  %leaves = icmp ugt i64 %id, 7
  br i1 %leaves, label %done, label %stay
stay:
  call void @legionella.barrier(i32 1, ptr @place)
  store i64 %id, ptr %out
  br label %done
done:
  ret void
}
