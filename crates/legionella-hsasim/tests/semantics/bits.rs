//! Bits: fields, shifts, permutations of bytes.

use legionella_hsasim::isa::Isa::{Gfx942, Gfx1100};

use crate::machine::{Machine, of, of64};

#[test]
fn fields() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(
            of(isa, "v_bfe_u32 v0, v1, v2, v3", &[0xabcd_1234, 8, 8]),
            0x12
        );
        assert_eq!(
            of(isa, "v_bfe_u32 v0, v1, v2, v3", &[0xabcd_1234, 8, 32]),
            0
        );
        assert_eq!(
            of(isa, "v_bfe_u32 v0, v1, v2, v3", &[0xabcd_1234, 28, 8]),
            0xa
        );
        assert_eq!(
            of(isa, "v_bfe_i32 v0, v1, v2, v3", &[0xabcd_1234, 16, 8]),
            0xffff_ffcd
        );
        assert_eq!(
            of(isa, "v_bfe_i32 v0, v1, v2, v3", &[0xabcd_1234, 28, 8]),
            0xffff_fffa
        );
        assert_eq!(of(isa, "v_bfe_i32 v0, v1, v2, 0", &[0xabcd_1234, 28]), 0);
        assert_eq!(
            of(isa, "v_bfi_b32 v0, v1, v2, v3", &[0xff, 0x1234, 0x5678]),
            0x5634
        );
        assert_eq!(of(isa, "v_bfm_b32 v0, v1, v2", &[4, 8]), 0xf00);
        assert_eq!(of(isa, "v_and_or_b32 v0, v1, v2, v3", &[6, 3, 8]), 10);
        assert_eq!(of(isa, "v_lshl_or_b32 v0, v1, v2, v3", &[6, 4, 8]), 0x68);
    }
}

#[test]
fn shifts_take_their_amount_modulo() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(of(isa, "v_lshlrev_b32 v0, v1, v2", &[33, 1]), 2);
        assert_eq!(
            of(isa, "v_lshrrev_b32 v0, v1, v2", &[33, 0x8000_0000]),
            0x4000_0000
        );
        assert_eq!(
            of(isa, "v_ashrrev_i32 v0, v1, v2", &[33, 0x8000_0000]),
            0xc000_0000
        );
        assert_eq!(
            of64(isa, "v_ashrrev_i64 v[0:1], 64, v[2:3]", &[1 << 63]),
            1 << 63
        );
        assert_eq!(
            of64(isa, "v_lshrrev_b64 v[0:1], 4, v[2:3]", &[1 << 63]),
            1 << 59
        );
        assert_eq!(
            of(isa, "v_alignbit_b32 v0, v1, v2, v3", &[1, 0x8000_0000, 31]),
            3
        );
        assert_eq!(
            of(
                isa,
                "v_alignbyte_b32 v0, v1, v2, v3",
                &[0x1122_3344, 0x5566_7788, 1]
            ),
            0x4455_6677
        );
    }
}

#[test]
fn counts() {
    for isa in [Gfx1100, Gfx942] {
        let (clz, ctz, cls) = if isa == Gfx1100 {
            ("v_clz_i32_u32", "v_ctz_i32_b32", "v_cls_i32")
        } else {
            ("v_ffbh_u32", "v_ffbl_b32", "v_ffbh_i32")
        };
        let one = |name: &str, value| of(isa, &format!("{name} v0, v1"), &[value]) as i32;
        assert_eq!((one(clz, 1), one(clz, 0)), (31, -1));
        assert_eq!((one(ctz, 8), one(ctz, 0)), (3, -1));
        assert_eq!(
            (
                one(cls, 0xff00_0000),
                one(cls, 1),
                one(cls, 0),
                one(cls, u32::MAX)
            ),
            (8, 31, -1, -1)
        );
        assert_eq!(one("v_bfrev_b32", 1) as u32, 0x8000_0000);
        assert_eq!(of(isa, "v_bcnt_u32_b32 v0, v1, v2", &[0xff, 5]), 13);
    }
}

#[test]
fn bytes() {
    for isa in [Gfx1100, Gfx942] {
        let perm = |selectors| {
            of(
                isa,
                "v_perm_b32 v0, v1, v2, v3",
                &[0x8877_6655, 0x4433_2291, selectors],
            )
        };
        assert_eq!(perm(0x0706_0504), 0x8877_6655);
        assert_eq!(perm(0x0302_0100), 0x4433_2291);
        assert_eq!(perm(0x0c0d_0b0a), 0x00ff_ff00);
        assert_eq!(perm(0x0809_0001), 0x0000_9122);
        assert_eq!(
            of(
                isa,
                "v_sad_u8 v0, v1, v2, v3",
                &[0x0102_0304, 0x0403_0201, 1]
            ),
            9
        );
    }
}

#[test]
fn parts_of_registers() {
    // SDWA: parts of the sources, part of the destination, and what becomes of the rest.
    let sum = |text, a, b| {
        Machine::cdna()
            .v(0, 0x1122_3344)
            .v(1, a)
            .v(2, b)
            .run(text)
            .get(0)
    };
    let add = "v_add_u32_sdwa v0, v1, v2 ";
    let of = |parts: &str, a, b| sum(Box::leak(format!("{add}{parts}").into_boxed_str()), a, b);
    let byte = "dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_1 src1_sel:WORD_1";
    assert_eq!(of(byte, 0x0000_ff00, 0x0005_0000), 0x104);
    let kept = "dst_sel:BYTE_2 dst_unused:UNUSED_PRESERVE src0_sel:DWORD src1_sel:DWORD";
    assert_eq!(of(kept, 0x70, 0x1), 0x1171_3344);
    let padded = "dst_sel:WORD_1 dst_unused:UNUSED_PAD src0_sel:DWORD src1_sel:DWORD";
    assert_eq!(of(padded, 0xffff, 0x2), 0x0001_0000);
    let signed = "dst_sel:BYTE_0 dst_unused:UNUSED_SEXT src0_sel:DWORD src1_sel:DWORD";
    assert_eq!(of(signed, 0x80, 0x1), 0xffff_ff81);
    let extended = "v_add_u32_sdwa v0, sext(v1), v2 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_0 src1_sel:DWORD";
    assert_eq!(sum(extended, 0xff, 3), 2);
}
