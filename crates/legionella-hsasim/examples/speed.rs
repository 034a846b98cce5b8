//! How many instructions of a wave the interpreter executes in a second, on one core.
//!
//! `cargo run --release -p legionella-hsasim --example speed`

use std::time::Instant;

#[path = "../tests/assembler/mod.rs"]
mod assembler;

use legionella_hsasim::decode::{Code, EXEC, VCC};
use legionella_hsasim::interpret::access::Reach;
use legionella_hsasim::interpret::fences::Unfenced;
use legionella_hsasim::interpret::local::Bytes;
use legionella_hsasim::interpret::run::{Stop, run};
use legionella_hsasim::interpret::vector::Halves;
use legionella_hsasim::interpret::wave::Wave;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::lanes::LANES;
use legionella_hsasim::machine::memory::{Purpose, View, memory};

/// The inner loop of a product of matrices, as LLVM compiles it: loads from the work-group's memory and the
/// machine's, multiplications, addresses, a branch.
const PRODUCT: [&str; 2] = [
    "
    loop:
        global_load_b32 v4, v1, s[2:3]
        ds_load_2addr_b32 v[5:6], v2 offset1:1
        v_add_nc_u32_e32 v1, 4, v1
        v_and_b32_e32 v1, 0xffff, v1
        s_add_i32 s4, s4, -1
        s_waitcnt vmcnt(0) lgkmcnt(0)
        v_fmac_f32_e32 v7, v4, v5
        v_fmac_f32_e32 v8, v4, v6
        v_dual_mul_f32 v9, v4, v5 :: v_dual_add_f32 v10, v7, v8
        v_fma_f32 v11, v9, v10, v11
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
    "
    loop:
        global_load_dword v4, v1, s[2:3]
        ds_read2_b32 v[6:7], v2 offset1:1
        v_add_u32_e32 v1, 4, v1
        v_and_b32_e32 v1, 0xffff, v1
        s_add_i32 s4, s4, -1
        s_waitcnt vmcnt(0) lgkmcnt(0)
        v_fmac_f32_e32 v8, v4, v6
        v_fmac_f32_e32 v9, v4, v7
        v_mul_f32_e32 v10, v4, v6
        v_add_f32_e32 v11, v8, v9
        v_fma_f32 v12, v10, v11, v12
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
];

/// Integers: what hashing and sorting do.
const INTEGERS: &str = "
    loop:
        v_xor_b32_e32 v4, v1, v2
        v_lshlrev_b32_e32 v5, 5, v4
        v_mul_lo_u32 v6, v5, v1
        v_alignbit_b32 v1, v6, v6, 13
        v_bfe_u32 v7, v6, 3, 9
        v_cmp_lt_u32_e32 vcc, v7, v4
        v_cndmask_b32_e32 v2, v2, v7, vcc
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm";

/// Half of the lanes at work, with addresses that lie anywhere: what sparse matrices and graphs do.
const SCATTERED: [&str; 2] = [
    "
    loop:
        v_mul_lo_u32 v1, v1, v2
        v_and_b32_e32 v3, 0x55, v1
        v_cmp_lt_u32_e32 vcc, 0x20, v3
        s_and_saveexec_b32 s5, vcc
        v_and_b32_e32 v4, 0xfffc, v1
        global_load_b32 v5, v4, s[2:3]
        s_waitcnt vmcnt(0)
        v_add_nc_u32_e32 v6, v5, v6
        s_mov_b32 exec_lo, s5
        v_or_b32_e32 v1, 1, v1
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
    "
    loop:
        v_mul_lo_u32 v1, v1, v2
        v_and_b32_e32 v3, 0x55, v1
        v_cmp_lt_u32_e32 vcc, 0x20, v3
        s_and_saveexec_b64 s[6:7], vcc
        v_and_b32_e32 v4, 0xfffc, v1
        global_load_dword v5, v4, s[2:3]
        s_waitcnt vmcnt(0)
        v_add_u32_e32 v6, v5, v6
        s_mov_b64 exec, s[6:7]
        v_or_b32_e32 v1, 1, v1
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
];

