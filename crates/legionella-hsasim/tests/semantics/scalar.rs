//! Scalar instructions.

use legionella_hsasim::error::Fault;

use crate::machine::Machine;

/// The result in `s0` (and the condition code) of an instruction on `s2`, `s4`.
fn of(text: &str, a: u32, b: u32) -> (u32, bool) {
    let machine = Machine::rdna().s(0, 0).s(2, a).s(4, b).run(text);
    (machine.scalar(0), machine.wave.scc)
}

fn of64(text: &str, a: u64, b: u64) -> (u64, bool) {
    let machine = Machine::rdna().s64(0, 0).s64(2, a).s64(4, b).run(text);
    (machine.scalar64(0), machine.wave.scc)
}

#[test]
fn arithmetic() {
    assert_eq!(of("s_add_u32 s0, s2, s4", u32::MAX, 1), (0, true));
    assert_eq!(
        of("s_add_i32 s0, s2, s4", 0x7fff_ffff, 1),
        (0x8000_0000, true)
    );
    assert_eq!(of("s_add_i32 s0, s2, s4", u32::MAX, 1), (0, false));
    assert_eq!(of("s_sub_u32 s0, s2, s4", 0, 1), (u32::MAX, true));
    assert_eq!(
        of("s_add_u32 s0, s2, s4\ns_addc_u32 s0, 3, 0", u32::MAX, 1),
        (4, false)
    );
    assert_eq!(
        of("s_sub_u32 s0, s2, s4\ns_subb_u32 s0, 0, 0", 0, 1),
        (u32::MAX, true)
    );
    assert_eq!(of("s_mul_i32 s0, s2, s4", u32::MAX, 5).0, u32::MAX - 4);
    assert_eq!(of("s_mul_hi_u32 s0, s2, s4", u32::MAX, 5).0, 4);
    assert_eq!(of("s_mul_hi_i32 s0, s2, s4", u32::MAX, 5).0, u32::MAX);
    assert_eq!(of("s_min_i32 s0, s2, s4", u32::MAX, 5), (u32::MAX, true));
    assert_eq!(of("s_max_u32 s0, s2, s4", 3, 5), (5, false));
    assert_eq!(of("s_abs_i32 s0, s2", u32::MAX, 0), (1, true));
    assert_eq!(of("s_absdiff_i32 s0, s2, s4", 3, 5), (2, true));
    assert_eq!(of("s_lshl2_add_u32 s0, s2, s4", 0x4000_0001, 1), (5, true));
    assert_eq!(
        of("s_mov_b32 s0, 40\ns_addk_i32 s0, 0xfffe", 0, 0),
        (38, false)
    );
    assert_eq!(
        of("s_mov_b32 s0, 40\ns_mulk_i32 s0, 0xfffe", 0, 0).0 as i32,
        -80
    );
    assert_eq!(of("s_movk_i32 s0, 0x8000", 0, 0).0, 0xffff_8000);
}

#[test]
fn bits() {
    assert_eq!(of("s_and_b32 s0, s2, s4", 6, 9), (0, false));
    assert_eq!(of("s_and_not1_b32 s0, s2, s4", 7, 2), (5, true));
    assert_eq!(of("s_or_not1_b32 s0, s2, s4", 0, u32::MAX), (0, false));
    assert_eq!(of("s_lshl_b32 s0, s2, s4", 1, 33), (2, true));
    assert_eq!(
        of("s_ashr_i32 s0, s2, s4", 0x8000_0000, 4),
        (0xf800_0000, true)
    );
    assert_eq!(
        of("s_bfe_u32 s0, s2, 0x80008", 0xabcd_1234, 0),
        (0x12, true)
    );
    assert_eq!(
        of("s_bfe_i32 s0, s2, 0x80010", 0xabcd_1234, 0),
        (0xffff_ffcd, true)
    );
    assert_eq!(of("s_bfm_b32 s0, s2, s4", 4, 8).0, 0xf00);
    assert_eq!(of("s_brev_b32 s0, s2", 1, 0).0, 0x8000_0000);
    assert_eq!(of("s_ctz_i32_b32 s0, s2", 0, 0).0, u32::MAX);
    assert_eq!(of("s_clz_i32_u32 s0, s2", 1, 0).0, 31);
    assert_eq!(of("s_cls_i32 s0, s2", 0xff00_0000, 0).0, 8);
    assert_eq!(of("s_bcnt1_i32_b32 s0, s2", 0xff, 0), (8, true));
    assert_eq!(of("s_sext_i32_i8 s0, s2", 0x80, 0).0, 0xffff_ff80);
    assert_eq!(
        of("s_pack_lh_b32_b16 s0, s2, s4", 0x1111_2222, 0x3333_4444).0,
        0x3333_2222
    );
    assert_eq!(of("s_mov_b32 s0, 0\ns_bitset1_b32 s0, s2", 35, 0).0, 8);
    assert_eq!(
        of64("s_lshl_b64 s[0:1], s[2:3], s4", 1, 40),
        (1 << 40, true)
    );
    assert_eq!(of64("s_not_b64 s[0:1], s[2:3]", u64::MAX, 0), (0, false));
    assert_eq!(
        of64(
            "s_bfe_u64 s[0:1], s[2:3], 0x200010",
            0x1234_5678_9abc_def0,
            0
        )
        .0,
        0x5678_9abc
    );
    assert_eq!(
        of64(
            "s_bfe_i64 s[0:1], s[2:3], 0x100030",
            0xf234_5678_9abc_def0,
            0
        )
        .0,
        0xffff_ffff_ffff_f234
    );
    assert_eq!(of64("s_ctz_i32_b64 s0, s[2:3]", 1 << 40, 0).0, 40);
    assert_eq!(of64("s_mov_b64 s[0:1], -2", 0, 0).0, u64::MAX - 1);
    assert_eq!(of64("s_bitreplicate_b64_b32 s[0:1], s2", 5, 0).0, 0x33);
}

