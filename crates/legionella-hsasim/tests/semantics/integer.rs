//! Integers and carries.

use legionella_hsasim::isa::Isa::{Gfx942, Gfx1100};

use crate::machine::{Machine, of, of64};

#[test]
fn sums() {
    assert_eq!(of(Gfx1100, "v_add_nc_u32 v0, v1, v2", &[u32::MAX, 2]), 1);
    assert_eq!(of(Gfx942, "v_add_u32 v0, v1, v2", &[u32::MAX, 2]), 1);
    assert_eq!(of(Gfx942, "v_subrev_u32 v0, v1, v2", &[1, 3]), 2);
    assert_eq!(
        of(Gfx1100, "v_add_nc_u32_e64 v0, v1, v2 clamp", &[u32::MAX, 2]),
        u32::MAX
    );
    assert_eq!(of(Gfx942, "v_sub_u32_e64 v0, v1, v2 clamp", &[1, 2]), 0);
    assert_eq!(
        of(Gfx1100, "v_add_nc_i32 v0, v1, v2 clamp", &[0x7fff_ffff, 1]),
        0x7fff_ffff
    );
    assert_eq!(
        of(Gfx1100, "v_sub_nc_i32 v0, v1, v2 clamp", &[0x8000_0000, 1]),
        0x8000_0000
    );
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(of(isa, "v_add3_u32 v0, v1, v2, v3", &[u32::MAX, 1, 7]), 7);
        assert_eq!(of(isa, "v_lshl_add_u32 v0, v1, v2, v3", &[3, 33, 1]), 7);
        assert_eq!(of(isa, "v_add_lshl_u32 v0, v1, v2, v3", &[3, 1, 4]), 64);
        assert_eq!(of(isa, "v_xad_u32 v0, v1, v2, v3", &[6, 3, 10]), 15);
        assert_eq!(of(isa, "v_sad_u32 v0, v1, v2, v3", &[1, u32::MAX, 10]), 8);
    }
    let machine = Machine::cdna().v64(2, u64::MAX).v(4, 3).v64(6, 16);
    assert_eq!(
        machine
            .run("v_lshl_add_u64 v[0:1], v[2:3], v4, v[6:7]")
            .get64(0),
        8
    );
}

#[test]
fn products() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(
            of(isa, "v_mul_lo_u32 v0, v1, v2", &[0x1_0001, 0x1_0001]),
            0x2_0001
        );
        assert_eq!(
            of(isa, "v_mul_hi_u32 v0, v1, v2", &[u32::MAX, u32::MAX]),
            u32::MAX - 1
        );
        assert_eq!(of(isa, "v_mul_hi_i32 v0, v1, v2", &[u32::MAX, 5]), u32::MAX);
        assert_eq!(
            of(isa, "v_mul_u32_u24 v0, v1, v2", &[0xff00_0003, 0xff00_0005]),
            15
        );
        assert_eq!(
            of(isa, "v_mul_i32_i24 v0, v1, v2", &[0x00ff_ffff, 5]) as i32,
            -5
        );
        assert_eq!(
            of(isa, "v_mad_u32_u24 v0, v1, v2, v3", &[0x0100_0003, 5, 1]),
            16
        );
        assert_eq!(
            of(isa, "v_mul_hi_i32_i24 v0, v1, v2", &[0x0080_0000, 2]),
            u32::MAX
        );
        // The product and the addend have 64 bits; the carry goes to the mask.
        let name = if isa == Gfx1100 { "s4" } else { "s[4:5]" };
        let machine = Machine::new(isa)
            .v(2, u32::MAX)
            .v(3, u32::MAX)
            .with(4, |lane| if lane == 5 { u32::MAX } else { 0 })
            .with(5, |lane| if lane == 5 { u32::MAX } else { 0 })
            .run(&format!("v_mad_u64_u32 v[0:1], {name}, v2, v3, v[4:5]"));
        assert_eq!(
            machine.get64(0),
            (u64::from(u32::MAX) * u64::from(u32::MAX)).wrapping_sub(1)
        );
        assert_eq!(machine.scalar(4), 1 << 5);
    }
}

#[test]
fn carries() {
    let machine = Machine::rdna()
        .with(1, |lane| if lane % 2 == 0 { u32::MAX } else { 0 })
        .v(2, 1)
        .exec(0xff)
        .run("v_add_co_u32 v0, vcc_lo, v1, v2\nv_add_co_ci_u32 v3, vcc_lo, 0, v2, vcc_lo");
    assert_eq!((machine.lane(0, 4), machine.lane(0, 5)), (0, 1));
    assert_eq!((machine.lane(3, 4), machine.lane(3, 5)), (2, 1));
    assert_eq!(machine.scalar(106), 0);
    let machine = Machine::cdna()
        .with(1, |lane| lane as u32)
        .v(2, 40)
        .v(3, 0)
        .run("v_sub_co_u32 v0, vcc, v1, v2\nv_subb_co_u32 v4, s[6:7], v3, v3, vcc");
    assert_eq!(machine.scalar64(106), (1 << 40) - 1);
    assert_eq!((machine.lane(4, 39), machine.lane(4, 40)), (u32::MAX, 0));
    assert_eq!(machine.scalar64(6), (1 << 40) - 1);
    let machine = Machine::cdna()
        .v(1, 3)
        .v(2, 1)
        .run("v_subrev_co_u32 v0, vcc, v1, v2");
    assert_eq!(
        (machine.get(0) as i32, machine.scalar64(106)),
        (-2, u64::MAX)
    );
}

