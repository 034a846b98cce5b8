//! What scalar instructions compute. Branches, the program counter and the execution mask are the
//! interpreter's.

/// Computes a result from two sources and the destination's old value, and sets the condition code.
pub type RunScalar = fn(a: u64, b: u64, old: u64, scc: &mut bool) -> u64;

/// An operation on scalar registers.
#[derive(Debug)]
pub struct ScalarOperation {
    /// Registers of the result; 0 of those that only set the condition code.
    pub output: usize,
    /// Registers of each source.
    pub sources: &'static [usize],
    /// Whether each bit of the result comes from the same bit of the sources.
    pub bitwise: bool,
    /// Whether the destination is read too.
    pub reads_destination: bool,
    /// The function.
    pub run: RunScalar,
}

macro_rules! scalars {
    ($($name:literal $($alias:literal)* ($($words:literal),*) -> $output:literal =
        |$a:pat_param, $b:pat_param, $old:pat_param, $scc:ident| $value:expr;)*) => {
        /// The names.
        pub const NAMES: &[&str] = &[$($name, $($alias,)*)*];

        /// The operation of a canonical name, whose output is in one register or two as the name says.
        pub fn operation(name: &str) -> Option<&'static ScalarOperation> {
            match name {
                $($name $(| $alias)* => {
                    static OPERATION: ScalarOperation = ScalarOperation {
                        output: $output,
                        sources: &[$($words),*],
                        bitwise: BITWISE,
                        reads_destination: READS_DESTINATION,
                        run: |$a: u64, $b: u64, $old: u64, $scc: &mut bool| $value,
                    };
                    Some(&OPERATION)
                })*
                _ => None,
            }
        }
    };
}

/// The sum, carry in the condition code.
fn add(a: u64, b: u64, carry: bool, scc: &mut bool) -> u64 {
    let sum = u64::from(a as u32) + u64::from(b as u32) + u64::from(carry);
    *scc = sum >> 32 != 0;
    u64::from(sum as u32)
}

/// The difference, borrow in the condition code.
fn subtract(a: u64, b: u64, borrow: bool, scc: &mut bool) -> u64 {
    let difference = i64::from(a as u32) - i64::from(b as u32) - i64::from(borrow);
    *scc = difference < 0;
    u64::from(difference as u32)
}

/// Sets the condition code to whether a result is not zero.
fn logic(value: u64, scc: &mut bool) -> u64 {
    *scc = value != 0;
    value
}

/// As [`logic`], of the lower 32 bits.
fn logic32(value: u64, scc: &mut bool) -> u64 {
    logic(u64::from(value as u32), scc)
}

/// A result of 32 bits that sets nothing.
fn word(value: i64) -> u64 {
    u64::from(value as u32)
}

/// A signed source.
fn signed(value: u64) -> i32 {
    value as u32 as i32
}

/// The number of a place, or -1.
fn place(found: bool, value: u32) -> u64 {
    u64::from(if found { value } else { u32::MAX })
}

/// Offset and width of a bit field, from a source that packs both.
fn field(b: u64) -> (u32, u32) {
    (b as u32 & 63, (b as u32 >> 16) & 127)
}

fn field_u32(a: u64, b: u64) -> u64 {
    let (offset, width) = field(b);
    let shifted = (a as u32) >> (offset & 31);
    u64::from(if width >= 32 {
        shifted
    } else {
        shifted & ((1 << width) - 1)
    })
}

fn field_i32(a: u64, b: u64) -> u64 {
    let (offset, width) = field(b);
    if width == 0 {
        return 0;
    }
    let width = width.min(32 - (offset & 31));
    let shifted = ((a as u32) << (32 - (offset & 31) - width)) as i32;
    u64::from((shifted >> (32 - width)) as u32)
}

fn field_u64(a: u64, b: u64) -> u64 {
    let (offset, width) = field(b);
    let shifted = a >> offset;
    if width >= 64 {
        shifted
    } else {
        shifted & ((1 << width) - 1)
    }
}

fn field_i64(a: u64, b: u64) -> u64 {
    let (offset, width) = field(b);
    if width == 0 {
        return 0;
    }
    let width = width.min(64 - offset);
    (((a << (64 - offset - width)) as i64) >> (64 - width)) as u64
}

