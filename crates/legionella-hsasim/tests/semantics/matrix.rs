//! Products of matrices: which lane holds what, and arithmetic at its corners.

use half::{bf16, f16};
use legionella_hsasim::decode::Register;
use legionella_hsasim::error::Fault;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::isa::Isa::{Gfx90a, Gfx942, Gfx1100};

use crate::machine::Machine;

/// Small numbers, another at each place.
fn left(row: usize, k: usize) -> i32 {
    (row * 7 + k * 3) as i32 % 11 - 5
}

fn right(k: usize, column: usize) -> i32 {
    (k * 5 + column * 9) as i32 % 13 - 6
}

fn first(row: usize, column: usize) -> i32 {
    (row * 16 + column) as i32
}

/// An instruction, with factors in registers from 0 and 16 on, and the sum in those from 32 on.
struct Form<'a> {
    isa: Isa,
    text: &'a str,
    size: usize,
    /// Bits of a factor, of the depth that a lane has, and how deep all is.
    bits: usize,
    each: usize,
    depth: usize,
    number: fn(i32) -> u64,
    /// Registers of a value of the sum.
    wide: bool,
    total: fn(i32) -> u64,
    /// The row of a lane's value, by group of lanes and number.
    row: fn(usize, usize) -> usize,
}

fn packed(form: &Form<'_>, word: usize, value: impl Fn(usize) -> i32) -> u32 {
    let element = |index: usize| (form.number)(value(index)) & (u64::MAX >> (64 - form.bits));
    if form.bits == 64 {
        return (element(word / 2) >> (32 * (word % 2))) as u32;
    }
    let each = 32 / form.bits;
    (0..each).fold(0, |all, part| {
        all | (element(word * each + part) as u32) << (form.bits * part)
    })
}

#[track_caller]
fn holds(form: &Form<'_>) {
    let lanes = form.isa.wave();
    let depth_of = |lane: usize, index: usize| {
        if form.each == form.depth {
            index
        } else {
            lane / form.size * form.each + index
        }
    };
    let mut machine = Machine::new(form.isa);
    for word in 0..form.each * form.bits / 32 {
        machine.set(word as u16, |lane| {
            packed(form, word, |i| left(lane % form.size, depth_of(lane, i)))
        });
        machine.set(16 + word as u16, |lane| {
            packed(form, word, |i| right(depth_of(lane, i), lane % form.size))
        });
    }
    let values = form.size * form.size / lanes;
    let parts = if form.wide { 2 } else { 1 };
    for value in 0..values {
        for part in 0..parts {
            machine.set((32 + value * parts + part) as u16, |lane| {
                let row = (form.row)(lane / form.size, value);
                ((form.total)(first(row, lane % form.size)) >> (32 * part)) as u32
            });
        }
    }
    let machine = machine.run(form.text);
    for lane in 0..lanes {
        for value in 0..values {
            let (row, column) = ((form.row)(lane / form.size, value), lane % form.size);
            let products = (0..form.depth).map(|k| left(row, k) * right(k, column));
            let expected = (form.total)(first(row, column) + products.sum::<i32>());
            let word = |part| u64::from(machine.lane((32 + value * parts + part) as u16, lane));
            let found = word(0) | if form.wide { word(1) << 32 } else { 0 };
            assert_eq!(found, expected, "{}: {row}, {column}", form.text);
        }
    }
}

fn of_f16(value: i32) -> u64 {
    f16::from_f32(value as f32).to_bits().into()
}

fn of_bf16(value: i32) -> u64 {
    bf16::from_f32(value as f32).to_bits().into()
}

fn of_f32(value: i32) -> u64 {
    (value as f32).to_bits().into()
}

fn of_i32(value: i32) -> u64 {
    u64::from(value as u32)
}

/// In waves of 64, four neighbouring rows are in one lane.
fn four(group: usize, value: usize) -> usize {
    4 * group + value
}

