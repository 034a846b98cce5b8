//! `f32` and `f64`.

use legionella_hsasim::isa::Isa::{Gfx942, Gfx1100};

use crate::machine::{Machine, of, of64};

const QUIET: u32 = 0x7fc0_0001;
const SIGNALLING: u32 = 0x7f80_0001;
const TINY: u32 = 1;

fn f(value: f32) -> u32 {
    value.to_bits()
}

fn d(value: f64) -> u64 {
    value.to_bits()
}

#[test]
fn sums_and_products() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(of(isa, "v_add_f32 v0, v1, v2", &[f(1.5), f(2.25)]), f(3.75));
        assert_eq!(of(isa, "v_sub_f32 v0, v1, v2", &[f(1.0), f(3.0)]), f(-2.0));
        assert_eq!(
            of(isa, "v_subrev_f32 v0, v1, v2", &[f(1.0), f(3.0)]),
            f(2.0)
        );
        // To nearest, ties to even: 2^24 + 1.
        assert_eq!(
            of(isa, "v_add_f32 v0, v1, v2", &[f(16_777_216.0), f(1.0)]),
            f(16_777_216.0)
        );
        // Subnormal numbers stay.
        assert_eq!(of(isa, "v_add_f32 v0, v1, v2", &[TINY, TINY]), 2);
        assert_eq!(
            of(isa, "v_mul_f32 v0, v1, v2", &[0x0080_0000, f(0.5)]),
            0x0040_0000
        );
        assert_eq!(of(isa, "v_add_f32 v0, v1, v2", &[QUIET, f(1.0)]), QUIET);
        // Constants and modifiers.
        assert_eq!(
            of(isa, "v_add_f32 v0, -v1, |v2|", &[f(1.0), f(-3.0)]),
            f(2.0)
        );
        assert_eq!(of(isa, "v_mul_f32 v0, 0.5, v1", &[f(3.0)]), f(1.5));
        assert_eq!(
            of(isa, "v_mul_f32 v0, 0x40490fdb, v1", &[f(1.0)]),
            0x4049_0fdb
        );
        assert_eq!(
            of(isa, "v_add_f32 v0, v1, v2 mul:4", &[f(1.0), f(2.0)]),
            f(12.0)
        );
        assert_eq!(
            of(isa, "v_add_f32 v0, v1, v2 div:2", &[f(1.0), f(2.0)]),
            f(1.5)
        );
        assert_eq!(
            of(isa, "v_add_f32 v0, v1, v2 clamp", &[f(1.0), f(2.0)]),
            f(1.0)
        );
        assert_eq!(
            of(isa, "v_add_f32 v0, v1, v2 clamp", &[f(-1.0), f(-2.0)]),
            0
        );
        assert_eq!(of(isa, "v_add_f32 v0, v1, v2 clamp", &[QUIET, f(2.0)]), 0);
    }
}

#[test]
fn fused_sums_round_once() {
    let value = 1.0 + 3.0 * f32::EPSILON;
    let a = f(value);
    for isa in [Gfx1100, Gfx942] {
        let fused = of(isa, "v_fma_f32 v0, v1, v2, v3", &[a, a, f(-1.0)]);
        assert_eq!(fused, f(value.mul_add(value, -1.0)));
        assert_ne!(fused, f(value * value - 1.0));
        // The destination is the addend.
        let machine = Machine::new(isa).v(0, f(10.0)).v(1, f(2.0)).v(2, f(3.0));
        assert_eq!(machine.run("v_fmac_f32 v0, v1, v2").get(0), f(16.0));
    }
    assert_eq!(
        of(
            Gfx1100,
            "v_fmaak_f32 v0, v1, v2, 0x40000000",
            &[f(3.0), f(5.0)]
        ),
        f(17.0)
    );
    assert_eq!(
        of(
            Gfx1100,
            "v_fmamk_f32 v0, v1, 0x40000000, v2",
            &[f(3.0), f(5.0)]
        ),
        f(11.0)
    );
}