/// Every lane's quad has a bit set (`s_wqm`).
fn whole_quads(value: u64) -> u64 {
    let mut result = 0;
    for quad in 0..16 {
        if (value >> (4 * quad)) & 15 != 0 {
            result |= 15 << (4 * quad);
        }
    }
    result
}

/// Bits doubled (`s_bitreplicate_b64_b32`).
fn replicate(value: u64) -> u64 {
    (0..32).fold(0, |bits, at| bits | (((value >> at) & 1) * 3) << (2 * at))
}

/// Operations on bits, each for itself.
mod bits {
    use super::*;

    const BITWISE: bool = true;
    const READS_DESTINATION: bool = false;

    scalars! {
        "s_mov_b32" (1) -> 1 = |a, _, _, _scc| a;
        "s_mov_b64" (2) -> 2 = |a, _, _, _scc| a;
        "s_and_b32" (1, 1) -> 1 = |a, b, _, scc| logic(a & b, scc);
        "s_and_b64" (2, 2) -> 2 = |a, b, _, scc| logic(a & b, scc);
        "s_or_b32" (1, 1) -> 1 = |a, b, _, scc| logic(a | b, scc);
        "s_or_b64" (2, 2) -> 2 = |a, b, _, scc| logic(a | b, scc);
        "s_xor_b32" (1, 1) -> 1 = |a, b, _, scc| logic(a ^ b, scc);
        "s_xor_b64" (2, 2) -> 2 = |a, b, _, scc| logic(a ^ b, scc);
        "s_and_not1_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(a & !b, scc);
        "s_and_not1_b64" (2, 2) -> 2 = |a, b, _, scc| logic(a & !b, scc);
        "s_or_not1_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(a | !b, scc);
        "s_or_not1_b64" (2, 2) -> 2 = |a, b, _, scc| logic(a | !b, scc);
        "s_nand_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(!(a & b), scc);
        "s_nand_b64" (2, 2) -> 2 = |a, b, _, scc| logic(!(a & b), scc);
        "s_nor_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(!(a | b), scc);
        "s_nor_b64" (2, 2) -> 2 = |a, b, _, scc| logic(!(a | b), scc);
        "s_xnor_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(!(a ^ b), scc);
        "s_xnor_b64" (2, 2) -> 2 = |a, b, _, scc| logic(!(a ^ b), scc);
        "s_not_b32" (1) -> 1 = |a, _, _, scc| logic32(!a, scc);
        "s_not_b64" (2) -> 2 = |a, _, _, scc| logic(!a, scc);
        "s_cselect_b32" (1, 1) -> 1 = |a, b, _, scc| if *scc { a } else { b };
        "s_cselect_b64" (2, 2) -> 2 = |a, b, _, scc| if *scc { a } else { b };
    }
}

/// Operations that leave their destination's old value alone.
mod plain {
    use super::*;

    const BITWISE: bool = false;
    const READS_DESTINATION: bool = false;

