; A barrier in a branch. Rank as the device library computes it: of what a group at the edge has.
declare i64 @legionella.group_size(i32)
declare i64 @legionella.group_id(i32)
declare i64 @legionella.grid_size(i32)
declare i64 @llvm.umin.i64(i64, i64)

define void @entry(ptr %block) {
start:
  %out = load ptr, ptr %block
  %limit = load i64, ptr %out
  %x = call i64 @legionella.local_id(i32 0)
  %y = call i64 @legionella.local_id(i32 1)
  %size = call i64 @legionella.group_size(i32 0)
  %group = call i64 @legionella.group_id(i32 0)
  %grid = call i64 @legionella.grid_size(i32 0)
  %begin = mul i64 %group, %size
  %left = sub i64 %grid, %begin
  %extent = call i64 @llvm.umin.i64(i64 %size, i64 %left)
  %row = mul i64 %extent, %y
  %rank = add i64 %row, %x
  %first = icmp eq i64 %rank, 0
  %not_first = icmp ne i64 %rank, 0
  %first_x = icmp eq i64 %x, 0
  %first_y = icmp eq i64 %y, 0
  %first_of_two = and i1 %first_x, %first_y
  %first_chosen = select i1 %first_x, i1 %first_y, i1 false
  %some = icmp ult i64 %rank, %limit
  %first_group = icmp eq i64 %group, 0
  %half = and i64 %rank, 1
  %even = icmp eq i64 %half, 0
  br i1 CONDITION, label %wait, label %done, !prof !0
wait:
  call void @legionella.barrier(i32 1, ptr @place)
  store i64 %rank, ptr %out
  br label %done
done:
  ret void
fails:
  call void @legionella.alloc_error(i64 0, i64 0)
  unreachable
}

!0 = !{!"branch_weights", i32 1, i32 1}
