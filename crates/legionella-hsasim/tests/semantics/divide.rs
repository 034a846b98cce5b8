//! The steps of division and the sequences that compiled code makes of them, which are exact.

use legionella_hsasim::isa::Isa;

use crate::machine::Machine;

/// LLVM's sequence for `v0 = v1 / v2`, of `f32`.
const SINGLE: &str = "
    v_div_scale_f32 v3, MASK, v2, v2, v1
    v_div_scale_f32 v4, vcc, v1, v2, v1
    v_rcp_f32 v5, v3
    v_fma_f32 v6, -v3, v5, 1.0
    v_fma_f32 v5, v6, v5, v5
    v_mul_f32 v6, v4, v5
    v_fma_f32 v7, -v3, v6, v4
    v_fma_f32 v6, v7, v5, v6
    v_fma_f32 v3, -v3, v6, v4
    v_div_fmas_f32 v3, v3, v5, v6
    v_div_fixup_f32 v0, v3, v2, v1";

/// As `SINGLE`, of `f64`: `v[0:1] = v[2:3] / v[4:5]`.
const DOUBLE: &str = "
    v_div_scale_f64 v[6:7], MASK, v[4:5], v[4:5], v[2:3]
    v_rcp_f64 v[8:9], v[6:7]
    v_fma_f64 v[10:11], -v[6:7], v[8:9], 1.0
    v_fma_f64 v[8:9], v[8:9], v[10:11], v[8:9]
    v_fma_f64 v[10:11], -v[6:7], v[8:9], 1.0
    v_fma_f64 v[8:9], v[8:9], v[10:11], v[8:9]
    v_div_scale_f64 v[10:11], vcc, v[2:3], v[4:5], v[2:3]
    v_mul_f64 v[12:13], v[10:11], v[8:9]
    v_fma_f64 v[6:7], -v[6:7], v[12:13], v[10:11]
    v_div_fmas_f64 v[6:7], v[6:7], v[8:9], v[12:13]
    v_div_fixup_f64 v[0:1], v[6:7], v[4:5], v[2:3]";

fn text(isa: Isa, text: &str) -> String {
    match isa {
        Isa::Gfx1100 => text.replace("MASK", "null").replace("vcc", "vcc_lo"),
        _ => text.replace("MASK", "s[4:5]"),
    }
}

/// Numbers without pattern (SplitMix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn same32(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn same64(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Values at the ends of every range.
const CORNERS: [f32; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN_POSITIVE,
    1.0e-45,
    1.1e-38,
    1.0e-40,
    8.5e37,
    1.8e38,
    2.9e-39,
    0.333_333_34,
    16_777_217.0,
];

#[test]
fn quotients_of_f32_are_rounded_correctly() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let text = text(isa, SINGLE);
        let mut state = 1;
        for round in 0..400 {
            let corner = |lane: usize| CORNERS[(round + lane * 7) % CORNERS.len()];
            let values: Vec<(f32, f32)> = (0..64)
                .map(|lane| {
                    let any = |state: &mut u64| f32::from_bits(random(state) as u32);
                    match lane % 4 {
                        0 => (corner(lane), corner(round)),
                        1 => (any(&mut state), corner(lane)),
                        // Quotients of any size, the smallest too.
                        _ => (any(&mut state), any(&mut state)),
                    }
                })
                .collect();
            let machine = Machine::new(isa)
                .with(1, |lane| values[lane].0.to_bits())
                .with(2, |lane| values[lane].1.to_bits())
                .run(&text);
            for (lane, &(a, b)) in values.iter().enumerate().take(isa.wave()) {
                let quotient = f32::from_bits(machine.lane(0, lane));
                assert!(
                    same32(quotient, a / b),
                    "{a:e} / {b:e} = {:e}, not {quotient:e}",
                    a / b
                );
            }
        }
    }
}

#[test]
fn quotients_of_f64_are_rounded_correctly() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let text = text(isa, DOUBLE);
        let mut state = 2;
        let corners = [
            0.0,
            -0.0,
            1.0,
            -3.0,
            f64::INFINITY,
            f64::NAN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e-310,
            1e308,
            2.3e-308,
            1.0 / 3.0,
            4.5e307,
        ];
        for round in 0..400 {
            let corner = |lane: usize| corners[(round + lane * 5) % corners.len()];
            let values: Vec<(f64, f64)> = (0..64)
                .map(|lane| {
                    let any = |state: &mut u64| f64::from_bits(random(state));
                    match lane % 4 {
                        0 => (corner(lane), corner(round)),
                        1 => (any(&mut state), corner(lane)),
                        _ => (any(&mut state), any(&mut state)),
                    }
                })
                .collect();
            let word =
                |value: f64, upper: bool| (value.to_bits() >> if upper { 32 } else { 0 }) as u32;
            let machine = Machine::new(isa)
                .with(2, |lane| word(values[lane].0, false))
                .with(3, |lane| word(values[lane].0, true))
                .with(4, |lane| word(values[lane].1, false))
                .with(5, |lane| word(values[lane].1, true))
                .run(&text);
            for (lane, &(a, b)) in values.iter().enumerate().take(isa.wave()) {
                let bits =
                    u64::from(machine.lane(0, lane)) | (u64::from(machine.lane(1, lane)) << 32);
                let quotient = f64::from_bits(bits);
                assert!(
                    same64(quotient, a / b),
                    "{a:e} / {b:e} = {:e}, not {quotient:e}",
                    a / b
                );
            }
        }
    }
}