#[test]
fn smaller_and_larger() {
    for isa in [Gfx1100, Gfx942] {
        let min = |a, b| of(isa, "v_min_f32 v0, v1, v2", &[a, b]);
        let max = |a, b| of(isa, "v_max_f32 v0, v1, v2", &[a, b]);
        assert_eq!(min(f(0.0), f(-0.0)), f(-0.0));
        assert_eq!(min(f(-0.0), f(0.0)), f(-0.0));
        assert_eq!(max(f(0.0), f(-0.0)), f(0.0));
        assert_eq!(max(f(-0.0), f(0.0)), f(0.0));
        assert_eq!(min(QUIET, f(2.0)), f(2.0));
        assert_eq!(max(f(2.0), QUIET), f(2.0));
        assert_eq!(min(SIGNALLING, f(2.0)), SIGNALLING | 0x40_0000);
        assert_eq!(
            of(isa, "v_med3_f32 v0, v1, v2, v3", &[f(3.0), f(1.0), f(2.0)]),
            f(2.0)
        );
        assert_eq!(
            of(isa, "v_max3_f32 v0, v1, v2, v3", &[f(3.0), f(1.0), f(2.0)]),
            f(3.0)
        );
        assert_eq!(
            of64(isa, "v_min_f64 v[0:1], v[2:3], v[4:5]", &[d(-0.0), d(0.0)]),
            d(-0.0)
        );
    }
}

#[test]
fn approximations_take_no_subnormal_numbers() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(of(isa, "v_rcp_f32 v0, v1", &[f(4.0)]), f(0.25));
        assert_eq!(of(isa, "v_rcp_f32 v0, v1", &[TINY]), f(f32::INFINITY));
        assert_eq!(of(isa, "v_rcp_f32 v0, v1", &[f(f32::MAX)]), 0);
        assert_eq!(of(isa, "v_rsq_f32 v0, v1", &[f(4.0)]), f(0.5));
        assert_eq!(of(isa, "v_sqrt_f32 v0, v1", &[f(2.0)]), f(2f32.sqrt()));
        assert_eq!(of(isa, "v_exp_f32 v0, v1", &[f(3.0)]), f(8.0));
        assert_eq!(of(isa, "v_exp_f32 v0, v1", &[f(-140.0)]), 0);
        assert_eq!(of(isa, "v_log_f32 v0, v1", &[f(8.0)]), f(3.0));
        assert_eq!(of(isa, "v_log_f32 v0, v1", &[TINY]), f(f32::NEG_INFINITY));
    }
}

#[test]
fn roundings() {
    for isa in [Gfx1100, Gfx942] {
        for (name, value, result) in [
            ("v_rndne_f32", 2.5, 2.0),
            ("v_rndne_f32", 3.5, 4.0),
            ("v_rndne_f32", -0.5, -0.0),
            ("v_trunc_f32", -1.5, -1.0),
            ("v_floor_f32", -1.5, -2.0),
            ("v_ceil_f32", -1.5, -1.0),
            ("v_fract_f32", -0.25, 0.75),
            // Just below an integer there is no room for the fraction: less than one all the same.
            ("v_fract_f32", -1e-20, 0.999_999_94),
            ("v_frexp_mant_f32", -6.0, -0.75),
            ("v_frexp_mant_f32", f32::from_bits(1), 0.5),
            ("v_frexp_mant_f32", f32::INFINITY, f32::INFINITY),
        ] {
            assert_eq!(
                of(isa, &format!("{name} v0, v1"), &[f(value)]),
                f(result),
                "{name} {value}"
            );
        }
        assert_eq!(of(isa, "v_frexp_exp_i32_f32 v0, v1", &[f(6.0)]), 3);
        assert_eq!(of(isa, "v_frexp_exp_i32_f32 v0, v1", &[TINY]) as i32, -148);
        assert_eq!(
            of(isa, "v_frexp_exp_i32_f32 v0, v1", &[f(f32::INFINITY)]),
            0
        );
        assert_eq!(of(isa, "v_ldexp_f32 v0, v1, v2", &[f(1.5), 3]), f(12.0));
        assert_eq!(
            of(isa, "v_ldexp_f32 v0, v1, v2", &[f(1.5), (-149i32) as u32]),
            2
        );
        assert_eq!(
            of(isa, "v_ldexp_f32 v0, v1, v2", &[f(1.0), 1000]),
            f(f32::INFINITY)
        );
    }
}

