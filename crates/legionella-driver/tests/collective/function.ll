; The same, where the barrier is in a function: a call that leads to one has to stay as well.
define internal void @wait(ptr %out) noinline {
  %value = load i64, ptr %out
  call void @legionella.barrier(i32 1, ptr @place)
  store i64 %value, ptr %out
  ret void
}

define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %id = call i64 @legionella.local_id(i32 0)
  %odd = trunc i64 %id to i1
  br i1 %odd, label %before, label %join
before:
  store i64 1, ptr %out
  br label %join
join:
  call void @wait(ptr %out) noinline
  br i1 %odd, label %after, label %done
after:
  store i64 %id, ptr %out
  br label %done
done:
  ret void
}
