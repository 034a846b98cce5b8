; A loop with a barrier and a condition that stays the same: unswitching would make two loops.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %count_place = getelementptr i8, ptr %block, i64 8
  %count = load i64, ptr %count_place
  %id = call i64 @legionella.local_id(i32 0)
  %odd = trunc i64 %id to i1
  br label %head
head:
  %i = phi i64 [ 0, %start ], [ %next, %latch ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %done
body:
  br i1 %odd, label %then, label %otherwise
then:
  %old = load i64, ptr %out
  %new = mul i64 %old, 3
  store i64 %new, ptr %out
  br label %latch
otherwise:
  store i64 %i, ptr %out
  br label %latch
latch:
  call void @legionella.barrier(i32 1, ptr @place)
  %next = add nuw i64 %i, 1
  br label %head
done:
  ret void
}
