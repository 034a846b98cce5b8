; if c { a } shuffle; if c { b }, and a return before it all.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %id = call i64 @legionella.local_id(i32 0)
  %leaves = icmp ugt i64 %id, 31
  br i1 %leaves, label %done, label %stay
stay:
  %mine = trunc i64 %id to i32
  %odd = trunc i64 %id to i1
  br i1 %odd, label %before, label %join
before:
  store i32 1, ptr %out
  br label %join
join:
  %value = phi i32 [ 0, %stay ], [ %mine, %before ]
  %other = call i32 @legionella.subgroup_shuffle(i32 %value, i32 3, ptr @place)
  br i1 %odd, label %after, label %done
after:
  store i32 %other, ptr %out
  br label %done
done:
  ret void
}
