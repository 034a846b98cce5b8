; if c { a } barrier; if c { b }: threading jumps would give each way a barrier of its own.
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
  call void @legionella.barrier(i32 1, ptr @place)
  br i1 %odd, label %after, label %done
after:
  store i64 %id, ptr %out
  br label %done
done:
  ret void
}
