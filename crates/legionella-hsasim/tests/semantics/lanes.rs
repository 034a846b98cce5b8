//! Lanes: masks, DPP, the crossbar, dual issue.

use legionella_hsasim::isa::Isa;

use crate::machine::Machine;

/// `v1` holds 100 more than the lane's number, `v0` 7.
fn numbered(isa: Isa) -> Machine {
    Machine::new(isa).v(0, 7).with(1, |lane| 100 + lane as u32)
}

#[track_caller]
fn check(machine: &Machine, isa: Isa, expected: impl Fn(usize) -> u32) {
    for lane in 0..isa.wave() {
        assert_eq!(machine.lane(0, lane), expected(lane), "lane {lane}");
    }
}

#[test]
fn lanes_that_are_off_keep_their_value() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let mask = 0x8000_0001_f00f_0001;
        let machine = numbered(isa).exec(mask).run("v_mov_b32 v0, v1");
        check(&machine, isa, |lane| {
            if (mask >> lane) & 1 == 1 {
                100 + lane as u32
            } else {
                7
            }
        });
    }
}

#[test]
fn rows_and_quads() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let of = |modifiers: &str, expected: &dyn Fn(usize) -> u32| {
            let machine = numbered(isa).run(&format!("s_nop 1\nv_mov_b32_dpp v0, v1 {modifiers}"));
            check(&machine, isa, expected);
        };
        let all = "row_mask:0xf bank_mask:0xf";
        of(&format!("quad_perm:[1,0,3,2] {all}"), &|lane| {
            100 + (lane as u32 ^ 1)
        });
        of(&format!("row_shr:3 {all}"), &|lane| {
            if lane % 16 >= 3 { 97 + lane as u32 } else { 7 }
        });
        of(&format!("row_shr:3 {all} bound_ctrl:1"), &|lane| {
            if lane % 16 >= 3 { 97 + lane as u32 } else { 0 }
        });
        of(&format!("row_shl:1 {all}"), &|lane| {
            if lane % 16 < 15 { 101 + lane as u32 } else { 7 }
        });
        of(&format!("row_ror:1 {all}"), &|lane| {
            100 + ((lane & !15) | ((lane + 15) % 16)) as u32
        });
        of(&format!("row_mirror {all}"), &|lane| {
            100 + (lane as u32 ^ 15)
        });
        of(&format!("row_half_mirror {all}"), &|lane| {
            100 + (lane as u32 ^ 7)
        });
        of("row_shr:1 row_mask:0x2 bank_mask:0x1", &|lane| {
            if lane / 16 == 1 && (1..4).contains(&(lane % 16)) {
                99 + lane as u32
            } else {
                7
            }
        });
    }
    // Only the older generation has patterns across rows.
    let isa = Isa::Gfx942;
    let machine =
        numbered(isa).run("s_nop 1\nv_mov_b32_dpp v0, v1 row_bcast:15 row_mask:0xa bank_mask:0xf");
    check(&machine, isa, |lane| match lane / 16 {
        1 => 115,
        3 => 147,
        _ => 7,
    });
    let machine =
        numbered(isa).run("s_nop 1\nv_mov_b32_dpp v0, v1 row_bcast:31 row_mask:0xc bank_mask:0xf");
    check(&machine, isa, |lane| if lane >= 32 { 131 } else { 7 });
    let machine =
        numbered(isa).run("s_nop 1\nv_mov_b32_dpp v0, v1 wave_shr:1 row_mask:0xf bank_mask:0xf");
    check(
        &machine,
        isa,
        |lane| if lane > 0 { 99 + lane as u32 } else { 7 },
    );
    // The destination may be the source, across halves too.
    let machine = Machine::new(isa)
        .with(0, |lane| lane as u32)
        .run("s_nop 1\nv_mov_b32_dpp v0, v0 wave_ror:1 row_mask:0xf bank_mask:0xf");
    check(&machine, isa, |lane| (lane as u32 + 63) % 64);
    let isa = Isa::Gfx1100;
    let machine = numbered(isa).run("v_mov_b32_dpp v0, v1 row_share:5 row_mask:0xf bank_mask:0xf");
    check(&machine, isa, |lane| 105 + (lane as u32 & !15));
    let machine = numbered(isa).run("v_mov_b32_dpp v0, v1 row_xmask:9 row_mask:0xf bank_mask:0xf");
    check(&machine, isa, |lane| 100 + (lane as u32 ^ 9));
    let machine = numbered(isa).run("v_mov_b32_dpp v0, v1 dpp8:[7,6,5,4,3,2,1,0]");
    check(&machine, isa, |lane| 100 + (lane as u32 ^ 7));
}