    scalars! {
        "s_movk_i32" (1) -> 1 = |a, _, _, _scc| word(i64::from(a as i16));
        "s_add_u32" "s_add_co_u32" (1, 1) -> 1 = |a, b, _, scc| add(a, b, false, scc);
        "s_sub_u32" (1, 1) -> 1 = |a, b, _, scc| subtract(a, b, false, scc);
        "s_addc_u32" (1, 1) -> 1 = |a, b, _, scc| add(a, b, *scc, scc);
        "s_subb_u32" (1, 1) -> 1 = |a, b, _, scc| subtract(a, b, *scc, scc);
        "s_add_i32" (1, 1) -> 1 = |a, b, _, scc| {
            let (sum, overflow) = signed(a).overflowing_add(signed(b));
            *scc = overflow;
            word(i64::from(sum))
        };
        "s_sub_i32" (1, 1) -> 1 = |a, b, _, scc| {
            let (difference, overflow) = signed(a).overflowing_sub(signed(b));
            *scc = overflow;
            word(i64::from(difference))
        };
        "s_absdiff_i32" (1, 1) -> 1 = |a, b, _, scc|
            logic(word(i64::from(signed(a).wrapping_sub(signed(b)).wrapping_abs())), scc);
        "s_abs_i32" (1) -> 1 = |a, _, _, scc| logic(word(i64::from(signed(a).wrapping_abs())), scc);
        "s_min_i32" (1, 1) -> 1 = |a, b, _, scc| { *scc = signed(a) < signed(b); if *scc { a } else { b } };
        "s_max_i32" (1, 1) -> 1 = |a, b, _, scc| { *scc = signed(a) >= signed(b); if *scc { a } else { b } };
        "s_min_u32" (1, 1) -> 1 = |a, b, _, scc| { *scc = a < b; if *scc { a } else { b } };
        "s_max_u32" (1, 1) -> 1 = |a, b, _, scc| { *scc = a >= b; if *scc { a } else { b } };
        "s_mul_i32" (1, 1) -> 1 = |a, b, _, _scc| word(i64::from((a as u32).wrapping_mul(b as u32)));
        "s_mul_hi_u32" (1, 1) -> 1 = |a, b, _, _scc| (a * b) >> 32;
        "s_mul_hi_i32" (1, 1) -> 1 = |a, b, _, _scc| word((i64::from(signed(a)) * i64::from(signed(b))) >> 32);
        "s_lshl_b32" (1, 1) -> 1 = |a, b, _, scc| logic32(a << (b & 31), scc);
        "s_lshl_b64" (2, 1) -> 2 = |a, b, _, scc| logic(a << (b & 63), scc);
        "s_lshr_b32" (1, 1) -> 1 = |a, b, _, scc| logic(a >> (b & 31), scc);
        "s_lshr_b64" (2, 1) -> 2 = |a, b, _, scc| logic(a >> (b & 63), scc);
        "s_ashr_i32" (1, 1) -> 1 = |a, b, _, scc| logic32((signed(a) >> (b & 31)) as u64, scc);
        "s_ashr_i64" (2, 1) -> 2 = |a, b, _, scc| logic(((a as i64) >> (b & 63)) as u64, scc);
        "s_lshl1_add_u32" (1, 1) -> 1 = |a, b, _, scc| { let sum = (a << 1) + b; *scc = sum >> 32 != 0; word(sum as i64) };
        "s_lshl2_add_u32" (1, 1) -> 1 = |a, b, _, scc| { let sum = (a << 2) + b; *scc = sum >> 32 != 0; word(sum as i64) };
        "s_lshl3_add_u32" (1, 1) -> 1 = |a, b, _, scc| { let sum = (a << 3) + b; *scc = sum >> 32 != 0; word(sum as i64) };
        "s_lshl4_add_u32" (1, 1) -> 1 = |a, b, _, scc| { let sum = (a << 4) + b; *scc = sum >> 32 != 0; word(sum as i64) };
        "s_bfm_b32" (1, 1) -> 1 = |a, b, _, _scc| word(((1i64 << (a & 31)) - 1) << (b & 31));
        "s_bfm_b64" (1, 1) -> 2 = |a, b, _, _scc| ((1u64 << (a & 63)) - 1) << (b & 63);
        "s_bfe_u32" (1, 1) -> 1 = |a, b, _, scc| logic(field_u32(a, b), scc);
        "s_bfe_i32" (1, 1) -> 1 = |a, b, _, scc| logic(field_i32(a, b), scc);
        "s_bfe_u64" (2, 1) -> 2 = |a, b, _, scc| logic(field_u64(a, b), scc);
        "s_bfe_i64" (2, 1) -> 2 = |a, b, _, scc| logic(field_i64(a, b), scc);
        "s_brev_b32" (1) -> 1 = |a, _, _, _scc| u64::from((a as u32).reverse_bits());
        "s_brev_b64" (2) -> 2 = |a, _, _, _scc| a.reverse_bits();
        "s_bcnt0_i32_b32" (1) -> 1 = |a, _, _, scc| logic(u64::from((a as u32).count_zeros()), scc);
        "s_bcnt0_i32_b64" (2) -> 1 = |a, _, _, scc| logic(u64::from(a.count_zeros()), scc);
        "s_bcnt1_i32_b32" (1) -> 1 = |a, _, _, scc| logic(u64::from(a.count_ones()), scc);
        "s_bcnt1_i32_b64" (2) -> 1 = |a, _, _, scc| logic(u64::from(a.count_ones()), scc);
        "s_ff0_i32_b32" (1) -> 1 = |a, _, _, _scc| place(a as u32 != u32::MAX, (a as u32).trailing_ones());
        "s_ff0_i32_b64" (2) -> 1 = |a, _, _, _scc| place(a != u64::MAX, a.trailing_ones());
        "s_ctz_i32_b32" (1) -> 1 = |a, _, _, _scc| place(a != 0, a.trailing_zeros());
        "s_ctz_i32_b64" (2) -> 1 = |a, _, _, _scc| place(a != 0, a.trailing_zeros());
        "s_clz_i32_u32" (1) -> 1 = |a, _, _, _scc| place(a != 0, (a as u32).leading_zeros());
        "s_clz_i32_u64" (2) -> 1 = |a, _, _, _scc| place(a != 0, a.leading_zeros());
        "s_cls_i32" (1) -> 1 = |a, _, _, _scc| {
            let same = (if signed(a) < 0 { !signed(a) } else { signed(a) }) as u32;
            place(same != 0, same.leading_zeros())
        };
        "s_cls_i32_i64" (2) -> 1 = |a, _, _, _scc| {
            let same = if (a as i64) < 0 { !a } else { a };
            place(same != 0, same.leading_zeros())
        };
        "s_sext_i32_i8" (1) -> 1 = |a, _, _, _scc| word(i64::from(a as i8));
        "s_sext_i32_i16" (1) -> 1 = |a, _, _, _scc| word(i64::from(a as i16));
        "s_pack_ll_b32_b16" (1, 1) -> 1 = |a, b, _, _scc| (a & 0xffff) | ((b & 0xffff) << 16);
        "s_pack_lh_b32_b16" (1, 1) -> 1 = |a, b, _, _scc| (a & 0xffff) | (b & 0xffff_0000);
        "s_pack_hh_b32_b16" (1, 1) -> 1 = |a, b, _, _scc| ((a >> 16) & 0xffff) | (b & 0xffff_0000);
        "s_pack_hl_b32_b16" (1, 1) -> 1 = |a, b, _, _scc| ((a >> 16) & 0xffff) | ((b & 0xffff) << 16);
        "s_wqm_b32" (1) -> 1 = |a, _, _, scc| logic(whole_quads(a), scc);
        "s_wqm_b64" (2) -> 2 = |a, _, _, scc| logic(whole_quads(a), scc);
        "s_bitreplicate_b64_b32" (1) -> 2 = |a, _, _, _scc| replicate(a);
        "s_cmp_eq_i32" "s_cmp_eq_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a == b; 0 };
        "s_cmp_lg_i32" "s_cmp_lg_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a != b; 0 };
        "s_cmp_gt_i32" (1, 1) -> 0 = |a, b, _, scc| { *scc = signed(a) > signed(b); 0 };
        "s_cmp_ge_i32" (1, 1) -> 0 = |a, b, _, scc| { *scc = signed(a) >= signed(b); 0 };
        "s_cmp_lt_i32" (1, 1) -> 0 = |a, b, _, scc| { *scc = signed(a) < signed(b); 0 };
        "s_cmp_le_i32" (1, 1) -> 0 = |a, b, _, scc| { *scc = signed(a) <= signed(b); 0 };
        "s_cmp_gt_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a > b; 0 };
        "s_cmp_ge_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a >= b; 0 };
        "s_cmp_lt_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a < b; 0 };
        "s_cmp_le_u32" (1, 1) -> 0 = |a, b, _, scc| { *scc = a <= b; 0 };
        "s_cmp_eq_u64" (2, 2) -> 0 = |a, b, _, scc| { *scc = a == b; 0 };
        "s_cmp_lg_u64" (2, 2) -> 0 = |a, b, _, scc| { *scc = a != b; 0 };
        "s_bitcmp0_b32" (1, 1) -> 0 = |a, b, _, scc| { *scc = (a >> (b & 31)) & 1 == 0; 0 };
        "s_bitcmp1_b32" (1, 1) -> 0 = |a, b, _, scc| { *scc = (a >> (b & 31)) & 1 == 1; 0 };
        "s_bitcmp0_b64" (2, 1) -> 0 = |a, b, _, scc| { *scc = (a >> (b & 63)) & 1 == 0; 0 };
        "s_bitcmp1_b64" (2, 1) -> 0 = |a, b, _, scc| { *scc = (a >> (b & 63)) & 1 == 1; 0 };
    }
}

