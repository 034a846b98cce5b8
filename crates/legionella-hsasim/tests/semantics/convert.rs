//! Conversions.

use legionella_hsasim::isa::Isa::{Gfx942, Gfx1100};

use crate::machine::{Machine, of};

fn f(value: f32) -> u32 {
    value.to_bits()
}

#[test]
fn to_integers_saturates() {
    for isa in [Gfx1100, Gfx942] {
        let one = |name: &str, value| of(isa, &format!("{name} v0, v1"), &[value]);
        assert_eq!(one("v_cvt_i32_f32", f(-1.9)) as i32, -1);
        assert_eq!(one("v_cvt_i32_f32", f(3e9)), 0x7fff_ffff);
        assert_eq!(one("v_cvt_i32_f32", f(f32::NAN)), 0);
        assert_eq!(one("v_cvt_u32_f32", f(-1.0)), 0);
        assert_eq!(one("v_cvt_u32_f32", f(5e9)), u32::MAX);
        assert_eq!(one("v_cvt_f32_u32", u32::MAX), f(4_294_967_296.0));
        assert_eq!(one("v_cvt_f32_i32", u32::MAX), f(-1.0));
        assert_eq!(one("v_cvt_f32_ubyte2", 0x00ab_0000), f(171.0));
        let wide = |text, value: f64| Machine::new(isa).v64(2, value.to_bits()).run(text).get(0);
        assert_eq!(wide("v_cvt_i32_f64 v0, v[2:3]", -2147483649.5), 0x8000_0000);
        assert_eq!(wide("v_cvt_u32_f64 v0, v[2:3]", 4294967295.5), u32::MAX);
        assert_eq!(wide("v_cvt_f32_f64 v0, v[2:3]", 1.0 + f64::EPSILON), f(1.0));
        let machine = Machine::new(isa)
            .v(1, f(0.1))
            .run("v_cvt_f64_f32 v[2:3], v1");
        assert_eq!(machine.get64(2), f64::from(0.1f32).to_bits());
    }
    let floor = |value| of(Gfx942, "v_cvt_flr_i32_f32 v0, v1", &[f(value)]) as i32;
    assert_eq!((floor(-1.5), floor(1.5)), (-2, 1));
}

#[test]
fn halves() {
    assert_eq!(of(Gfx942, "v_cvt_f16_f32 v0, v1", &[f(65504.0)]), 0x7bff);
    assert_eq!(of(Gfx942, "v_cvt_f16_f32 v0, v1", &[f(65520.0)]), 0x7c00);
    assert_eq!(of(Gfx942, "v_cvt_f16_f32 v0, v1", &[f(5.960_464_5e-8)]), 1);
    assert_eq!(of(Gfx942, "v_cvt_f32_f16 v0, v1", &[1]), f(5.960_464_5e-8));
    assert_eq!(
        of(Gfx1100, "v_cvt_f32_f16 v0, v1.h", &[0x3c00_0000]),
        f(1.0)
    );
    assert_eq!(
        of(Gfx1100, "v_cvt_f16_f32 v0.h, v1", &[f(1.0)]),
        0x3c00_5555
    );
    // Towards zero.
    assert_eq!(
        of(
            Gfx942,
            "v_cvt_pkrtz_f16_f32 v0, v1, v2",
            &[f(65535.0), f(-1.0009)]
        ),
        0xbc00_7bff
    );
    assert_eq!(
        of(Gfx942, "v_cvt_pk_u16_u32 v0, v1, v2", &[0x1_0000, 7]),
        0x0007_ffff
    );
    assert_eq!(
        of(
            Gfx942,
            "v_cvt_pk_i16_i32 v0, v1, v2",
            &[0xffff_0000, 0x8000]
        ),
        0x7fff_8000
    );
    assert_eq!(
        of(
            Gfx942,
            "v_cvt_pk_u8_f32 v0, v1, v2, v3",
            &[f(300.0), 1, 0x1111_1111]
        ),
        0x1111_ff11
    );
}