#[test]
fn sources_that_are_off_count_as_absent() {
    let isa = Isa::Gfx1100;
    let all = "row_mask:0xf bank_mask:0xf";
    let machine = numbered(isa)
        .exec(0x2)
        .run(&format!("v_mov_b32_dpp v0, v1 row_shr:1 {all}"));
    check(&machine, isa, |_| 7);
    let machine = numbered(isa).exec(0x2).run(&format!(
        "v_mov_b32_dpp v0, v1 row_shr:1 {all} bound_ctrl:1"
    ));
    check(&machine, isa, |lane| if lane == 1 { 0 } else { 7 });
    let machine = numbered(isa)
        .exec(0x2)
        .run(&format!("v_mov_b32_dpp v0, v1 row_shr:1 {all} fi:1"));
    check(&machine, isa, |lane| if lane == 1 { 100 } else { 7 });
}

#[test]
fn single_lanes() {
    let machine = numbered(Isa::Gfx942)
        .s(2, 40)
        .run("v_readlane_b32 s0, v1, s2\nv_writelane_b32 v0, 9, 33");
    assert_eq!(
        (machine.scalar(0), machine.lane(0, 33), machine.lane(0, 32)),
        (140, 9, 7)
    );
    let machine = numbered(Isa::Gfx942)
        .exec(1 << 50)
        .run("v_readfirstlane_b32 s0, v1");
    assert_eq!(machine.scalar(0), 150);
    let machine = numbered(Isa::Gfx1100)
        .exec(0)
        .run("v_readfirstlane_b32 s0, v1");
    assert_eq!(machine.scalar(0), 100);
    // Writing a lane doesn't ask whether it is on.
    let machine = numbered(Isa::Gfx1100)
        .exec(1)
        .run("v_writelane_b32 v0, 9, 3");
    assert_eq!(machine.lane(0, 3), 9);
}

#[test]
fn lanes_count_themselves() {
    let machine = Machine::cdna()
        .v(0, 0)
        .run("v_mbcnt_lo_u32_b32 v0, -1, 0\nv_mbcnt_hi_u32_b32 v0, -1, v0");
    check(&machine, Isa::Gfx942, |lane| lane as u32);
    let machine = Machine::rdna()
        .v(0, 0)
        .run("v_mbcnt_lo_u32_b32 v0, 0x55555555, 3");
    check(&machine, Isa::Gfx1100, |lane| 3 + lane.div_ceil(2) as u32);
}