#[test]
fn mfma_has_rows_by_lane() {
    let of = |isa, text: &str, bits, each, depth, number, total: fn(i32) -> u64| {
        holds(&Form {
            isa,
            text,
            size: 16,
            bits,
            each,
            depth,
            number,
            wide: false,
            total,
            row: four,
        });
    };
    let registers = "v[32:35], v[0:1], v[16:17], v[32:35]";
    let short = "v[32:35], v0, v16, v[32:35]";
    let text = |name: &str, registers: &str| format!("v_mfma_{name} {registers}");
    for (isa, f16, bf16, f32) in [
        (
            Gfx90a,
            "f32_16x16x16f16",
            "f32_16x16x16bf16_1k",
            "f32_16x16x4f32",
        ),
        (
            Gfx942,
            "f32_16x16x16_f16",
            "f32_16x16x16_bf16",
            "f32_16x16x4_f32",
        ),
    ] {
        of(isa, &text(f16, registers), 16, 4, 16, of_f16, of_f32);
        of(isa, &text(bf16, registers), 16, 4, 16, of_bf16, of_f32);
        of(isa, &text(f32, short), 32, 1, 4, of_f32, of_f32);
    }
    let signed = |value: i32| u64::from(value as u8);
    let name = text("i32_16x16x16i8", short);
    of(Gfx90a, &name, 8, 4, 16, signed, of_i32);
    let name = text("i32_16x16x32_i8", registers);
    of(Gfx942, &name, 8, 8, 32, signed, of_i32);
    let name = text("f32_16x16x8_xf32", registers);
    of(Gfx942, &name, 32, 2, 8, of_f32, of_f32);
}

#[test]
fn mfma_of_doubles_deals_rows_out() {
    for (isa, name) in [(Gfx90a, "f64_16x16x4f64"), (Gfx942, "f64_16x16x4_f64")] {
        holds(&Form {
            isa,
            text: &format!("v_mfma_{name} v[32:39], v[0:1], v[16:17], v[32:39]"),
            size: 16,
            bits: 64,
            each: 1,
            depth: 4,
            number: |value| f64::from(value).to_bits(),
            wide: true,
            total: |value| f64::from(value).to_bits(),
            row: |group, value| 4 * value + group,
        });
    }
}

#[test]
fn mfma_of_32_rows_has_two_groups() {
    holds(&Form {
        isa: Gfx942,
        text: "v_mfma_f32_32x32x8_f16 v[32:47], v[0:1], v[16:17], v[32:47]",
        size: 32,
        bits: 16,
        each: 4,
        depth: 8,
        number: of_f16,
        wide: false,
        total: of_f32,
        row: |group, value| value / 4 * 8 + 4 * group + value % 4,
    });
}

#[test]
fn wmma_has_whole_rows_and_every_other_one() {
    let of = |text: &str, bits, number, total: fn(i32) -> u64| {
        holds(&Form {
            isa: Gfx1100,
            text,
            size: 16,
            bits,
            each: 16,
            depth: 16,
            number,
            wide: false,
            total,
            row: |group, value| 2 * value + group,
        });
    };
    let registers = "v[32:39], v[0:7], v[16:23], v[32:39]";
    of(
        &format!("v_wmma_f32_16x16x16_f16 {registers}"),
        16,
        of_f16,
        of_f32,
    );
    of(
        &format!("v_wmma_f32_16x16x16_bf16 {registers}"),
        16,
        of_bf16,
        of_f32,
    );
    of(
        "v_wmma_i32_16x16x16_iu8 v[32:39], v[0:3], v[16:19], v[32:39] neg_lo:[1,1,0]",
        8,
        |value| u64::from(value as u8),
        of_i32,
    );
}

#[test]
fn bytes_have_signs_as_asked_and_sums_wrap() {
    let of = |modifiers: &str, sum: u32| {
        let mut machine = Machine::rdna();
        for register in 0..4 {
            machine = machine
                .v(register, 0xffff_ffff)
                .v(16 + register, 0x8080_8080);
        }
        for register in 32..40 {
            machine = machine.v(register, sum);
        }
        let text =
            format!("v_wmma_i32_16x16x16_iu8 v[32:39], v[0:3], v[16:19], v[32:39] {modifiers}");
        machine.run(&text).get(32)
    };
    assert_eq!(of("neg_lo:[1,1,0]", 0), 16 * 128);
    assert_eq!(of("", 0), 16 * 255 * 128);
    assert_eq!(of("neg_lo:[1,0,0]", 0) as i32, -16 * 128);
    assert_eq!(of("neg_lo:[0,1,0]", 0) as i32, -16 * 255 * 128);
    assert_eq!(
        of("neg_lo:[1,1,0]", 0x7fff_ffff),
        0x8000_0000 + 16 * 128 - 1
    );
}

