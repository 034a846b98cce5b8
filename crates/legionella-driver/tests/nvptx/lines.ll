
; As `bounds`, from line 5 of a kernel whose product was inlined from line 12 of another file.
define void @lines(ptr noundef nonnull readonly align 8 dereferenceable(32) %block) !dbg !10 {
start:
  %xp = load ptr, ptr %block, align 8, !dbg !12
  %np = getelementptr i8, ptr %block, i64 16
  %n = load i64, ptr %np, align 8, !dbg !12
  %i = call i64 @legionella.global_id(i32 0), !dbg !12
  %in = icmp ult i64 %i, %n, !dbg !12
  br i1 %in, label %fine, label %out, !dbg !12
fine:
  %xi = getelementptr float, ptr %xp, i64 %i, !dbg !12
  %a = load float, ptr %xi, align 4, !dbg !12
  %product = fmul float %a, %a, !dbg !14
  store float %product, ptr %xi, align 4, !dbg !12
  ret void, !dbg !12
out:
  call void @legionella.panic_handler(ptr inttoptr (i64 16 to ptr)), !dbg !12
  unreachable, !dbg !12
}

!llvm.dbg.cu = !{!2}
!llvm.module.flags = !{!0, !1}
!0 = !{i32 2, !"Debug Info Version", i32 3}
!1 = !{i32 2, !"Dwarf Version", i32 4}
!2 = distinct !DICompileUnit(language: DW_LANG_Rust, file: !3, emissionKind: LineTablesOnly)
!3 = !DIFile(filename: "src/main.rs", directory: "/app")
!4 = !DIFile(filename: "src/math.rs", directory: "/app")
!5 = !DISubroutineType(types: !{})
!10 = distinct !DISubprogram(name: "lines", scope: !3, file: !3, line: 4, type: !5, unit: !2, spFlags: DISPFlagDefinition)
!11 = distinct !DISubprogram(name: "square", scope: !4, file: !4, line: 11, type: !5, unit: !2, spFlags: DISPFlagDefinition)
!12 = !DILocation(line: 5, column: 9, scope: !10)
!14 = !DILocation(line: 12, column: 5, scope: !11, inlinedAt: !12)
