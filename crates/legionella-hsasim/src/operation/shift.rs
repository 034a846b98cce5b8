//! Operations that move and count the bits of a register: nothing of an undefined value is defined thereafter.

use crate::lanes::{I16, I32, I64, U16, U32, U64};

const JOINS: bool = false;

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
    "v_bfrev_b32" (a: U32) -> U32 = a.reverse_bits();
    "v_clz_i32_u32" (a: U32) -> U32 = if a == 0 { u32::MAX } else { a.leading_zeros() };
    "v_ctz_i32_b32" (a: U32) -> U32 = if a == 0 { u32::MAX } else { a.trailing_zeros() };
    "v_cls_i32" (a: I32) -> U32 = sign_bits(a);
    "v_bcnt_u32_b32" (a: U32, b: U32) -> U32 = a.count_ones().wrapping_add(b);
}