#[test]
fn crossbar() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let lanes = isa.wave() as u32;
        let machine = numbered(isa)
            .with(2, |lane| 4 * ((lane as u32 + 3) % lanes))
            .run("ds_bpermute_b32 v0, v2, v1\ns_waitcnt lgkmcnt(0)");
        check(&machine, isa, |lane| 100 + (lane as u32 + 3) % lanes);
        let machine = numbered(isa)
            .with(2, |lane| 4 * ((lane as u32 + 3) % lanes))
            .run("ds_permute_b32 v0, v2, v1\ns_waitcnt lgkmcnt(0)");
        check(&machine, isa, |lane| {
            100 + (lane as u32 + lanes - 3) % lanes
        });
        // Lanes that are off send zero.
        let machine = numbered(isa)
            .v(2, 4)
            .exec(1)
            .run("ds_bpermute_b32 v0, v2, v1\ns_waitcnt lgkmcnt(0)");
        assert_eq!(machine.lane(0, 0), 0);
        let swizzled = |pattern: &str, expected: &dyn Fn(usize) -> u32| {
            let text =
                format!("ds_swizzle_b32 v0, v1 offset:swizzle({pattern})\ns_waitcnt lgkmcnt(0)");
            check(&numbered(isa).run(&text), isa, expected);
        };
        swizzled("QUAD_PERM,3,2,1,0", &|lane| 100 + (lane as u32 ^ 3));
        swizzled("SWAP,16", &|lane| 100 + (lane as u32 ^ 16));
        swizzled("REVERSE,8", &|lane| 100 + (lane as u32 ^ 7));
        swizzled("BROADCAST,8,3", &|lane| 100 + ((lane as u32 & !7) | 3));
        swizzled("BITMASK_PERM,\"01pip\"", &|lane| {
            100 + ((lane as u32 & !31) | 8 | ((lane as u32 & 7) ^ 2))
        });
    }
}

#[test]
fn other_rows() {
    let isa = Isa::Gfx1100;
    let machine = numbered(isa)
        .s(2, 0x7654_3210)
        .s(3, 0xfedc_ba98)
        .run("v_permlanex16_b32 v0, v1, s2, s3");
    check(&machine, isa, |lane| 100 + (lane as u32 ^ 16));
    let machine = numbered(isa)
        .s(2, 0)
        .s(3, 0)
        .run("v_permlane16_b32 v0, v1, s2, s3");
    check(&machine, isa, |lane| 100 + (lane as u32 & !15));
    let machine = numbered(isa)
        .s(2, 0)
        .s(3, 0)
        .exec(2)
        .run("v_permlane16_b32 v0, v1, s2, s3 op_sel:[0,1]");
    assert_eq!((machine.lane(0, 1), machine.lane(0, 0)), (0, 7));
}

#[test]
fn both_halves_of_a_dual_instruction_read_first() {
    let machine = Machine::rdna()
        .v(1, 10)
        .v(2, 20)
        .run("v_dual_mov_b32 v1, v2 :: v_dual_mov_b32 v2, v1");
    assert_eq!((machine.get(1), machine.get(2)), (20, 10));
    let machine = Machine::rdna()
        .v(0, 1f32.to_bits())
        .v(1, 2f32.to_bits())
        .v(2, 3f32.to_bits())
        .v(3, 5)
        .s(106, 0x20)
        .run("v_dual_fmac_f32 v0, v1, v2 :: v_dual_cndmask_b32 v3, v0, v1");
    assert_eq!(
        (machine.get(0), machine.get(3)),
        (7f32.to_bits(), 2f32.to_bits())
    );
    assert_eq!(machine.lane(3, 4), 1f32.to_bits());
}

#[test]
fn selections() {
    let machine = Machine::cdna()
        .v(1, 1)
        .v(2, 2)
        .s64(4, 1 << 40)
        .run("v_cndmask_b32 v0, v1, v2, s[4:5]");
    assert_eq!((machine.lane(0, 40), machine.lane(0, 39)), (2, 1));
    let machine = Machine::rdna()
        .v(1, 0)
        .v(2, 2)
        .s(4, 2)
        .run("v_cndmask_b32_e64 v0, -v1, v2, s4");
    assert_eq!((machine.lane(0, 0), machine.lane(0, 1)), (0x8000_0000, 2));
    let machine = Machine::rdna()
        .v(0, 5)
        .v(1, 6)
        .exec(1)
        .run("v_swap_b32 v0, v1");
    assert_eq!(
        (machine.lane(0, 0), machine.lane(1, 0), machine.lane(0, 1)),
        (6, 5, 5)
    );
    let machine = Machine::rdna()
        .v(2, 9)
        .s(125, 2)
        .v(0, 0)
        .run("v_movrels_b32 v1, v0\nv_movreld_b32 v3, v1");
    assert_eq!((machine.get(1), machine.get(5)), (9, 9));
}
