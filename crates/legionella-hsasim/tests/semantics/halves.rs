//! `f16`.

use half::f16;
use legionella_hsasim::isa::Isa::{Gfx942, Gfx1100};

use crate::machine::of;

fn h(value: f32) -> u32 {
    u32::from(f16::from_f32(value).to_bits())
}

#[test]
fn sums_and_products() {
    assert_eq!(
        of(Gfx942, "v_add_f16 v0, v1, v2", &[h(1.5), h(2.0)]),
        h(3.5)
    );
    assert_eq!(
        of(Gfx942, "v_mul_f16 v0, v1, v2", &[h(256.0), h(256.0)]),
        0x7c00
    );
    assert_eq!(of(Gfx942, "v_add_f16 v0, 1.0, v1", &[h(2.0)]), h(3.0));
    assert_eq!(
        of(
            Gfx1100,
            "v_add_f16 v0.h, v1.h, v2.l",
            &[h(1.5) << 16, h(2.0)]
        ),
        (h(3.5) << 16) | 0x5555
    );
    // 2049 lies between two numbers; what is added decides, if it is rounded once.
    let fma = |c: f32| {
        of(
            Gfx942,
            "v_fma_f16 v0, v1, v2, v3",
            &[h(2048.0), h(1.0), h(c)],
        ) & 0xffff
    };
    assert_eq!((fma(1.0), fma(1.001)), (h(2048.0), h(2050.0)));
    let tiny = of(
        Gfx942,
        "v_fma_f16 v0, v1, v2, v3",
        &[h(2049.0), 1, h(2048.0)],
    ) & 0xffff;
    assert_eq!(tiny, h(2048.0));
}

#[test]
fn packed_and_mixed() {
    for isa in [Gfx1100, Gfx942] {
        let pair = |low, high| h(low) | (h(high) << 16);
        assert_eq!(
            of(
                isa,
                "v_pk_add_f16 v0, v1, v2",
                &[pair(1.0, 2.0), pair(0.5, 4.0)]
            ),
            pair(1.5, 6.0)
        );
        let negated = "v_pk_fma_f16 v0, v1, v2, v3 neg_lo:[0,0,1] neg_hi:[1,0,0]";
        assert_eq!(
            of(
                isa,
                negated,
                &[pair(2.0, 2.0), pair(3.0, 3.0), pair(1.0, 1.0)]
            ),
            pair(5.0, -5.0)
        );
        let clamped = "v_pk_mul_f16 v0, v1, v2 clamp";
        assert_eq!(
            of(isa, clamped, &[pair(2.0, -1.0), pair(3.0, 3.0)]),
            pair(1.0, 0.0)
        );
        let mixed = if isa == Gfx1100 {
            "v_fma_mix"
        } else {
            "v_mad_mix"
        };
        if isa == Gfx1100 {
            let text = format!("{mixed}_f32 v0, v1, v2, v3 op_sel:[1,0,0] op_sel_hi:[1,1,0]");
            let sources = [pair(1.0, 2.0), pair(3.0, 5.0), 0.5f32.to_bits()];
            assert_eq!(of(isa, &text, &sources), 6.5f32.to_bits());
            let text = format!("{mixed}hi_f16 v0, v1, v2, -v3 op_sel_hi:[1,1,0]");
            assert_eq!(of(isa, &text, &sources), 0x5555 | (h(2.5) << 16));
        }
    }
}
