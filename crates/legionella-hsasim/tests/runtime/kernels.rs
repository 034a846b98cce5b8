//! The kernels that programs launch, as LLVM's IR.

use crate::assembler::code_object;

/// Declarations, and `%i`: the number of an item in a grid of one dimension with work-groups of `GROUP`.
fn around(body: &str, group: u32) -> String {
    format!(
        "target triple = \"amdgcn-amd-amdhsa\"
        declare i32 @llvm.amdgcn.workitem.id.x()
        declare i32 @llvm.amdgcn.workgroup.id.x()
        declare void @llvm.amdgcn.s.barrier()
        declare void @llvm.trap()
        {}
        !llvm.module.flags = !{{!0, !99}}
        !0 = !{{i32 1, !\"amdhsa_code_object_version\", i32 500}}
        !99 = !{{i32 2, !\"Debug Info Version\", i32 3}}",
        body.replace(
            "ITEM",
            &format!(
                "%wi = call i32 @llvm.amdgcn.workitem.id.x()
                %wg = call i32 @llvm.amdgcn.workgroup.id.x()
                %start = mul i32 %wg, {group}
                %i = add i32 %start, %wi
                %i64 = zext i32 %i to i64"
            )
        )
    )
}

fn compiled(processor: &str, body: &str, group: u32) -> Vec<u8> {
    code_object(processor, &around(body, group), true)
}

/// `y[i] += a * x[i]` for `i < n`.
pub fn saxpy(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @saxpy(ptr addrspace(1) %x, ptr addrspace(1) %y, float %a, i32 %n) {
            ITEM
            %in = icmp ult i32 %i, %n
            br i1 %in, label %work, label %end
        work:
            %px = getelementptr float, ptr addrspace(1) %x, i64 %i64
            %py = getelementptr float, ptr addrspace(1) %y, i64 %i64
            %vx = load float, ptr addrspace(1) %px
            %vy = load float, ptr addrspace(1) %py
            %p = fmul float %a, %vx
            %s = fadd float %p, %vy
            store float %s, ptr addrspace(1) %py
            br label %end
        end:
            ret void
        }",
        64,
    )
}

/// Each group of 256 reverses its items through the work-group's memory.
pub fn reverse(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "@tile = internal addrspace(3) global [256 x i32] undef
        define amdgpu_kernel void @reverse(ptr addrspace(1) %x) #0 {
            ITEM
            %p = getelementptr i32, ptr addrspace(1) %x, i64 %i64
            %v = load i32, ptr addrspace(1) %p
            %t = getelementptr i32, ptr addrspace(3) @tile, i32 %wi
            store i32 %v, ptr addrspace(3) %t
            fence syncscope(\"workgroup\") release
            call void @llvm.amdgcn.s.barrier()
            fence syncscope(\"workgroup\") acquire
            %other = sub i32 255, %wi
            %u = getelementptr i32, ptr addrspace(3) @tile, i32 %other
            %w = load i32, ptr addrspace(3) %u
            store i32 %w, ptr addrspace(1) %p
            ret void
        }
        attributes #0 = { \"amdgpu-flat-work-group-size\"=\"256,256\" }",
        256,
    )
}

/// Quotients, remainders and conversions through memory of the item's own and a call.
pub fn mixture(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define internal i64 @divide(i64 %a, i64 %b) noinline {
            %q = sdiv i64 %a, %b
            %r = srem i64 %a, %b
            %s = xor i64 %q, %r
            ret i64 %s
        }
        define amdgpu_kernel void @mixture(ptr addrspace(1) %x, ptr addrspace(1) %y, ptr addrspace(1) %out) {
            ITEM
            %own = alloca [8 x i64], addrspace(5)
            %px = getelementptr i64, ptr addrspace(1) %x, i64 %i64
            %py = getelementptr i64, ptr addrspace(1) %y, i64 %i64
            %po = getelementptr i64, ptr addrspace(1) %out, i64 %i64
            %a = load i64, ptr addrspace(1) %px
            %b = load i64, ptr addrspace(1) %py
            br label %fill
        fill:
            %k = phi i64 [ 0, %0 ], [ %k1, %fill ]
            %slot = getelementptr i64, ptr addrspace(5) %own, i64 %k
            %m = mul i64 %a, %k
            store volatile i64 %m, ptr addrspace(5) %slot
            %k1 = add i64 %k, 1
            %more = icmp ult i64 %k1, 8
            br i1 %more, label %fill, label %take
        take:
            %index = and i64 %b, 7
            %taken = getelementptr i64, ptr addrspace(5) %own, i64 %index
            %v = load volatile i64, ptr addrspace(5) %taken
            %d = call i64 @divide(i64 %v, i64 %b)
            %f = sitofp i64 %a to double
            %g = sitofp i64 %b to double
            %q = fdiv double %f, %g
            %bits = bitcast double %q to i64
            %sum = add i64 %d, %bits
            store i64 %sum, ptr addrspace(1) %po
            ret void
        }",
        64,
    )
}

/// Adds 1 to a word, once an item.
pub fn count(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @count(ptr addrspace(1) %x) {
            %old = atomicrmw add ptr addrspace(1) %x, i32 1 syncscope(\"agent\") monotonic
            ret void
        }",
        64,
    )
}

/// Loads from an address beyond the end.
pub fn beyond(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @beyond(ptr addrspace(1) %x) !dbg !4 {
            ITEM
            %p = getelementptr i32, ptr addrspace(1) %x, i64 %i64, !dbg !7
            store i32 %i, ptr addrspace(1) %p, !dbg !8
            ret void, !dbg !8
        }
        !llvm.dbg.cu = !{!1}
        !1 = distinct !DICompileUnit(language: DW_LANG_Rust, file: !2, emissionKind: FullDebug)
        !2 = !DIFile(filename: \"kernel.rs\", directory: \"/source\")
        !3 = !DISubroutineType(types: !{})
        !4 = distinct !DISubprogram(name: \"beyond\", file: !2, line: 10, type: !3, unit: !1, spFlags: DISPFlagDefinition)
        !7 = !DILocation(line: 11, column: 1, scope: !4)
        !8 = !DILocation(line: 12, column: 1, scope: !4)",
        64,
    )
}

/// Items of groups of 256 exchange values with the item at the other end, through memory of an address
/// space (1 or 3): with fences around the barrier, or without the one before it.
pub fn exchange(processor: &str, space: u32, fenced: bool) -> Vec<u8> {
    let release = if fenced {
        "fence syncscope(\"workgroup\") release, !dbg !8"
    } else {
        ""
    };
    let place = if space == 3 {
        "getelementptr i32, ptr addrspace(3) @tile, i32"
    } else {
        "getelementptr i32, ptr addrspace(1) %x, i32"
    };
    compiled(
        processor,
        &format!(
            "@tile = internal addrspace(3) global [256 x i32] undef
            define amdgpu_kernel void @exchange(ptr addrspace(1) %x, ptr addrspace(1) %y) #0 !dbg !4 {{
                ITEM
                %t = {place} %wi, !dbg !7
                store i32 %wi, ptr addrspace({space}) %t, !dbg !8
                {release}
                call void @llvm.amdgcn.s.barrier(), !dbg !8
                fence syncscope(\"workgroup\") acquire, !dbg !8
                %other = sub i32 255, %wi, !dbg !8
                %u = {place} %other, !dbg !8
                %w = load i32, ptr addrspace({space}) %u, !dbg !9
                %q = getelementptr i32, ptr addrspace(1) %y, i32 %wi, !dbg !9
                store i32 %w, ptr addrspace(1) %q, !dbg !9
                ret void, !dbg !9
            }}
            attributes #0 = {{ \"amdgpu-flat-work-group-size\"=\"256,256\" }}
            !llvm.dbg.cu = !{{!1}}
            !1 = distinct !DICompileUnit(language: DW_LANG_Rust, file: !2, emissionKind: FullDebug)
            !2 = !DIFile(filename: \"kernel.rs\", directory: \"/source\")
            !3 = !DISubroutineType(types: !{{}})
            !4 = distinct !DISubprogram(name: \"exchange\", file: !2, line: 10, type: !3, unit: !1, spFlags: DISPFlagDefinition)
            !7 = !DILocation(line: 11, column: 1, scope: !4)
            !8 = !DILocation(line: 12, column: 1, scope: !4)
            !9 = !DILocation(line: 15, column: 1, scope: !4)"
        ),
        256,
    )
}

/// Debug information: locations 11, 12 and 15 are those lines of `kernel.rs`, in the function `!4` of a name.
fn lines(name: &str) -> String {
    format!(
        "!llvm.dbg.cu = !{{!1}}
        !1 = distinct !DICompileUnit(language: DW_LANG_Rust, file: !2, emissionKind: FullDebug)
        !2 = !DIFile(filename: \"kernel.rs\", directory: \"/source\")
        !3 = !DISubroutineType(types: !{{}})
        !4 = distinct !DISubprogram(name: \"{name}\", file: !2, line: 10, type: !3, unit: !1, spFlags: DISPFlagDefinition)
        !11 = !DILocation(line: 11, column: 1, scope: !4)
        !12 = !DILocation(line: 12, column: 1, scope: !4)
        !15 = !DILocation(line: 15, column: 1, scope: !4)"
    )
}

/// Does what a text says, with 64 words `%x`, `@tile` and a number `%far`, and 4 words `%own`.
pub fn planted(processor: &str, body: &str) -> Vec<u8> {
    compiled(
        processor,
        &format!(
            "@tile = internal addrspace(3) global [64 x i32] undef
            define amdgpu_kernel void @planted(ptr addrspace(1) %x, i32 %far) #0 !dbg !4 {{
                %own = alloca [4 x i32], addrspace(5)
                call void asm sideeffect \"; $0\", \"v\"(ptr addrspace(5) %own), !dbg !11
                call void asm sideeffect \"; $0\", \"v\"(ptr addrspace(3) @tile), !dbg !11
                {body}
                ret void, !dbg !11
            }}
            attributes #0 = {{ \"amdgpu-flat-work-group-size\"=\"64,64\" }}
            {}",
            lines("planted")
        ),
        64,
    )
}

/// The first work-group leaves 64 words to the second: with a release and an acquire, or without.
pub fn message(processor: &str, release: bool, acquire: bool) -> Vec<u8> {
    let order = |has, name| if has { name } else { "monotonic" };
    compiled(
        processor,
        &format!(
            "define amdgpu_kernel void @message(ptr addrspace(1) %x, ptr addrspace(1) %y) #0 !dbg !4 {{
                ITEM
                %flag = getelementptr i32, ptr addrspace(1) %x, i32 128, !dbg !11
                %p = getelementptr i32, ptr addrspace(1) %x, i32 %wi, !dbg !11
                %first = icmp eq i32 %wg, 0, !dbg !11
                br i1 %first, label %send, label %wait, !dbg !11
            send:
                store i32 %wi, ptr addrspace(1) %p, !dbg !12
                store atomic i32 1, ptr addrspace(1) %flag syncscope(\"agent\") {}, align 4, !dbg !12
                ret void, !dbg !12
            wait:
                %v = load atomic i32, ptr addrspace(1) %flag syncscope(\"agent\") {}, align 4, !dbg !11
                %zero = icmp eq i32 %v, 0, !dbg !11
                br i1 %zero, label %wait, label %take, !dbg !11
            take:
                %w = load i32, ptr addrspace(1) %p, !dbg !15
                %q = getelementptr i32, ptr addrspace(1) %y, i32 %wi, !dbg !15
                store i32 %w, ptr addrspace(1) %q, !dbg !15
                ret void, !dbg !15
            }}
            attributes #0 = {{ \"amdgpu-flat-work-group-size\"=\"64,64\" }}
            {}",
            order(release, "release"),
            order(acquire, "acquire"),
            lines("message")
        ),
        64,
    )
}

/// Stops itself.
pub fn trap(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @trap() { call void @llvm.trap() unreachable }",
        64,
    )
}

/// Never ends.
pub fn endless(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @endless(ptr addrspace(1) %x) {
            br label %loop
        loop:
            store volatile i32 1, ptr addrspace(1) %x
            br label %loop
        }",
        64,
    )
}

/// Waits until a word is not zero, then sets another.
pub fn waits(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @waits(ptr addrspace(1) %x) {
            %wg = call i32 @llvm.amdgcn.workgroup.id.x()
            %first = icmp eq i32 %wg, 0
            br i1 %first, label %loop, label %set
        loop:
            %v = load atomic i32, ptr addrspace(1) %x syncscope(\"agent\") acquire, align 4
            %zero = icmp eq i32 %v, 0
            br i1 %zero, label %loop, label %end
        set:
            store atomic i32 1, ptr addrspace(1) %x syncscope(\"agent\") release, align 4
            br label %end
        end:
            ret void
        }",
        64,
    )
}

/// Writes a packet of 64 bytes into a ring and rings its doorbell.
pub fn enqueue(processor: &str) -> Vec<u8> {
    compiled(
        processor,
        "define amdgpu_kernel void @enqueue(ptr addrspace(1) %packet, ptr addrspace(1) %slot, ptr addrspace(1) %bell, i64 %number, i32 %header) {
            br label %copy
        copy:
            %k = phi i64 [ 1, %0 ], [ %k1, %copy ]
            %from = getelementptr i64, ptr addrspace(1) %packet, i64 %k
            %to = getelementptr i64, ptr addrspace(1) %slot, i64 %k
            %w = load volatile i64, ptr addrspace(1) %from
            store volatile i64 %w, ptr addrspace(1) %to
            %k1 = add i64 %k, 1
            %more = icmp ult i64 %k1, 8
            br i1 %more, label %copy, label %ring
        ring:
            %from4 = getelementptr i32, ptr addrspace(1) %packet, i64 1
            %to4 = getelementptr i32, ptr addrspace(1) %slot, i64 1
            %w4 = load volatile i32, ptr addrspace(1) %from4
            store volatile i32 %w4, ptr addrspace(1) %to4
            store atomic i32 %header, ptr addrspace(1) %slot release, align 4
            store atomic i64 %number, ptr addrspace(1) %bell release, align 8
            ret void
        }",
        64,
    )
}
