//! Launches that go well.

use std::sync::atomic::Ordering;

use legionella_hsasim::abi::copies::hsa_amd_memory_async_copy;
use legionella_hsasim::abi::signals::{
    SignalHandle, hsa_signal_load_relaxed, hsa_signal_store_screlease,
};
use legionella_hsasim::isa::Isa;
use legionella_hsasim::machine::signal::Signal;

use crate::kernels;
use crate::program::{Arguments, Program};

const ISAS: [Isa; 3] = [Isa::Gfx1100, Isa::Gfx942, Isa::Gfx90a];

fn read<T: Copy>(memory: *const T, count: usize) -> Vec<T> {
    // SAFETY: tests read what they have allocated.
    unsafe { std::slice::from_raw_parts(memory, count) }.to_vec()
}

#[test]
fn saxpy() {
    for isa in ISAS {
        let program = Program::new(isa);
        let kernel = program.load(&kernels::saxpy(isa.name()), "saxpy");
        // Neither a multiple of the work-group nor of the wave.
        let n = 10_007;
        let xs: Vec<f32> = (0..n).map(|i| i as f32 * 0.37).collect();
        let ys: Vec<f32> = (0..n).map(|i| 1.0 / (i + 1) as f32).collect();
        let (x, y) = (program.device(&xs), program.device(&ys));
        let arguments = Arguments::default()
            .pointer(x.cast())
            .pointer(y.cast())
            .word(2.5f32.to_bits())
            .word(n);
        program.run(kernel, n, 64, arguments);
        let expected: Vec<f32> = xs.iter().zip(&ys).map(|(x, y)| 2.5 * x + y).collect();
        assert_eq!(read(y, n as usize), expected, "{}", isa.name());
    }
}

#[test]
fn groups_meet_at_barriers() {
    for isa in ISAS {
        let program = Program::new(isa);
        let kernel = program.load(&kernels::reverse(isa.name()), "reverse");
        assert_eq!(kernel.group, 1024);
        let values: Vec<u32> = (0..2048).collect();
        let x = program.device(&values);
        program.run(kernel, 2048, 256, Arguments::default().pointer(x.cast()));
        let expected: Vec<u32> = (0..2048).map(|i| (i & !255) | (255 - (i & 255))).collect();
        assert_eq!(read(x, 2048), expected, "{}", isa.name());
    }
}

#[test]
fn division_calls_and_own_memory() {
    for isa in ISAS {
        let program = Program::new(isa);
        let kernel = program.load(&kernels::mixture(isa.name()), "mixture");
        let n = 500u32;
        let mut state = 7u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 20) as i64 - (1 << 43)
        };
        let xs: Vec<i64> = (0..n).map(|_| random()).collect();
        let ys: Vec<i64> = (0..n)
            .map(|i| {
                if i % 3 == 0 {
                    random() | 1
                } else {
                    (i64::from(i) - 250) | 1
                }
            })
            .collect();
        let (x, y, out) = (
            program.device(&xs),
            program.device(&ys),
            program.device(&vec![0i64; n as usize]),
        );
        let arguments = Arguments::default()
            .pointer(x.cast())
            .pointer(y.cast())
            .pointer(out.cast());
        program.run(kernel, n, 64, arguments);
        let expected: Vec<i64> = xs
            .iter()
            .zip(&ys)
            .map(|(&a, &b)| {
                let v = a.wrapping_mul(b & 7);
                let d = v.wrapping_div(b) ^ v.wrapping_rem(b);
                d.wrapping_add((a as f64 / b as f64).to_bits() as i64)
            })
            .collect();
        assert_eq!(read(out, n as usize), expected, "{}", isa.name());
    }
}

#[test]
fn packets_wait_for_signals() {
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::count("gfx1100"), "count");
    let x = program.device(&[0u32]);
    let (gate, other, done, all) = (
        program.signal(1),
        program.signal(1),
        program.signal(2),
        program.signal(1),
    );
    // A barrier for both signals, then two launches, then a barrier for one signal of two.
    let barrier = |kind: u64, first: SignalHandle, second: SignalHandle, done: u64| {
        [
            kind | (1 << 8),
            first.handle,
            second.handle,
            0,
            0,
            0,
            0,
            done,
        ]
    };
    program.submit(barrier(3, gate, other, 0));
    for _ in 0..2 {
        program.submit(program.dispatch(
            kernel,
            100,
            64,
            Arguments::default().pointer(x.cast()),
            done,
        ));
    }
    program.submit(barrier(5, program.signal(1), done, all.handle));
    std::thread::sleep(std::time::Duration::from_millis(5));
    hsa_signal_store_screlease(gate, 0);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!((hsa_signal_load_relaxed(done), read(x, 1)[0]), (2, 0));
    hsa_signal_store_screlease(other, 0);
    assert!(program.wait(all));
    assert_eq!((hsa_signal_load_relaxed(done), read(x, 1)[0]), (0, 200));
}

