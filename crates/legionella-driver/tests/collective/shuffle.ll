; A lane's value that only some need: computing it where it is needed would leave lanes out.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %id = call i64 @legionella.local_id(i32 0)
  %mine = trunc i64 %id to i32
  %other = call i32 @legionella.subgroup_shuffle(i32 %mine, i32 3, ptr @place)
  %odd = trunc i64 %id to i1
  br i1 %odd, label %needs, label %done
needs:
  store i32 %other, ptr %out
  br label %done
done:
  ret void
}
