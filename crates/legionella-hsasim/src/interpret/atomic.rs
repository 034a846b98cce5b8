//! Atomic operations on memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::decode::{Atomic, Instruction, Operand, Register, Space};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes};
use crate::machine::signal::wake;
use crate::operation::value::{max32, max64, min32, min64};

use super::access::{Addresses, Place, Reach};
use super::wave::Wave;

/// The value that an operation leaves in memory.
pub fn changed(operation: Atomic, bytes: usize, old: u64, data: u64, compare: u64) -> u64 {
    let wide = bytes == 8;
    let signed = |value: u64| {
        if wide {
            value as i64
        } else {
            i64::from(value as u32 as i32)
        }
    };
    let of32 = |value: u64| f32::from_bits(value as u32);
    let float = |single: fn(f32, f32) -> f32, double: fn(f64, f64) -> f64| {
        if wide {
            double(f64::from_bits(old), f64::from_bits(data)).to_bits()
        } else {
            u64::from(single(of32(old), of32(data)).to_bits())
        }
    };
    let value = match operation {
        Atomic::Swap => data,
        Atomic::CompareSwap => {
            if old == compare {
                data
            } else {
                old
            }
        }
        Atomic::Add => old.wrapping_add(data),
        Atomic::Subtract => old.wrapping_sub(data),
        Atomic::ReverseSubtract => data.wrapping_sub(old),
        Atomic::MinSigned => {
            if signed(data) < signed(old) {
                data
            } else {
                old
            }
        }
        Atomic::MaxSigned => {
            if signed(data) > signed(old) {
                data
            } else {
                old
            }
        }
        Atomic::MinUnsigned => old.min(data),
        Atomic::MaxUnsigned => old.max(data),
        Atomic::And => old & data,
        Atomic::Or => old | data,
        Atomic::Xor => old ^ data,
        Atomic::Increment => {
            if old >= data {
                0
            } else {
                old + 1
            }
        }
        Atomic::Decrement => {
            if old == 0 || old > data {
                data
            } else {
                old - 1
            }
        }
        Atomic::AddFloat => float(|a, b| a + b, |a, b| a + b),
        Atomic::MinFloat => float(min32, min64),
        Atomic::MaxFloat => float(max32, max64),
        Atomic::AddHalves => {
            let sum = |shift: u32| {
                let half = |value: u64| half::f16::from_bits((value >> shift) as u16).to_f32();
                u64::from(half::f16::from_f32(half(old) + half(data)).to_bits()) << shift
            };
            sum(0) | sum(16)
        }
    };
    if wide { value } else { value & 0xffff_ffff }
}

/// Changes the machine's memory; gives the old value.
fn change_global(address: u64, bytes: usize, change: impl Fn(u64) -> u64) -> u64 {
    // SAFETY: the caller has checked that the bytes are in a region and aligned.
    unsafe {
        if bytes == 8 {
            let word = &*(address as *const AtomicU64);
            word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| Some(change(old)))
                .unwrap_or_else(|old| old)
        } else {
            let word = &*(address as *const AtomicU32);
            let update = |old: u32| Some(change(u64::from(old)) as u32);
            u64::from(
                word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update)
                    .unwrap_or_else(|old| old),
            )
        }
    }
}