/// Values of 64 bits: what forces and prices of options take.
const DOUBLES: &str = "
    v_mov_b32_e32 v3, 0x3fe80000
    v_mov_b32_e32 v5, 0x3ff00000
    v_mov_b32_e32 v9, 0x3ff00000
    v_mov_b32_e32 v11, 0x3ff00000
    loop:
        v_fma_f64 v[4:5], v[2:3], v[2:3], v[4:5]
        v_mul_f64 v[6:7], v[4:5], v[2:3]
        v_add_f64 v[8:9], v[6:7], v[8:9]
        v_fma_f64 v[10:11], v[8:9], v[2:3], v[10:11]
        v_cndmask_b32_e32 v12, v4, v6, vcc
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm";

/// Variables on the stack: what code without room in registers does.
const STACK: [&str; 2] = [
    "
    loop:
        scratch_load_b32 v4, off, off
        scratch_load_b64 v[6:7], off, off offset:8
        s_waitcnt vmcnt(0)
        v_add_nc_u32_e32 v4, v4, v1
        v_xor_b32_e32 v6, v4, v7
        scratch_store_b32 off, v4, off
        scratch_store_b64 off, v[6:7], off offset:8
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
    "
    loop:
        scratch_load_dword v4, off, off
        scratch_load_dwordx2 v[6:7], off, off offset:8
        s_waitcnt vmcnt(0)
        v_add_u32_e32 v4, v4, v1
        v_xor_b32_e32 v6, v4, v7
        scratch_store_dword off, v4, off
        scratch_store_dwordx2 off, v[6:7], off offset:8
        s_waitcnt vmcnt(0)
        s_add_i32 s4, s4, -1
        s_cmp_lg_u32 s4, 0
        s_cbranch_scc1 loop
        s_endpgm",
];

fn measure(isa: Isa, name: &str, text: &str) {
    let text = if isa == Isa::Gfx1100 {
        text.replace("vcc", "vcc_lo")
    } else {
        text.to_owned()
    };
    let code = Code::decode(
        isa,
        isa.wave(),
        &assembler::assemble(isa.name(), &text),
        0x1000,
    )
    .expect("LLVM decodes what it has assembled");
    let base = memory()
        .allocate(1 << 20, Purpose::Pool(0), 1)
        .expect("there is a mebibyte")
        .as_ptr() as u64;
    let mut wave = Wave::new(isa.wave() / LANES, 64, 64, 0);
    wave.set_mask(EXEC, u64::MAX);
    wave.set_scalar(2, base as u32);
    wave.set_scalar(3, (base >> 32) as u32);
    wave.set_scalar(4, 1_000_000);
    wave.set_mask(VCC, 0x5555_5555_5555_5555);
    for word in (0..wave.scratch.len()).step_by(4) {
        wave.scratch.write(word, 4, 0, true);
    }
    for register in 0..32 {
        for half in 0..wave.halves {
            let place = half * wave.registers + register;
            for lane in 0..LANES {
                wave.vectors[place].0[lane] = 4 * (half * LANES + lane) as u32;
            }
            wave.defined[place] = u32::MAX;
        }
    }
    let mut view = View::new(1);
    let mut local = Bytes::new(4096);
    for at in 0..1024 {
        local.write(4 * at, 4, at as u64, true);
    }
    let mut reach = Reach {
        memory: &mut view,
        local: &mut local,
        counts_stores: isa.counts_stores(),
        unfenced: &Unfenced::default(),
        wave: 0,
        buffer_scale: 64,
    };
    let halves = Halves {
        keep: isa.keeps_halves(),
    };
    let start = Instant::now();
    match run(&mut wave, &code, &mut reach, halves, u64::MAX / 2) {
        Ok(Stop::End) => {}
        other => panic!("{other:?}"),
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} {name}: {:.1} million instructions a second",
        isa.name(),
        wave.executed as f64 / seconds / 1e6
    );
}

fn main() {
    for (at, isa) in [Isa::Gfx1100, Isa::Gfx942].into_iter().enumerate() {
        measure(isa, "product of matrices", PRODUCT[at]);
        measure(isa, "integers", INTEGERS);
        measure(isa, "scattered loads", SCATTERED[at]);
        measure(isa, "doubles", DOUBLES);
        measure(isa, "stack", STACK[at]);
    }
}