/// Operations that read their destination.
mod accumulating {
    use super::*;

    const BITWISE: bool = false;
    const READS_DESTINATION: bool = true;

    /// A 16-bit constant, extended by its sign.
    fn extended(a: u64) -> i32 {
        i32::from(a as i16)
    }

    scalars! {
        "s_cmovk_i32" (1) -> 1 = |a, _, old, scc| if *scc { word(i64::from(extended(a))) } else { old };
        "s_cmov_b32" (1) -> 1 = |a, _, old, scc| if *scc { a } else { old };
        "s_cmov_b64" (2) -> 2 = |a, _, old, scc| if *scc { a } else { old };
        "s_addk_i32" "s_addk_co_i32" (1) -> 1 = |a, _, old, scc| {
            let (sum, overflow) = signed(old).overflowing_add(extended(a));
            *scc = overflow;
            word(i64::from(sum))
        };
        "s_mulk_i32" (1) -> 1 = |a, _, old, _scc| word(i64::from(signed(old).wrapping_mul(extended(a))));
        "s_cmpk_eq_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) == extended(a); 0 };
        "s_cmpk_lg_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) != extended(a); 0 };
        "s_cmpk_gt_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) > extended(a); 0 };
        "s_cmpk_ge_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) >= extended(a); 0 };
        "s_cmpk_lt_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) < extended(a); 0 };
        "s_cmpk_le_i32" (1) -> 0 = |a, _, old, scc| { *scc = signed(old) <= extended(a); 0 };
        "s_cmpk_eq_u32" (1) -> 0 = |a, _, old, scc| { *scc = old == a & 0xffff; 0 };
        "s_cmpk_lg_u32" (1) -> 0 = |a, _, old, scc| { *scc = old != a & 0xffff; 0 };
        "s_cmpk_gt_u32" (1) -> 0 = |a, _, old, scc| { *scc = old > a & 0xffff; 0 };
        "s_cmpk_ge_u32" (1) -> 0 = |a, _, old, scc| { *scc = old >= a & 0xffff; 0 };
        "s_cmpk_lt_u32" (1) -> 0 = |a, _, old, scc| { *scc = old < a & 0xffff; 0 };
        "s_cmpk_le_u32" (1) -> 0 = |a, _, old, scc| { *scc = old <= a & 0xffff; 0 };
        "s_bitset0_b32" (1) -> 1 = |a, _, old, _scc| old & !(1 << (a & 31));
        "s_bitset1_b32" (1) -> 1 = |a, _, old, _scc| old | (1 << (a & 31));
        "s_bitset0_b64" (1) -> 2 = |a, _, old, _scc| old & !(1 << (a & 63));
        "s_bitset1_b64" (1) -> 2 = |a, _, old, _scc| old | (1 << (a & 63));
    }
}

