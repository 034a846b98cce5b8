//! Operations that move, shift and join bits.
//!
//! Where registers are partly undefined, what these give counts as defined, since the instructions
//! that follow may take just the defined bits.

use crate::lanes::{I16, I32, I64, U16, U32, U64};

const JOINS: bool = true;

/// The field of `width` bits from `offset`.
#[inline(always)]
fn field(value: u32, offset: u32, width: u32) -> u32 {
    let (offset, width) = (offset & 31, width & 31);
    (value >> offset) & ((1 << width) - 1)
}

/// As [`field`], extended by its sign.
#[inline(always)]
fn signed_field(value: i32, offset: u32, width: u32) -> i32 {
    let (offset, width) = (offset & 31, width & 31);
    if width == 0 {
        return 0;
    }
    if offset + width < 32 {
        (value << (32 - offset - width)) >> (32 - width)
    } else {
        value >> offset
    }
}

/// Four bytes of eight, by selectors (`v_perm_b32`).
#[inline(always)]
fn permute(a: u32, b: u32, selectors: u32) -> u32 {
    let bytes = (u64::from(a) << 32) | u64::from(b);
    let mut result = 0;
    for at in 0..4 {
        let selector = (selectors >> (8 * at)) & 255;
        let sign = |bit: u32| if (bytes >> bit) & 1 == 1 { 255 } else { 0 };
        let byte = match selector {
            0..=7 => (bytes >> (8 * selector)) as u32 & 255,
            8 => sign(15),
            9 => sign(31),
            10 => sign(47),
            11 => sign(63),
            12 => 0,
            _ => 255,
        };
        result |= byte << (8 * at);
    }
    result
}

/// The first place, from the top, where a bit differs from the sign.
#[inline(always)]
fn sign_bits(value: i32) -> u32 {
    let same = if value < 0 { !value } else { value } as u32;
    if same == 0 {
        u32::MAX
    } else {
        same.leading_zeros()
    }
}

super::operations! {
    "v_mov_b32" (a: U32) -> U32 = a;
    "v_mov_b64" (a: U64) -> U64 = a;
    "v_mov_b16" (a: U16) -> U16 = a;
    "v_accvgpr_read_b32" (a: U32) -> U32 = a;
    "v_accvgpr_write_b32" (a: U32) -> U32 = a;
    "v_accvgpr_mov_b32" (a: U32) -> U32 = a;
    "v_not_b32" (a: U32) -> U32 = !a;
    "v_not_b16" (a: U16) -> U16 = !a;
    "v_and_b32" (a: U32, b: U32) -> U32 = a & b;
    "v_or_b32" (a: U32, b: U32) -> U32 = a | b;
    "v_xor_b32" (a: U32, b: U32) -> U32 = a ^ b;
    "v_xnor_b32" (a: U32, b: U32) -> U32 = !(a ^ b);
    "v_and_b16" (a: U16, b: U16) -> U16 = a & b;
    "v_or_b16" (a: U16, b: U16) -> U16 = a | b;
    "v_xor_b16" (a: U16, b: U16) -> U16 = a ^ b;
    "v_and_or_b32" (a: U32, b: U32, c: U32) -> U32 = (a & b) | c;
    "v_or3_b32" (a: U32, b: U32, c: U32) -> U32 = a | b | c;
    "v_xor3_b32" (a: U32, b: U32, c: U32) -> U32 = a ^ b ^ c;
    "v_bfi_b32" (a: U32, b: U32, c: U32) -> U32 = (a & b) | (!a & c);
    "v_bfe_u32" (a: U32, b: U32, c: U32) -> U32 = field(a, b, c);
    "v_bfe_i32" (a: I32, b: U32, c: U32) -> I32 = signed_field(a, b, c);
    "v_bfm_b32" (a: U32, b: U32) -> U32 = ((1 << (a & 31)) - 1) << (b & 31);
    "v_lshlrev_b32" (a: U32, b: U32) -> U32 = b << (a & 31);
    "v_lshrrev_b32" (a: U32, b: U32) -> U32 = b >> (a & 31);
    "v_ashrrev_i32" (a: U32, b: I32) -> I32 = b >> (a & 31);
    "v_lshlrev_b16" (a: U16, b: U16) -> U16 = b << (a & 15);
    "v_lshrrev_b16" (a: U16, b: U16) -> U16 = b >> (a & 15);
    "v_ashrrev_i16" (a: U16, b: I16) -> I16 = b >> (a & 15);
    "v_lshlrev_b64" (a: U32, b: U64) -> U64 = b << (a & 63);
    "v_lshrrev_b64" (a: U32, b: U64) -> U64 = b >> (a & 63);
    "v_ashrrev_i64" (a: U32, b: I64) -> I64 = b >> (a & 63);
    "v_lshl_or_b32" (a: U32, b: U32, c: U32) -> U32 = (a << (b & 31)) | c;
    "v_alignbit_b32" (a: U32, b: U32, c: U32) -> U32 =
        (((u64::from(a) << 32) | u64::from(b)) >> (c & 31)) as u32;
    "v_alignbyte_b32" (a: U32, b: U32, c: U32) -> U32 =
        (((u64::from(a) << 32) | u64::from(b)) >> (8 * (c & 3))) as u32;
    "v_perm_b32" (a: U32, b: U32, c: U32) -> U32 = permute(a, b, c);
    "v_bfrev_b32" (a: U32) -> U32 = a.reverse_bits();
    "v_clz_i32_u32" (a: U32) -> U32 = if a == 0 { u32::MAX } else { a.leading_zeros() };
    "v_ctz_i32_b32" (a: U32) -> U32 = if a == 0 { u32::MAX } else { a.trailing_zeros() };
    "v_cls_i32" (a: I32) -> U32 = sign_bits(a);
    "v_bcnt_u32_b32" (a: U32, b: U32) -> U32 = a.count_ones().wrapping_add(b);
    "v_pack_b32_f16" (a: U16, b: U16) -> U32 = u32::from(a) | (u32::from(b) << 16);
    "v_sat_pk_u8_i16" (a: U32) -> U16 =
        (a as i16).clamp(0, 255) as u16 | (((a >> 16) as i16).clamp(0, 255) as u16) << 8;
}
