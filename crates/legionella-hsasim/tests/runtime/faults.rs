//! What goes wrong, and how it is told.

use std::time::{Duration, Instant};

use legionella_hsasim::abi::agents::{hsa_agent_get_info, legionella_hsasim_lose};
use legionella_hsasim::abi::pools::{hsa_amd_agents_allow_access, hsa_amd_memory_pool_free};
use legionella_hsasim::abi::queues::{hsa_queue_create, hsa_queue_inactivate};
use legionella_hsasim::abi::signals::{hsa_signal_load_relaxed, hsa_signal_wait_scacquire};
use legionella_hsasim::isa::Isa;

use crate::assembler::code_object;
use crate::kernels;
use crate::program::{Arguments, Kernel, Program, try_allocate};

/// Launches what has to fail; gives the code.
fn fails(program: &Program, kernel: Kernel, arguments: Arguments) -> u32 {
    let done = program.signal(1);
    program.submit(program.dispatch(kernel, 128, 64, arguments, done));
    assert!(!program.wait(done), "it went well");
    assert_eq!(hsa_signal_load_relaxed(done), 1);
    program.failures.lock().unwrap()[0]
}

#[test]
fn stores_beyond_the_end() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let program = Program::new(isa);
        let code = kernels::beyond(isa.name());
        let kernel = program.load(&code, "beyond");
        let x = program.device(&[0u32; 100]);
        assert_eq!(
            fails(&program, kernel, Arguments::default().pointer(x.cast())),
            43
        );
        let report = program.report();
        for part in [
            "kernel beyond",
            "a store of 4 bytes",
            "beyond the end",
            "beyond+0x",
            "work-group [1, 0, 0]",
            "kernel.rs:12",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
}

#[test]
fn fences_that_are_missing() {
    for isa in [Isa::Gfx1100, Isa::Gfx942, Isa::Gfx90a] {
        for space in [1, 3] {
            let run = |fenced| {
                let program = Program::new(isa);
                let code = kernels::exchange(isa.name(), space, fenced);
                let kernel = program.load(&code, "exchange");
                let [x, y] = [(); 2].map(|()| program.device(&[0u32; 256]));
                let arguments = Arguments::default().pointer(x.cast()).pointer(y.cast());
                let done = program.signal(1);
                program.submit(program.dispatch(kernel, 256, 256, arguments, done));
                (program.wait(done), program.report())
            };
            assert_eq!(run(true), (true, String::new()), "{} {space}", isa.name());
            let (ended, report) = run(false);
            if space == 3 || isa != Isa::Gfx1100 {
                // Accesses are in one order for all waves.
                assert!(ended, "{report}");
                continue;
            }
            assert!(!ended, "{} {space}", isa.name());
            for part in [
                "a fence is missing",
                "kernel.rs:15",
                "stored at exchange+0x",
                "kernel.rs:12",
            ] {
                assert!(report.contains(part), "{part}: {report}");
            }
        }
    }
}

#[test]
fn memory_without_access() {
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::count("gfx1100"), "count");
    let x = try_allocate(program.host, 2, 64).unwrap();
    assert_eq!(fails(&program, kernel, Arguments::default().pointer(x)), 43);
    assert!(
        program.report().contains("no access"),
        "{}",
        program.report()
    );
    // SAFETY: one agent.
    let status =
        unsafe { hsa_amd_agents_allow_access(1, &program.gpu, std::ptr::null(), x.cast()) };
    assert_eq!(status, 0);
    let program = Program::new(Isa::Gfx1100);
    program.run(kernel, 1, 64, Arguments::default().pointer(x));
}

#[test]
fn kernels_that_stop_themselves() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let program = Program::new(isa);
        let kernel = program.load(&kernels::trap(isa.name()), "trap");
        assert_eq!(fails(&program, kernel, Arguments::default()), 0x1016);
        assert!(
            program.report().contains("s_trap 2"),
            "{}",
            program.report()
        );
    }
}

#[test]
fn kernels_that_never_end_are_stopped() {
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::endless("gfx1100"), "endless");
    let x = program.device(&[0u32]);
    let done = program.signal(1);
    program.submit(program.dispatch(kernel, 64, 64, Arguments::default().pointer(x.cast()), done));
    // The wait ends by its own limit: 20 ms.
    let start = Instant::now();
    assert_eq!(hsa_signal_wait_scacquire(done, 0, 0, 2_000_000, 0), 1);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(hsa_queue_inactivate(program.queue), 0);
    drop(program);
    // Others run on.
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::count("gfx1100"), "count");
    program.run(kernel, 64, 64, Arguments::default().pointer(x.cast()));
}