/// The operation of a canonical name.
pub fn find(name: &str) -> Option<&'static ScalarOperation> {
    bits::operation(name)
        .or_else(|| plain::operation(name))
        .or_else(|| accumulating::operation(name))
}

/// The names of all tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    let tables = [bits::NAMES, plain::NAMES, accumulating::NAMES];
    tables.into_iter().flatten().copied()
}

/// A new execution mask, of a source and the old mask.
pub type Mask = fn(source: u64, exec: u64) -> u64;

/// What instructions of the `saveexec` and `wrexec` kinds make of source and mask.
pub const MASKS: [(&str, Mask); 10] = [
    ("and", |source, exec| source & exec),
    ("or", |source, exec| source | exec),
    ("xor", |source, exec| source ^ exec),
    ("nand", |source, exec| !(source & exec)),
    ("nor", |source, exec| !(source | exec)),
    ("xnor", |source, exec| !(source ^ exec)),
    ("and_not0", |source, exec| !source & exec),
    ("and_not1", |source, exec| source & !exec),
    ("or_not0", |source, exec| !source | exec),
    ("or_not1", |source, exec| source | !exec),
];

/// One of [`MASKS`].
pub fn mask_operation(name: &str) -> Option<Mask> {
    let found = MASKS.iter().find(|(other, _)| *other == name);
    found.map(|(_, run)| *run)
}
