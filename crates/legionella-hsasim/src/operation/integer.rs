//! Integer arithmetic. The names that end in `.clamp` are the saturating forms (modifier `clamp`).

use crate::lanes::{I16, I32, I64, U16, U32, U64};

const JOINS: bool = false;

/// The lower 24 bits.
#[inline(always)]
fn low24(value: u32) -> u32 {
    value & 0xff_ffff
}

/// The lower 24 bits, as a signed number.
#[inline(always)]
fn signed24(value: i32) -> i32 {
    (value << 8) >> 8
}

/// The middle of three.
#[inline(always)]
fn median<T: Ord + Copy>(a: T, b: T, c: T) -> T {
    a.min(b).max(a.max(b).min(c))
}

/// The sum of the absolute differences of bytes.
#[inline(always)]
fn byte_differences(a: u32, b: u32) -> u32 {
    let mut sum = 0;
    for byte in 0..4 {
        sum += ((a >> (8 * byte)) & 255).abs_diff((b >> (8 * byte)) & 255);
    }
    sum
}

super::operations! {
    "v_add_nc_u32" (a: U32, b: U32) -> U32 = a.wrapping_add(b);
    "v_sub_nc_u32" (a: U32, b: U32) -> U32 = a.wrapping_sub(b);
    "v_subrev_nc_u32" (a: U32, b: U32) -> U32 = b.wrapping_sub(a);
    "v_add_nc_u32.clamp" (a: U32, b: U32) -> U32 = a.saturating_add(b);
    "v_sub_nc_u32.clamp" (a: U32, b: U32) -> U32 = a.saturating_sub(b);
    "v_subrev_nc_u32.clamp" (a: U32, b: U32) -> U32 = b.saturating_sub(a);
    "v_add_nc_i32" (a: I32, b: I32) -> I32 = a.wrapping_add(b);
    "v_sub_nc_i32" (a: I32, b: I32) -> I32 = a.wrapping_sub(b);
    "v_add_nc_i32.clamp" (a: I32, b: I32) -> I32 = a.saturating_add(b);
    "v_sub_nc_i32.clamp" (a: I32, b: I32) -> I32 = a.saturating_sub(b);
    "v_add_nc_u16" (a: U16, b: U16) -> U16 = a.wrapping_add(b);
    "v_sub_nc_u16" (a: U16, b: U16) -> U16 = a.wrapping_sub(b);
    "v_subrev_nc_u16" (a: U16, b: U16) -> U16 = b.wrapping_sub(a);
    "v_add_nc_i16" (a: I16, b: I16) -> I16 = a.wrapping_add(b);
    "v_sub_nc_i16" (a: I16, b: I16) -> I16 = a.wrapping_sub(b);
    "v_add_nc_u16.clamp" (a: U16, b: U16) -> U16 = a.saturating_add(b);
    "v_sub_nc_u16.clamp" (a: U16, b: U16) -> U16 = a.saturating_sub(b);
    "v_subrev_nc_u16.clamp" (a: U16, b: U16) -> U16 = b.saturating_sub(a);
    "v_add_nc_i16.clamp" (a: I16, b: I16) -> I16 = a.saturating_add(b);
    "v_sub_nc_i16.clamp" (a: I16, b: I16) -> I16 = a.saturating_sub(b);
    "v_mul_lo_u32" (a: U32, b: U32) -> U32 = a.wrapping_mul(b);
    "v_mul_hi_u32" (a: U32, b: U32) -> U32 = ((u64::from(a) * u64::from(b)) >> 32) as u32;
    "v_mul_hi_i32" (a: I32, b: I32) -> I32 = ((i64::from(a) * i64::from(b)) >> 32) as i32;
    "v_mul_lo_u16" (a: U16, b: U16) -> U16 = a.wrapping_mul(b);
    "v_mul_u32_u24" (a: U32, b: U32) -> U32 = low24(a).wrapping_mul(low24(b));
    "v_mul_hi_u32_u24" (a: U32, b: U32) -> U32 =
        ((u64::from(low24(a)) * u64::from(low24(b))) >> 32) as u32;
    "v_mul_i32_i24" (a: I32, b: I32) -> I32 = signed24(a).wrapping_mul(signed24(b));
    "v_mul_hi_i32_i24" (a: I32, b: I32) -> I32 =
        ((i64::from(signed24(a)) * i64::from(signed24(b))) >> 32) as i32;
    "v_mad_u32_u24" (a: U32, b: U32, c: U32) -> U32 = low24(a).wrapping_mul(low24(b)).wrapping_add(c);
    "v_mad_i32_i24" (a: I32, b: I32, c: I32) -> I32 = signed24(a).wrapping_mul(signed24(b)).wrapping_add(c);
    "v_mad_u32_u16" (a: U16, b: U16, c: U32) -> U32 = (u32::from(a) * u32::from(b)).wrapping_add(c);
    "v_mad_i32_i16" (a: I16, b: I16, c: I32) -> I32 = (i32::from(a) * i32::from(b)).wrapping_add(c);
    "v_mad_u16" (a: U16, b: U16, c: U16) -> U16 = a.wrapping_mul(b).wrapping_add(c);
    "v_mad_i16" (a: I16, b: I16, c: I16) -> I16 = a.wrapping_mul(b).wrapping_add(c);
    "v_mad_u64_u32" (a: U32, b: U32, c: U64) -> U64 = (u64::from(a) * u64::from(b)).wrapping_add(c);
    "v_mad_u64_u32.carry" (a: U32, b: U32, c: U64) -> U32 =
        u32::from((u64::from(a) * u64::from(b)).checked_add(c).is_none());
    "v_mad_i64_i32" (a: I32, b: I32, c: I64) -> I64 = (i64::from(a) * i64::from(b)).wrapping_add(c);
    "v_mad_i64_i32.carry" (a: I32, b: I32, c: I64) -> U32 =
        u32::from((i64::from(a) * i64::from(b)).checked_add(c).is_none());
    "v_min_u32" (a: U32, b: U32) -> U32 = a.min(b);
    "v_max_u32" (a: U32, b: U32) -> U32 = a.max(b);
    "v_min_i32" (a: I32, b: I32) -> I32 = a.min(b);
    "v_max_i32" (a: I32, b: I32) -> I32 = a.max(b);
    "v_min_u16" (a: U16, b: U16) -> U16 = a.min(b);
    "v_max_u16" (a: U16, b: U16) -> U16 = a.max(b);
    "v_min_i16" (a: I16, b: I16) -> I16 = a.min(b);
    "v_max_i16" (a: I16, b: I16) -> I16 = a.max(b);
    "v_min3_u32" (a: U32, b: U32, c: U32) -> U32 = a.min(b).min(c);
    "v_max3_u32" (a: U32, b: U32, c: U32) -> U32 = a.max(b).max(c);
    "v_med3_u32" (a: U32, b: U32, c: U32) -> U32 = median(a, b, c);
    "v_min3_i32" (a: I32, b: I32, c: I32) -> I32 = a.min(b).min(c);
    "v_max3_i32" (a: I32, b: I32, c: I32) -> I32 = a.max(b).max(c);
    "v_med3_i32" (a: I32, b: I32, c: I32) -> I32 = median(a, b, c);
    "v_min3_u16" (a: U16, b: U16, c: U16) -> U16 = a.min(b).min(c);
    "v_max3_u16" (a: U16, b: U16, c: U16) -> U16 = a.max(b).max(c);
    "v_med3_u16" (a: U16, b: U16, c: U16) -> U16 = median(a, b, c);
    "v_min3_i16" (a: I16, b: I16, c: I16) -> I16 = a.min(b).min(c);
    "v_max3_i16" (a: I16, b: I16, c: I16) -> I16 = a.max(b).max(c);
    "v_med3_i16" (a: I16, b: I16, c: I16) -> I16 = median(a, b, c);
    "v_minmax_u32" (a: U32, b: U32, c: U32) -> U32 = a.min(b).max(c);
    "v_maxmin_u32" (a: U32, b: U32, c: U32) -> U32 = a.max(b).min(c);
    "v_minmax_i32" (a: I32, b: I32, c: I32) -> I32 = a.min(b).max(c);
    "v_maxmin_i32" (a: I32, b: I32, c: I32) -> I32 = a.max(b).min(c);
    "v_add3_u32" (a: U32, b: U32, c: U32) -> U32 = a.wrapping_add(b).wrapping_add(c);
    "v_lshl_add_u32" (a: U32, b: U32, c: U32) -> U32 = (a << (b & 31)).wrapping_add(c);
    "v_add_lshl_u32" (a: U32, b: U32, c: U32) -> U32 = a.wrapping_add(b) << (c & 31);
    "v_xad_u32" (a: U32, b: U32, c: U32) -> U32 = (a ^ b).wrapping_add(c);
    "v_lshl_add_u64" (a: U64, b: U32, c: U64) -> U64 = (a << (b & 7)).wrapping_add(c);
    "v_sad_u32" (a: U32, b: U32, c: U32) -> U32 = a.abs_diff(b).wrapping_add(c);
    "v_sad_u8" (a: U32, b: U32, c: U32) -> U32 = byte_differences(a, b).wrapping_add(c);
    "v_sad_hi_u8" (a: U32, b: U32, c: U32) -> U32 = (byte_differences(a, b) << 16).wrapping_add(c);
    "v_sad_u16" (a: U32, b: U32, c: U32) -> U32 =
        (a & 0xffff).abs_diff(b & 0xffff).wrapping_add((a >> 16).abs_diff(b >> 16)).wrapping_add(c);
    "v_dot4_u32_u8" (a: U32, b: U32, c: U32) -> U32 =
        (0..4).fold(c, |sum, at| sum.wrapping_add(((a >> (8 * at)) & 255) * ((b >> (8 * at)) & 255)));
    "v_dot4_i32_i8" (a: U32, b: U32, c: U32) -> U32 = (0..4).fold(c, |sum, at| {
        let byte = |word: u32| i32::from((word >> (8 * at)) as i8);
        sum.wrapping_add((byte(a) * byte(b)) as u32)
    });
    "v_dot2_u32_u16" (a: U32, b: U32, c: U32) -> U32 = (a & 0xffff)
        .wrapping_mul(b & 0xffff)
        .wrapping_add((a >> 16).wrapping_mul(b >> 16))
        .wrapping_add(c);
}
