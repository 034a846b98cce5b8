//! Where the sources of vector instructions come from, with what is done to them on the way.

use std::mem::MaybeUninit;

use crate::decode::{Modifiers, Operand, Part};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes, Type};

use super::wave::Wave;

/// Room for a source that is not a register as it stands. Zeroing it would cost more than most operations.
pub type Room = MaybeUninit<[Lanes; 2]>;

/// Empty room.
pub const ROOM: Room = MaybeUninit::uninit();

/// A source: its registers, and the lanes that are defined.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// As many registers as the type has words.
    pub registers: *const Lanes,
    /// A bit a lane: whether all words are defined.
    pub defined: u32,
    /// A bit a lane: whether the lower word is.
    pub low: u32,
}

/// The source of an operand, for one half.
#[inline(always)]
pub fn fetch(
    wave: &Wave,
    operand: Operand,
    words: usize,
    half: usize,
    room: &mut Room,
) -> Result<Source, Fault> {
    match operand {
        Operand::Vector(number) => {
            let place = wave.place(half, number, words)?;
            let low = wave.defined[place];
            let mut defined = low;
            if words == 2 {
                defined &= wave.defined[place + 1];
            }
            Ok(Source {
                registers: &raw const wave.vectors[place],
                defined,
                low,
            })
        }
        operand => {
            let (value, undefined) = wave.read_bits(operand, words);
            let registers = room.as_mut_ptr() as *mut Lanes;
            // SAFETY: the room has two registers.
            unsafe {
                *registers = Lanes::splat(value as u32);
                if words == 2 {
                    *registers.add(1) = Lanes::splat((value >> 32) as u32);
                }
            }
            Ok(Source {
                registers,
                defined: 0u32.wrapping_sub(u32::from(undefined == 0)),
                low: 0u32.wrapping_sub(u32::from(undefined as u32 == 0)),
            })
        }
    }
}

/// Applies what modifiers do to the source at a place: half, part, magnitude, sign.
pub fn modify(
    source: Source,
    at: usize,
    kind: Type,
    modifiers: &Modifiers,
    room: &mut Room,
) -> Source {
    let words = kind.words();
    let mut copy = [Lanes([0; LANES]); 2];
    for (word, copy) in copy.iter_mut().enumerate().take(words) {
        // SAFETY: a source has as many registers as its type has words.
        *copy = unsafe { *source.registers.add(word) };
    }
    let bit = |bits: u8| (bits >> at) & 1 == 1;
    if kind.is_half() && bit(modifiers.select) {
        copy[0].0.iter_mut().for_each(|lane| *lane >>= 16);
    }
    if let Some(parts) = &modifiers.parts
        && at < 2
    {
        let part = parts.sources[at];
        let extend = bit(parts.extend);
        copy[0]
            .0
            .iter_mut()
            .for_each(|lane| *lane = taken(*lane, part, extend));
    }
    let sign = match kind {
        Type::F16 | Type::B16 => 0x8000,
        _ => 0x8000_0000,
    };
    let top = &mut copy[words - 1].0;
    if bit(modifiers.absolute) {
        top.iter_mut().for_each(|lane| *lane &= !sign);
    }
    if bit(modifiers.negate) {
        top.iter_mut().for_each(|lane| *lane ^= sign);
    }
    Source {
        registers: room.write(copy).as_ptr(),
        defined: source.defined,
        low: source.low,
    }
}

/// A part of a word.
fn taken(word: u32, part: Part, extend: bool) -> u32 {
    let above = 32 - u32::from(part.bits);
    let left = (word >> part.shift) << above;
    if extend {
        ((left as i32) >> above) as u32
    } else {
        left >> above
    }
}