#[test]
fn smaller_larger_middle() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(of(isa, "v_min_i32 v0, v1, v2", &[u32::MAX, 1]), u32::MAX);
        assert_eq!(of(isa, "v_min_u32 v0, v1, v2", &[u32::MAX, 1]), 1);
        assert_eq!(of(isa, "v_max_i32 v0, v1, v2", &[u32::MAX, 1]), 1);
        assert_eq!(of(isa, "v_med3_i32 v0, v1, v2, v3", &[u32::MAX, 5, 1]), 1);
        assert_eq!(of(isa, "v_med3_u32 v0, v1, v2, v3", &[u32::MAX, 5, 1]), 5);
        assert_eq!(of64(isa, "v_lshlrev_b64 v[0:1], 33, v[2:3]", &[3]), 3 << 33);
    }
    assert_eq!(of(Gfx1100, "v_minmax_i32 v0, v1, v2, v3", &[7, 9, 8]), 8);
    assert_eq!(of(Gfx1100, "v_maxmin_u32 v0, v1, v2, v3", &[7, 9, 8]), 8);
}

#[test]
fn sixteen_bits() {
    // The newer generation keeps the other half, the older clears it.
    assert_eq!(
        of(Gfx1100, "v_add_nc_u16 v0.l, v1.l, v2.l", &[0xffff, 2]),
        0x5555_0001
    );
    assert_eq!(of(Gfx942, "v_add_u16 v0, v1, v2", &[0xffff, 2]), 1);
    assert_eq!(
        of(Gfx1100, "v_add_nc_u16 v0.h, v1.h, v2.l", &[0x0007_0000, 2]),
        0x0009_5555
    );
    assert_eq!(
        of(Gfx1100, "v_add_nc_i16 v0.l, v1.l, v2.l clamp", &[0x7fff, 2]),
        0x5555_7fff
    );
    assert_eq!(
        of(
            Gfx1100,
            "v_mad_u16 v0.l, v1.l, v2.l, v3.l",
            &[3, 5, 0x1_0001]
        ),
        0x5555_0010
    );
    assert_eq!(
        of(
            Gfx942,
            "v_mad_u32_u16 v0, v1, v2, v3 op_sel:[1,0,0]",
            &[0x0003_0000, 5, 1]
        ),
        16
    );
    assert_eq!(of(Gfx942, "v_min_i16 v0, v1, v2", &[0xffff, 1]), 0xffff);
}

#[test]
fn packed() {
    for isa in [Gfx1100, Gfx942] {
        assert_eq!(
            of(isa, "v_pk_add_u16 v0, v1, v2", &[0x0001_ffff, 0x0002_0001]),
            0x0003_0000
        );
        assert_eq!(
            of(
                isa,
                "v_pk_add_i16 v0, v1, v2 clamp",
                &[0x7fff_8000, 0x0001_ffff]
            ),
            0x7fff_8000
        );
        let crossed = "v_pk_sub_i16 v0, v1, v2 op_sel:[1,0] op_sel_hi:[0,1]";
        assert_eq!(of(isa, crossed, &[0x0009_0007, 0x0002_0001]), 0x0005_0008);
        assert_eq!(
            of(
                isa,
                "v_pk_mad_u16 v0, v1, v2, v3",
                &[0x0003_0002, 0x0005_0004, 0x0001_0001]
            ),
            0x0010_0009
        );
        assert_eq!(
            of(
                isa,
                "v_pk_lshlrev_b16 v0, v1, v2",
                &[0x0001_0004, 0x8001_0001]
            ),
            0x0002_0010
        );
        assert_eq!(
            of(isa, "v_pk_max_i16 v0, v1, v2", &[0xffff_0001, 0x0000_0002]),
            0x0000_0002
        );
    }
    let words = |text| {
        let machine = Machine::cdna()
            .v64(
                2,
                u64::from(2f32.to_bits()) | (u64::from(3f32.to_bits()) << 32),
            )
            .v64(
                4,
                u64::from(5f32.to_bits()) | (u64::from(7f32.to_bits()) << 32),
            );
        let machine = machine.run(text);
        (
            f32::from_bits(machine.get(0)),
            f32::from_bits(machine.get(1)),
        )
    };
    assert_eq!(words("v_pk_mul_f32 v[0:1], v[2:3], v[4:5]"), (10.0, 21.0));
    assert_eq!(
        words("v_pk_mul_f32 v[0:1], v[2:3], v[4:5] op_sel_hi:[1,0]"),
        (10.0, 15.0)
    );
    assert_eq!(
        words("v_pk_add_f32 v[0:1], v[2:3], v[4:5] neg_lo:[0,1]"),
        (-3.0, 10.0)
    );
    assert_eq!(
        words("v_pk_fma_f32 v[0:1], v[2:3], v[4:5], v[2:3]"),
        (12.0, 24.0)
    );
    assert_eq!(
        words("v_pk_mov_b32 v[0:1], v[2:3], v[4:5] op_sel:[1,0]"),
        (3.0, 5.0)
    );
}
