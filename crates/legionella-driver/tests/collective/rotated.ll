; A loop that begins with a barrier: rotation would put a copy of it in front.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %count_place = getelementptr i8, ptr %block, i64 8
  %count = load i64, ptr %count_place
  br label %head
head:
  %i = phi i64 [ 0, %start ], [ %next, %body ]
  call void @legionella.barrier(i32 1, ptr @place)
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %old = load i64, ptr %out
  %new = mul i64 %old, 3
  store i64 %new, ptr %out
  %next = add nuw i64 %i, 1
  br label %head
done:
  ret void
}
