//! Operations that join bits of several registers.
//!
//! Where registers are partly undefined, what these give counts as defined, since the instructions
//! that follow may take just the defined bits.

use crate::lanes::{U16, U32, U64};

const JOINS: bool = true;

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
    "v_lshl_or_b32" (a: U32, b: U32, c: U32) -> U32 = (a << (b & 31)) | c;
    "v_alignbit_b32" (a: U32, b: U32, c: U32) -> U32 =
        (((u64::from(a) << 32) | u64::from(b)) >> (c & 31)) as u32;
    "v_alignbyte_b32" (a: U32, b: U32, c: U32) -> U32 =
        (((u64::from(a) << 32) | u64::from(b)) >> (8 * (c & 3))) as u32;
    "v_perm_b32" (a: U32, b: U32, c: U32) -> U32 = permute(a, b, c);
    "v_pack_b32_f16" (a: U16, b: U16) -> U32 = u32::from(a) | (u32::from(b) << 16);
    "v_sat_pk_u8_i16" (a: U32) -> U16 =
        (a as i16).clamp(0, 255) as u16 | (((a >> 16) as i16).clamp(0, 255) as u16) << 8;
}