/// Executes an operation for the active lanes of a half, one after the other.
pub fn execute(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    space: Space,
    half: usize,
    addresses: &Addresses,
    (operation, bytes, returns): (Atomic, usize, bool),
) -> Result<(), Fault> {
    const WHAT: &str = "an atomic access";
    let words = bytes / 4;
    let exec = wave.exec(half);
    let operand = |wave: &Wave, operand: Operand| match operand {
        Operand::Vector(number) => wave.place(half, number, words),
        operand => Err(Fault::Unknown(format!("an atomic access with {operand:?}"))),
    };
    let data = operand(wave, instruction.sources[1])?;
    let compare = match operation {
        Atomic::CompareSwap => operand(wave, instruction.sources[2])?,
        _ => data,
    };
    let value = |wave: &Wave, place: usize, lane: usize| {
        let low = u64::from(wave.vectors[place].0[lane]);
        if words == 2 {
            low | (u64::from(wave.vectors[place + 1].0[lane]) << 32)
        } else {
            low
        }
    };
    let mut results = [Lanes([0; LANES]); 2];
    let mut defined = u32::MAX;
    let mut remaining = exec;
    while remaining != 0 {
        let lane = remaining.trailing_zeros() as usize;
        remaining &= remaining - 1;
        if (wave.defined[compare] >> lane) & 1 == 0
            && let (Atomic::CompareSwap, Operand::Vector(number)) =
                (operation, instruction.sources[2])
        {
            return Err(Fault::Undefined(
                Register::Vector(number),
                "a value to compare with",
            ));
        }
        let address = addresses[lane];
        let number = half * LANES + lane;
        if !address.is_multiple_of(bytes as u64) {
            return Err(Fault::Misaligned {
                what: WHAT,
                address,
                size: bytes,
                lane: number,
            });
        }
        let target = reach.place(wave, space, address, bytes, number, WHAT)?;
        let (new, compare) = (value(wave, data, lane), value(wave, compare, lane));
        let change = |old| changed(operation, bytes, old, new, compare);
        let old = match target {
            Place::Global(address) => {
                let old = change_global(address, bytes, change);
                if reach.memory.is_control() {
                    wake(address);
                }
                old
            }
            Place::Local(offset) => {
                let (old, is_defined) = reach.local.read(offset, bytes);
                defined &= !(u32::from(!is_defined) << lane);
                reach.local.write(
                    offset,
                    bytes,
                    change(old),
                    is_defined || operation == Atomic::Swap,
                );
                old
            }
            Place::Scratch(offset) => {
                let (old, is_defined) = wave.stacks.read(number, offset, bytes);
                defined &= !(u32::from(!is_defined) << lane);
                wave.stacks.write(
                    number,
                    offset,
                    bytes,
                    change(old),
                    is_defined || operation == Atomic::Swap,
                );
                old
            }
        };
        results[0].0[lane] = old as u32;
        results[1].0[lane] = (old >> 32) as u32;
    }
    if returns {
        let place = operand(wave, instruction.destination)?;
        for (word, result) in results.iter().enumerate().take(words) {
            wave.put(place + word, exec, result, defined);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_at_their_corners() {
        let of = |operation, old, data| changed(operation, 4, old, data, 7);
        assert_eq!(of(Atomic::Add, 0xffff_ffff, 2), 1);
        assert_eq!(of(Atomic::Subtract, 0, 1), 0xffff_ffff);
        assert_eq!(of(Atomic::ReverseSubtract, 1, 0), 0xffff_ffff);
        assert_eq!(of(Atomic::MinSigned, 0xffff_ffff, 0), 0xffff_ffff);
        assert_eq!(of(Atomic::MinUnsigned, 0xffff_ffff, 0), 0);
        assert_eq!(of(Atomic::MaxSigned, 0xffff_ffff, 0), 0);
        assert_eq!(of(Atomic::Increment, 5, 5), 0);
        assert_eq!(of(Atomic::Increment, 4, 5), 5);
        assert_eq!(of(Atomic::Decrement, 0, 5), 5);
        assert_eq!(of(Atomic::Decrement, 6, 5), 5);
        assert_eq!(of(Atomic::Decrement, 5, 5), 4);
        assert_eq!(of(Atomic::CompareSwap, 7, 9), 9);
        assert_eq!(of(Atomic::CompareSwap, 8, 9), 8);
        assert_eq!(
            of(
                Atomic::AddFloat,
                1f32.to_bits().into(),
                2f32.to_bits().into()
            ),
            3f32.to_bits().into()
        );
        // The upper halves count in operations of 64 bits.
        let old = 7 | (1 << 40);
        assert_eq!(changed(Atomic::CompareSwap, 8, old, 9, 7), old);
        assert_eq!(
            changed(Atomic::AddHalves, 4, 0x3c00_3c00, 0x3c00_4000, 0),
            0x4000_4200
        );
    }
}
