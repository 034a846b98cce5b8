//! Conversions between types. To integers they round towards zero and saturate; a NaN becomes 0.

use half::f16;

use crate::lanes::{F16, F32, F64, I16, I32, U16, U32};

const JOINS: bool = false;

/// `f32` to `f16`, towards zero.
#[inline(always)]
fn truncate(value: f32) -> f16 {
    let nearest = f16::from_f32(value);
    if nearest.is_nan() || value.is_infinite() {
        return nearest;
    }
    if nearest.to_f32().abs() > value.abs() {
        f16::from_bits(nearest.to_bits() - 1)
    } else {
        nearest
    }
}

/// Two halves of a register.
#[inline(always)]
fn pack(low: u16, high: u16) -> u32 {
    u32::from(low) | (u32::from(high) << 16)
}

/// Replaces a byte (`v_cvt_pk_u8_f32`).
#[inline(always)]
fn insert_byte(value: f32, at: u32, into: u32) -> u32 {
    let shift = 8 * (at & 3);
    (into & !(255 << shift)) | (u32::from(value.round_ties_even() as u8) << shift)
}

/// A 4-bit number, in sixteenths (`v_cvt_off_f32_i4`).
#[inline(always)]
fn sixteenths(value: u32) -> f32 {
    (((value << 28) as i32) >> 28) as f32 / 16.0
}

super::operations! {
    "v_cvt_f32_i32" (a: I32) -> F32 = a as f32;
    "v_cvt_f32_u32" (a: U32) -> F32 = a as f32;
    "v_cvt_i32_f32" (a: F32) -> I32 = a as i32;
    "v_cvt_u32_f32" (a: F32) -> U32 = a as u32;
    "v_cvt_floor_i32_f32" (a: F32) -> I32 = a.floor() as i32;
    "v_cvt_nearest_i32_f32" (a: F32) -> I32 = (f64::from(a) + 0.5).floor() as i32;
    "v_cvt_f64_i32" (a: I32) -> F64 = f64::from(a);
    "v_cvt_f64_u32" (a: U32) -> F64 = f64::from(a);
    "v_cvt_i32_f64" (a: F64) -> I32 = a as i32;
    "v_cvt_u32_f64" (a: F64) -> U32 = a as u32;
    "v_cvt_f64_f32" (a: F32) -> F64 = f64::from(a);
    "v_cvt_f32_f64" (a: F64) -> F32 = a as f32;
    "v_cvt_f16_f32" (a: F32) -> F16 = f16::from_f32(a);
    "v_cvt_f32_f16" (a: F16) -> F32 = a.to_f32();
    "v_cvt_f16_u16" (a: U16) -> F16 = f16::from_f32(f32::from(a));
    "v_cvt_f16_i16" (a: I16) -> F16 = f16::from_f32(f32::from(a));
    "v_cvt_u16_f16" (a: F16) -> U16 = a.to_f32() as u16;
    "v_cvt_i16_f16" (a: F16) -> I16 = a.to_f32() as i16;
    "v_cvt_u32_u16" (a: U16) -> U32 = u32::from(a);
    "v_cvt_i32_i16" (a: I16) -> I32 = i32::from(a);
    "v_cvt_f32_ubyte0" (a: U32) -> F32 = (a & 255) as f32;
    "v_cvt_f32_ubyte1" (a: U32) -> F32 = ((a >> 8) & 255) as f32;
    "v_cvt_f32_ubyte2" (a: U32) -> F32 = ((a >> 16) & 255) as f32;
    "v_cvt_f32_ubyte3" (a: U32) -> F32 = (a >> 24) as f32;
    "v_cvt_off_f32_i4" (a: U32) -> F32 = sixteenths(a);
    "v_cvt_pk_rtz_f16_f32" (a: F32, b: F32) -> U32 = pack(truncate(a).to_bits(), truncate(b).to_bits());
    "v_cvt_pk_u16_u32" (a: U32, b: U32) -> U32 = pack(a.min(0xffff) as u16, b.min(0xffff) as u16);
    "v_cvt_pk_i16_i32" (a: I32, b: I32) -> U32 =
        pack(a.clamp(-0x8000, 0x7fff) as u16, b.clamp(-0x8000, 0x7fff) as u16);
    "v_cvt_pk_u16_f32" (a: F32, b: F32) -> U32 = pack(a as u16, b as u16);
    "v_cvt_pk_i16_f32" (a: F32, b: F32) -> U32 = pack(a as i16 as u16, b as i16 as u16);
    "v_cvt_pk_u8_f32" (a: F32, b: U32, c: U32) -> U32 = insert_byte(a, b, c);
}