#[test]
fn packets_that_are_wrong() {
    let with = |change: &dyn Fn(&mut [u64; 8])| {
        let program = Program::new(Isa::Gfx1100);
        let kernel = program.load(&kernels::count("gfx1100"), "count");
        let x = program.device(&[0u32]);
        let done = program.signal(1);
        let mut packet =
            program.dispatch(kernel, 64, 64, Arguments::default().pointer(x.cast()), done);
        change(&mut packet);
        program.submit(packet);
        assert!(!program.wait(done), "it went well");
        program.failures.lock().unwrap()[0]
    };
    // No kernel, no arguments, no items, more memory than there is.
    assert_eq!(with(&|packet| packet[4] += 64), 0x1010);
    assert_eq!(with(&|packet| packet[5] = 0), 0x1009);
    assert_eq!(with(&|packet| packet[1] &= 0xffff_ffff), 0x1009);
    assert_eq!(with(&|packet| packet[3] |= 70_000 << 32), 0x1003);
    assert_eq!(with(&|packet| packet[3] |= 1 << 20), 0x1008);
    assert_eq!(with(&|packet| packet[0] |= 7), 0x1009);
}

#[test]
fn memory_is_used_up() {
    let program = Program::new(Isa::Gfx1100);
    // The pool for arguments has 64 MiB.
    let most = try_allocate(program.host, 3, 60 << 20).unwrap();
    assert_eq!(try_allocate(program.host, 3, 60 << 20), Err(0x1008));
    assert_eq!(hsa_amd_memory_pool_free(most.cast()), 0);
    let again = try_allocate(program.host, 3, 60 << 20).unwrap();
    assert_eq!(hsa_amd_memory_pool_free(again.cast()), 0);
    assert_eq!(hsa_amd_memory_pool_free(again.cast()), 0x1003);
}

#[test]
fn code_for_another_machine() {
    let program = Program::new(Isa::Gfx1100);
    assert_eq!(
        program
            .executable(&kernels::count("gfx942"), "count.kd")
            .err(),
        Some(0x1010)
    );
    assert_eq!(
        program.executable(&[1, 2, 3, 4], "count.kd").err(),
        Some(0x1010)
    );
    assert_eq!(
        program
            .executable(&kernels::count("gfx1100"), "other.kd")
            .err(),
        Some(0x1013)
    );
}

#[test]
fn instructions_that_are_not_there() {
    let program = Program::new(Isa::Gfx942);
    let text = "
        .amdgcn_target \"amdgcn-amd-amdhsa--gfx942\"
        .text
        .globl strange
        .type strange,@function
        strange:
            v_cvt_pknorm_i16_f32 v0, v0, v0
            s_endpgm
        .size strange, .-strange
        .rodata
        .p2align 6
        .amdhsa_kernel strange
            .amdhsa_next_free_vgpr 8
            .amdhsa_next_free_sgpr 16
            .amdhsa_accum_offset 8
            .amdhsa_float_denorm_mode_32 3
        .end_amdhsa_kernel";
    let kernel = program.load(&code_object("gfx942", text, false), "strange");
    assert_eq!(fails(&program, kernel, Arguments::default()), 42);
    assert!(
        program.report().contains("v_cvt_pknorm_i16_f32"),
        "{}",
        program.report()
    );
}

/// Last of all agents, which no other test uses.
#[test]
fn agents_that_are_lost() {
    let program = Program::new(Isa::Gfx90a);
    let kernel = program.load(&kernels::endless("gfx90a"), "endless");
    let x = program.device(&[0u32]);
    let done = program.signal(1);
    if std::env::var_os("LEGIONELLA_HSASIM_LOSE").is_none() {
        // The agent is lost for the whole process: in one of its own.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "faults::agents_that_are_lost",
                "--test-threads=1",
            ])
            .env("LEGIONELLA_HSASIM_LOSE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    program.submit(program.dispatch(kernel, 64, 64, Arguments::default().pointer(x.cast()), done));
    assert_eq!(legionella_hsasim_lose(program.gpu), 0);
    assert!(!program.wait(done));
    assert_eq!(program.failures.lock().unwrap()[0], 0x1026);
    let mut queue = std::ptr::null_mut();
    // SAFETY: a place for a queue.
    let status = unsafe {
        hsa_queue_create(
            program.gpu,
            64,
            0,
            None,
            std::ptr::null_mut(),
            0,
            0,
            &mut queue,
        )
    };
    assert_eq!(status, 0x1026);
    let mut value = 0u32;
    // SAFETY: a place for 4 bytes.
    let status = unsafe { hsa_agent_get_info(program.gpu, 6, (&raw mut value).cast()) };
    assert_eq!(status, 0);
}