#[test]
fn doorbells_ring_in_any_order() {
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::count("gfx1100"), "count");
    let x = program.device(&[0u32]);
    let (gate, done) = (program.signal(1), program.signal(2));
    program.submit([3 | (1 << 8), gate.handle, 0, 0, 0, 0, 0, 0]);
    // Two producers, of which the second to write is the first to ring, while the processor is busy.
    let arguments = || Arguments::default().pointer(x.cast());
    let [first, second] =
        [(); 2].map(|()| program.write(program.dispatch(kernel, 64, 64, arguments(), done)));
    program.ring(second);
    program.ring(first);
    hsa_signal_store_screlease(gate, 0);
    assert!(program.wait(done), "{}", program.report());
    assert_eq!(read(x, 1), [128]);
}

#[test]
fn copies_wait_for_signals() {
    let program = Program::new(Isa::Gfx942);
    let (from, to) = (program.device(&[1u32, 2, 3, 4]), program.device(&[0u32; 4]));
    let (gate, done) = (program.signal(1), program.signal(1));
    // SAFETY: both have 16 bytes.
    let status = unsafe {
        hsa_amd_memory_async_copy(
            to.cast(),
            program.gpu,
            from.cast(),
            program.gpu,
            16,
            1,
            &gate,
            done,
        )
    };
    assert_eq!(status, 0);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(
        (hsa_signal_load_relaxed(done), read(to, 4)),
        (1, vec![0; 4])
    );
    hsa_signal_store_screlease(gate, 0);
    assert!(program.wait(done));
    assert_eq!(read(to, 4), [1, 2, 3, 4]);
    // One byte more than there is.
    // SAFETY: nothing is copied.
    let status = unsafe {
        hsa_amd_memory_async_copy(
            to.cast(),
            program.gpu,
            from.cast(),
            program.gpu,
            17,
            0,
            std::ptr::null(),
            done,
        )
    };
    assert_eq!(status, 0x1003);
}

#[test]
fn groups_that_wait_for_later_ones() {
    let program = Program::new(Isa::Gfx1100);
    let kernel = program.load(&kernels::waits("gfx1100"), "waits");
    let x = program.device(&[0u32]);
    program.run(kernel, 128, 64, Arguments::default().pointer(x.cast()));
    // Later ones by far: more than there are threads wait for the last.
    program.run(kernel, 64, 64, Arguments::default().pointer(x.cast()));
    assert_eq!(read(x, 1), [1]);
}

#[test]
fn kernels_launch_kernels() {
    for isa in ISAS {
        let program = Program::new(isa);
        let count = program.load(&kernels::count(isa.name()), "count");
        let enqueue = program.load(&kernels::enqueue(isa.name()), "enqueue");
        let x = program.device(&[0u32]);
        let done = program.signal(1);
        let inner = program.dispatch(count, 64, 64, Arguments::default().pointer(x.cast()), done);
        // The packet goes into the slot after the launching kernel's own.
        // SAFETY: the queue lives.
        let shared = unsafe { &*program.queue };
        let number = shared.write_index.load(Ordering::Relaxed) + 1;
        let slot = (shared.ring + 64 * (number % u64::from(shared.size))) as *mut u8;
        // SAFETY: a doorbell's handle is the address of its signal.
        let bell = unsafe { &*(shared.doorbell as *const Signal) }
            .value
            .load(Ordering::Relaxed) as *mut u8;
        let packet = program.device(&inner);
        let arguments = Arguments::default()
            .pointer(packet.cast())
            .pointer(slot)
            .pointer(bell)
            .long(number)
            .word(inner[0] as u32);
        let outer = program.dispatch(enqueue, 1, 64, arguments, SignalHandle { handle: 0 });
        program.submit(outer);
        shared.write_index.fetch_add(1, Ordering::Relaxed);
        assert!(program.wait(done), "{}", program.report());
        assert_eq!(read(x, 1), [64]);
    }
}