#[test]
fn doubles() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(
            of64(isa, "v_add_f64 v[0:1], v[2:3], v[4:5]", &[d(0.1), d(0.2)]),
            d(0.1 + 0.2)
        );
        assert_eq!(
            of64(isa, "v_mul_f64 v[0:1], v[2:3], -v[4:5]", &[d(0.1), d(0.2)]),
            d(-(0.1 * 0.2))
        );
        if isa == Gfx1100 {
            assert_eq!(
                of64(isa, "v_add_f64 v[0:1], v[2:3], 100.0", &[d(1.0)]),
                d(101.0)
            );
        }
        assert_eq!(
            of64(isa, "v_add_f64 v[0:1], v[2:3], 0.5", &[d(1.0)]),
            d(1.5)
        );
        assert_eq!(
            of64(
                isa,
                "v_fma_f64 v[0:1], v[2:3], v[4:5], v[6:7]",
                &[d(0.1), d(10.0), d(-1.0)]
            ),
            d(0.1f64.mul_add(10.0, -1.0))
        );
        let ldexp = |value, power: i32| {
            let machine = Machine::new(isa).v64(2, d(value)).v(4, power as u32);
            f64::from_bits(machine.run("v_ldexp_f64 v[0:1], v[2:3], v4").get64(0))
        };
        assert_eq!(ldexp(1.0, -1074), f64::from_bits(1));
        assert_eq!(ldexp(f64::from_bits(1), 1074), 1.0);
        assert_eq!(ldexp(f64::from_bits(1), 2097), 2f64.powi(1023));
        // A tie, and just above it: rounded once.
        assert_eq!(ldexp(1.5, -1075), f64::from_bits(1));
        assert_eq!(ldexp(1.0, -1075), 0.0);
        assert_eq!(ldexp(1.0 + f64::EPSILON, -1075), f64::from_bits(1));
        assert_eq!(of64(isa, "v_rndne_f64 v[0:1], v[2:3]", &[d(2.5)]), d(2.0));
        assert_eq!(of64(isa, "v_frexp_mant_f64 v[0:1], v[2:3]", &[1]), d(0.5));
    }
}

#[test]
fn comparisons() {
    let mask = |text: &str, a, b| {
        Machine::rdna()
            .v(1, a)
            .v(2, b)
            .exec(0xf0)
            .run(text)
            .scalar(4)
    };
    assert_eq!(mask("v_cmp_lt_f32 s4, v1, v2", f(1.0), f(2.0)), 0xf0);
    assert_eq!(mask("v_cmp_lt_f32 s4, v1, v2", QUIET, f(2.0)), 0);
    assert_eq!(mask("v_cmp_nge_f32 s4, v1, v2", QUIET, f(2.0)), 0xf0);
    assert_eq!(mask("v_cmp_u_f32 s4, v1, v2", QUIET, f(2.0)), 0xf0);
    assert_eq!(mask("v_cmp_o_f32 s4, v1, v2", QUIET, f(2.0)), 0);
    assert_eq!(mask("v_cmp_lg_f32 s4, v1, v2", QUIET, f(2.0)), 0);
    assert_eq!(mask("v_cmp_neq_f32 s4, v1, v2", QUIET, f(2.0)), 0xf0);
    assert_eq!(mask("v_cmp_eq_f32 s4, v1, v2", f(0.0), f(-0.0)), 0xf0);
    assert_eq!(mask("v_cmp_lt_i32 s4, v1, v2", u32::MAX, 0), 0xf0);
    assert_eq!(mask("v_cmp_lt_u32 s4, v1, v2", u32::MAX, 0), 0);
    assert_eq!(mask("v_cmp_eq_u16 s4, v1, v2", 0x1_0007, 0x2_0007), 0xf0);
    for (value, bit) in [
        (SIGNALLING, 0),
        (QUIET, 1),
        (f(f32::NEG_INFINITY), 2),
        (f(-1.0), 3),
        (0x8000_0001, 4),
        (f(-0.0), 5),
        (f(0.0), 6),
        (TINY, 7),
        (f(1.0), 8),
        (f(f32::INFINITY), 9),
    ] {
        assert_eq!(
            mask("v_cmp_class_f32 s4, v1, v2", value, 1 << bit),
            0xf0,
            "{bit}"
        );
        assert_eq!(
            mask("v_cmp_class_f32 s4, v1, v2", value, 0x3ff & !(1 << bit)),
            0,
            "{bit}"
        );
    }
    // Waves of 64 have masks of 64 bits; `v_cmpx` writes the execution mask too.
    let machine = Machine::cdna()
        .with(1, |lane| lane as u32)
        .run("v_cmp_gt_u32 s[4:5], 40, v1");
    assert_eq!(machine.scalar64(4), (1 << 40) - 1);
    let machine = Machine::cdna()
        .with(1, |lane| lane as u32)
        .run("v_cmpx_gt_u32 s[4:5], 40, v1");
    assert_eq!(
        (machine.scalar64(4), machine.scalar64(126)),
        ((1 << 40) - 1, (1 << 40) - 1)
    );
    let machine = Machine::rdna()
        .with(1, |lane| lane as u32)
        .exec(0xff)
        .run("v_cmpx_gt_u32 4, v1");
    assert_eq!(machine.scalar(126), 15);
    // The source may be the destination, of both halves.
    let machine = Machine::cdna()
        .s64(4, 40)
        .with(1, |lane| lane as u32)
        .run("v_cmp_gt_u32 s[4:5], s4, v1");
    assert_eq!(machine.scalar64(4), (1 << 40) - 1);
}
