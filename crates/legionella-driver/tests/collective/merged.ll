; Both ways have a barrier of their own: sinking or hoisting it would leave one.
define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %id = call i64 @legionella.local_id(i32 0)
  %odd = trunc i64 %id to i1
  br i1 %odd, label %then, label %otherwise
then:
  call void @legionella.barrier(i32 1, ptr @place)
  store i64 1, ptr %out
  br label %done
otherwise:
  call void @legionella.barrier(i32 1, ptr @place)
  store i64 %id, ptr %out
  br label %done
done:
  ret void
}