#[test]
fn numbers_at_their_corners() {
    let of = |isa, text: &str, left: u32, right: u32, sum: u32| {
        let mut machine = Machine::new(isa).v64(0, 0).v64(16, 0);
        machine.set(0, |lane| if lane < 16 { left } else { 0 });
        machine.set(16, |lane| if lane < 16 { right } else { 0 });
        for register in 32..36 {
            machine = machine.v(register, sum);
        }
        machine.run(text).get(32)
    };
    let half = "v_mfma_f32_16x16x16_f16 v[32:35], v[0:1], v[16:17], v[32:35]";
    let old = "v_mfma_f32_16x16x16f16 v[32:35], v[0:1], v[16:17], v[32:35]";
    let one = 0x3c00;
    // The least number of f16, which the older machine takes for zero.
    assert_eq!(of(Gfx942, half, 1, one, 0), 2f32.powi(-24).to_bits());
    assert_eq!(of(Gfx90a, old, 1, one, 0), 0);
    // What f16 has no room for, f32 has.
    assert_eq!(
        of(Gfx942, half, 0x7bff, 0x7bff, 0),
        (65504f32 * 65504.0).to_bits()
    );
    // An infinity times zero.
    assert!(f32::from_bits(of(Gfx942, half, 0x7c00, 0, 0)).is_nan());
    assert_eq!(of(Gfx942, half, 0x7c00, one, 0), f32::INFINITY.to_bits());
    // Rounded to nearest once: 1 + 2^-24 is a tie.
    let tie = of(Gfx942, half, 1, one, 1f32.to_bits());
    assert_eq!(tie, 1f32.to_bits());
    // Of the fraction of xf32 ten bits count.
    let xf32 = "v_mfma_f32_16x16x8_xf32 v[32:35], v[0:1], v[16:17], v[32:35]";
    assert_eq!(of(Gfx942, xf32, 0x3f80_3fff, 0x3f80_0000, 0), 0x3f80_2000);
    let whole = "v_mfma_f32_16x16x4_f32 v[32:35], v0, v16, v[32:35]";
    assert_eq!(of(Gfx942, whole, 0x3f80_3fff, 0x3f80_0000, 0), 0x3f80_3fff);
}

#[test]
fn a_sum_may_begin_with_a_constant() {
    let machine = Machine::cdna().v64(0, 0x3c00).v64(16, 0x3c00).run(
        "v_mfma_f32_16x16x16_f16 a[0:3], v[0:1], v[16:17], 1.0
        v_accvgpr_read_b32 v40, a3",
    );
    // Four products of one, and one.
    assert_eq!(machine.get(40), 5f32.to_bits());
}

#[test]
fn undefined_factors_make_undefined_sums() {
    let run = |text: &str| {
        let mut machine = Machine::cdna().v64(0, 0).v64(16, 0);
        // Row 3 of the left matrix.
        let place = machine.wave.place(0, 0, 1).unwrap();
        machine.wave.defined[place] &= !(1 << 3);
        machine.try_run(&format!(
            "v_mfma_f32_16x16x16_f16 v[32:35], v[0:1], v[16:17], 0\n{text}"
        ))
    };
    assert!(run("v_readfirstlane_b32 s0, v32\ns_and_saveexec_b64 s[2:3], s[0:1]").is_err());
    let fault = run("v_cmpx_eq_u32 0, v35").err();
    assert_eq!(
        fault,
        Some(Fault::Undefined(
            Register::Vector(35),
            "a condition of v_cmpx"
        ))
    );
    assert!(run("v_cmpx_eq_u32 0, v34").is_ok());
}

#[test]
fn wmma_needs_all_lanes_and_equal_halves() {
    let text = "v_wmma_f32_16x16x16_f16 v[32:39], v[0:7], v[16:23], 0";
    let machine = |exec| {
        let mut machine = Machine::rdna().exec(exec);
        for register in 0..8 {
            machine = machine.v(register, 0).v(16 + register, 0);
        }
        machine
    };
    assert!(machine(u64::MAX).try_run(text).is_ok());
    assert_eq!(machine(0xffff).try_run(text).err(), Some(Fault::LanesOff));
    let apart = machine(u64::MAX).with(2, |lane| u32::from(lane == 20));
    assert_eq!(apart.try_run(text).err(), Some(Fault::Halves(20)));
    // MFMA takes no notice of the mask.
    let machine = Machine::cdna().v64(0, 0x3c00).v64(16, 0x3c00).exec(1);
    let machine = machine.run("v_mfma_f32_16x16x16_f16 v[32:35], v[0:1], v[16:17], 0");
    assert_eq!(machine.lane(32, 40), 4f32.to_bits());
}