#[test]
fn conditions() {
    let scc = |text, a, b| of(text, a, b).1;
    assert!(scc("s_cmp_lt_i32 s2, s4", u32::MAX, 1) && !scc("s_cmp_lt_u32 s2, s4", u32::MAX, 1));
    assert!(scc("s_cmp_lg_u32 s2, s4", 2, 1) && scc("s_bitcmp1_b32 s2, s4", 8, 3));
    assert!(
        scc("s_cmpk_eq_i32 s2, 0xffff", u32::MAX, 0)
            && !scc("s_cmpk_eq_u32 s2, 0xffff", u32::MAX, 0)
    );
    assert!(of64("s_cmp_eq_u64 s[2:3], s[4:5]", 1 << 32, 1 << 32).1);
    assert!(!of64("s_cmp_eq_u64 s[2:3], s[4:5]", 1 << 32, 1).1);
    assert_eq!(
        of("s_cmp_eq_u32 s2, s4\ns_cselect_b32 s0, s2, s4", 1, 2).0,
        2
    );
    assert_eq!(
        of(
            "s_mov_b32 s0, 7\ns_cmp_eq_u32 s2, s4\ns_cmov_b32 s0, s2",
            1,
            1
        )
        .0,
        1
    );
}

#[test]
fn masks() {
    let machine = Machine::rdna()
        .s(4, 0xff)
        .exec(0xf0f)
        .run("s_and_saveexec_b32 s0, s4");
    assert_eq!(
        (machine.scalar(0), machine.scalar(126), machine.wave.scc),
        (0xf0f, 0xf, true)
    );
    let machine = Machine::rdna()
        .s(4, 0xff)
        .exec(0xf0f)
        .run("s_and_not1_saveexec_b32 s0, s4");
    assert_eq!(machine.scalar(126), 0xf0);
    let machine = Machine::rdna()
        .s(4, 0xff)
        .exec(0xf0f)
        .run("s_and_not0_saveexec_b32 s0, s4");
    assert_eq!(machine.scalar(126), 0xf00);
    let machine = Machine::cdna()
        .s64(4, 1 << 40)
        .run("s_andn2_wrexec_b64 s[0:1], s[4:5]");
    assert_eq!((machine.scalar64(0), machine.scalar64(126)), (0, 0));
    let machine = Machine::cdna()
        .s64(4, 1 << 40)
        .exec(!0)
        .run("s_andn1_wrexec_b64 s[0:1], s[4:5]");
    assert_eq!(
        (machine.scalar64(0), machine.scalar64(126)),
        (!(1 << 40), !(1 << 40))
    );
}

#[test]
fn branches_and_calls() {
    let sum = "
        s_mov_b32 s0, 0
        s_mov_b32 s1, 10
    loop:
        s_add_i32 s0, s0, s1
        s_add_i32 s1, s1, -1
        s_cmp_lg_u32 s1, 0
        s_cbranch_scc1 loop";
    assert_eq!(of(sum, 0, 0).0, 55);
    let call = "
        s_getpc_b64 s[6:7]
    here:
        s_add_u32 s6, s6, function-here
        s_addc_u32 s7, s7, 0
        s_swappc_b64 s[8:9], s[6:7]
        s_add_i32 s0, s0, 1
        s_branch end
    function:
        s_mov_b32 s0, 41
        s_setpc_b64 s[8:9]
    end:";
    assert_eq!(of(call, 0, 0).0, 42);
    let away = Machine::rdna()
        .s64(2, 0x10)
        .try_run("s_setpc_b64 s[2:3]")
        .err();
    assert_eq!(away, Some(Fault::NoCode(0x10)));
    let skipped =
        "s_mov_b32 s0, 1\ns_mov_b32 exec_lo, 0\ns_cbranch_execz end\ns_mov_b32 s0, 2\nend:";
    assert_eq!(of(skipped, 0, 0).0, 1);
}

#[test]
fn the_null_register_keeps_nothing() {
    let (value, scc) = of("s_add_u32 null, s2, s4\ns_mov_b32 s0, null", u32::MAX, 1);
    assert_eq!((value, scc), (0, true));
}

#[test]
fn modes() {
    assert_eq!(of("s_getreg_b32 s0, hwreg(HW_REG_MODE, 4, 4)", 0, 0).0, 15);
    let flushing = Machine::rdna()
        .try_run("s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0")
        .err();
    assert_eq!(flushing, Some(Fault::Mode(0xc0)));
}
