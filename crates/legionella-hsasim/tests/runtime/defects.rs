//! Defects that are planted in kernels, one each, and what is said of them: on every machine, with the line of source.

use legionella_hsasim::isa::Isa;

use crate::kernels;
use crate::program::{Arguments, Program};

/// A kernel whose line 15 has a defect, and what the report says beside the line.
struct Defect {
    /// What the kernel does after its line 11.
    body: &'static str,
    /// Parts of the report.
    said: &'static [&'static str],
}

/// `%x` are 64 words of the device's memory, `@tile` the work-group's 64 words, `%own` the item's 4.
const DEFECTS: &[(&str, Defect)] = &[
    (
        "a register that nobody wrote",
        Defect {
            body: "call void asm sideeffect \"global_load_dword v40, v[50:51], off\", \"~{v40},~{v50},~{v51}\"(), !dbg !15",
            said: &["v50 is used as an address, but was never written"],
        },
    ),
    (
        "a mask that nobody wrote",
        Defect {
            body: "call void asm sideeffect \"s_mov_b64 exec, s[60:61]\", \"~{s60},~{s61}\"(), !dbg !15",
            said: &["s60 is used as the execution mask, but was never written"],
        },
    ),
    (
        "work-group memory that nobody wrote",
        Defect {
            body: "store i32 1, ptr addrspace(3) getelementptr (i32, ptr addrspace(3) @tile, i32 1), !dbg !11
                %v = load volatile i32, ptr addrspace(3) @tile, !dbg !11
                %p = getelementptr i32, ptr addrspace(1) %x, i32 %v, !dbg !15
                store i32 0, ptr addrspace(1) %p, !dbg !15",
            said: &["is used as an address, but was never written"],
        },
    ),
    (
        "a stack that nobody wrote",
        Defect {
            body: "%v = load volatile i32, ptr addrspace(5) %own, !dbg !11
                %p = getelementptr i32, ptr addrspace(1) %x, i32 %v, !dbg !15
                store i32 0, ptr addrspace(1) %p, !dbg !15",
            said: &["is used as an address, but was never written"],
        },
    ),
    (
        "memory beyond the end",
        Defect {
            body: "%p = getelementptr i32, ptr addrspace(1) %x, i32 64, !dbg !11
                %v = load volatile i32, ptr addrspace(1) %p, !dbg !15",
            said: &["a load of 4 bytes", "beyond the end of the allocation"],
        },
    ),
    (
        "memory that isn't there",
        Defect {
            body: "store volatile i32 7, ptr addrspace(1) inttoptr (i64 4096 to ptr addrspace(1)), !dbg !15",
            said: &["a store of 4 bytes at 0x1000", "there is no memory"],
        },
    ),
    (
        "work-group memory beyond the end",
        Defect {
            body: "%t = getelementptr i32, ptr addrspace(3) @tile, i32 %far, !dbg !11
                store volatile i32 7, ptr addrspace(3) %t, !dbg !15",
            said: &["a store of 4 bytes at offset 0x40000", "the work-group's memory has 256 bytes"],
        },
    ),
    (
        "a stack beyond the end",
        Defect {
            body: "%t = getelementptr i32, ptr addrspace(5) %own, i32 %far, !dbg !11
                store volatile i32 7, ptr addrspace(5) %t, !dbg !15",
            said: &["a store of 4 bytes at offset 0x4", "the work-item's memory has"],
        },
    ),
    (
        "an atomic access between words",
        Defect {
            body: "%p = getelementptr i8, ptr addrspace(1) %x, i32 2, !dbg !11
                %v = atomicrmw add ptr addrspace(1) %p, i32 1 syncscope(\"agent\") monotonic, !dbg !15",
            said: &["an atomic access of 4 bytes", "is not aligned"],
        },
    ),
    (
        "scalars between words",
        Defect {
            body: "%p = getelementptr i8, ptr addrspace(1) %x, i32 2, !dbg !11
                call void asm sideeffect \"s_load_dword s60, $0, 0x0\", \"s,~{s60}\"(ptr addrspace(1) %p), !dbg !15",
            said: &["a load of 4 bytes", "is not aligned"],
        },
    ),
    (
        "a load that is not waited for",
        Defect {
            body: "call void asm sideeffect \"global_load_dword v40, $0, off\", \"v,~{v40}\"(ptr addrspace(1) %x), !dbg !11
                call void asm sideeffect \"v_mov_b32 v41, v40\", \"~{v41}\"(), !dbg !15",
            said: &["v40 is used while a load of it is under way: an s_waitcnt is missing"],
        },
    ),
    (
        "a load of scalars that is not waited for",
        Defect {
            body: "call void asm sideeffect \"s_load_dword s60, $0, 0x0\", \"s,~{s60}\"(ptr addrspace(1) %x), !dbg !11
                call void asm sideeffect \"s_mov_b32 s61, s60\", \"~{s61}\"(), !dbg !15",
            said: &["s60 is used while a load of it is under way: an s_waitcnt is missing"],
        },
    ),
    (
        "a load of the work-group's memory that is not waited for",
        Defect {
            body: "store volatile i32 1, ptr addrspace(3) @tile, !dbg !11
                call void asm sideeffect \"ds_read_b32 v40, $0\", \"v,~{v40}\"(ptr addrspace(3) @tile), !dbg !11
                call void asm sideeffect \"v_mov_b32 v41, v40\", \"~{v41}\"(), !dbg !15",
            said: &["v40 is used while a load of it is under way: an s_waitcnt is missing"],
        },
    ),
];

#[test]
fn planted_defects_are_told_with_their_line() {
    for isa in Isa::ALL {
        for (name, defect) in DEFECTS {
            let program = Program::new(isa);
            let code = kernels::planted(isa.name(), defect.body);
            let kernel = program.load(&code, "planted");
            let x = program.device(&[0u32; 64]);
            let arguments = Arguments::default().pointer(x.cast()).word(1 << 16);
            let done = program.signal(1);
            program.submit(program.dispatch(kernel, 64, 64, arguments, done));
            assert!(!program.wait(done), "{name} on {}", isa.name());
            let report = program.report();
            for part in defect
                .said
                .iter()
                .chain(&["kernel planted", "kernel.rs:15"])
            {
                assert!(report.contains(part), "{part}: {report}");
            }
        }
    }
}

#[test]
fn values_of_other_work_groups_need_a_release_and_an_acquire() {
    for isa in Isa::ALL {
        for (release, acquire, lacks) in [
            (true, true, None),
            (false, true, Some("has not released since")),
            (true, false, Some("this work-group has not acquired since")),
        ] {
            let program = Program::new(isa);
            let code = kernels::message(isa.name(), release, acquire);
            let kernel = program.load(&code, "message");
            let [x, y] = [(); 2].map(|()| program.device(&[0u32; 256]));
            let arguments = Arguments::default().pointer(x.cast()).pointer(y.cast());
            let done = program.signal(1);
            program.submit(program.dispatch(kernel, 128, 64, arguments, done));
            let (ended, report) = (program.wait(done), program.report());
            assert_eq!(ended, lacks.is_none(), "{} {lacks:?} {report}", isa.name());
            let Some(lacks) = lacks else {
                assert_eq!(report, "");
                continue;
            };
            for part in [
                lacks,
                "work-group number 0 has stored",
                "kernel.rs:15",
                "stored at message+0x",
                "kernel.rs:12",
            ] {
                assert!(report.contains(part), "{part}: {report}");
            }
        }
    }
}
