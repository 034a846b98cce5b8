//! Packed arithmetic: an operation on both halves of registers, or on two registers, and operations whose
//! sources are halves or whole registers.

use std::mem::MaybeUninit;

use crate::decode::{Instruction, Modifiers, Operand};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes};
use crate::operation::value::saturate;
use crate::operation::{Operation, Output};

use super::source::{ROOM, Source, fetch};
use super::wave::Wave;

const DEFAULT: Modifiers = Modifiers {
    absolute: 0,
    negate: 0,
    select: 0,
    select_high: 0xff,
    negate_high: 0,
    clamp: false,
    multiply: 0,
    permute: None,
    parts: None,
};

fn destination(instruction: &Instruction) -> Result<u16, Fault> {
    match instruction.destination {
        Operand::Vector(number) => Ok(number),
        operand => Err(Fault::Unknown(format!("a packed result in {operand:?}"))),
    }
}

fn run(operation: &Operation, sources: &[Lanes; 3]) -> Lanes {
    let mut output: Output = MaybeUninit::uninit();
    // SAFETY: agents exist only where the processor has what the tables need; packed operations have
    // sources and results of one register.
    unsafe {
        (operation.run)(
            &mut output,
            &raw const sources[0],
            &raw const sources[1],
            &raw const sources[2],
        );
        *(output.as_ptr() as *const Lanes)
    }
}

fn clamped(lanes: &mut Lanes, half: bool) {
    for lane in &mut lanes.0 {
        *lane = if half {
            let value = half::f16::from_bits(*lane as u16).to_f64();
            u32::from(half::f16::from_f64(saturate(value)).to_bits())
        } else {
            (saturate(f64::from(f32::from_bits(*lane))) as f32).to_bits()
        };
    }
}

/// An operation of 16 bits on both halves.
pub fn halves(
    wave: &mut Wave,
    instruction: &Instruction,
    operation: &'static Operation,
) -> Result<(), Fault> {
    let modifiers = instruction.modifiers.as_deref().unwrap_or(&DEFAULT);
    let number = destination(instruction)?;
    for half in 0..wave.halves {
        let mut rooms = [ROOM; 3];
        let mut sources: [Lanes; 3] = [Lanes([0; LANES]); 3];
        let mut defined = u32::MAX;
        let mut fetched = Vec::with_capacity(3);
        for (at, room) in rooms.iter_mut().enumerate().take(operation.sources.len()) {
            let source = fetch(wave, instruction.sources[at], 1, half, room)?;
            defined &= source.defined;
            fetched.push(source);
        }
        let mut result = Lanes([0; LANES]);
        for (upper, select, negate) in [
            (false, modifiers.select, modifiers.negate),
            (true, modifiers.select_high, modifiers.negate_high),
        ] {
            for (at, source) in fetched.iter().enumerate() {
                let shift = if (select >> at) & 1 == 1 { 16 } else { 0 };
                let sign = u32::from((negate >> at) & 1 == 1) << 15;
                for lane in 0..LANES {
                    // SAFETY: a source has a register.
                    let word = unsafe { (*source.registers).0[lane] };
                    sources[at].0[lane] = ((word >> shift) & 0xffff) ^ sign;
                }
            }
            let mut lanes = run(operation, &sources);
            if modifiers.clamp {
                clamped(&mut lanes, true);
            }
            for lane in 0..LANES {
                result.0[lane] |= (lanes.0[lane] & 0xffff) << if upper { 16 } else { 0 };
            }
        }
        let place = wave.place(half, number, 1)?;
        wave.put(place, wave.exec(half), &result, defined);
    }
    Ok(())
}

/// An operation of 32 bits on two registers. A move takes its two words from its two sources.
pub fn words(
    wave: &mut Wave,
    instruction: &Instruction,
    operation: &'static Operation,
) -> Result<(), Fault> {
    let modifiers = instruction.modifiers.as_deref().unwrap_or(&DEFAULT);
    let number = destination(instruction)?;
    let moves = operation.sources.len() == 1;
    for half in 0..wave.halves {
        let mut rooms = [ROOM; 3];
        let mut fetched = Vec::with_capacity(3);
        // Each word has its own, and may be undefined alone.
        let mut defined = [u32::MAX; 2];
        let count = if moves { 2 } else { operation.sources.len() };
        for (at, room) in rooms.iter_mut().enumerate().take(count) {
            let operand = instruction.sources[at];
            // A constant stands in both words.
            let operand = match operand {
                Operand::Constant(value) => {
                    Operand::Constant((value & 0xffff_ffff) | (value << 32))
                }
                operand => operand,
            };
            fetched.push(fetch(wave, operand, 2, half, room)?);
        }
        let word = |source: &Source, upper: bool, negate: bool| {
            // SAFETY: a source has two registers.
            let mut lanes = unsafe { *source.registers.add(usize::from(upper)) };
            if negate {
                lanes.0.iter_mut().for_each(|lane| *lane ^= 0x8000_0000);
            }
            lanes
        };
        let bit = |bits: u8, at: usize| (bits >> at) & 1 == 1;
        // What is known of the upper word alone is that it is defined if both are.
        let part = |source: &Source, upper: bool| if upper { source.defined } else { source.low };
        let mut results = [Lanes([0; LANES]); 2];
        if moves {
            for at in 0..2 {
                let upper = bit(modifiers.select, at);
                results[at] = word(&fetched[at], upper, false);
                defined[at] = part(&fetched[at], upper);
            }
        } else {
            for (at, (select, negate)) in [
                (modifiers.select, modifiers.negate),
                (modifiers.select_high, modifiers.negate_high),
            ]
            .into_iter()
            .enumerate()
            {
                let mut sources = [Lanes([0; LANES]); 3];
                for (index, source) in fetched.iter().enumerate() {
                    let upper = bit(select, index);
                    sources[index] = word(source, upper, bit(negate, index));
                    defined[at] &= part(source, upper);
                }
                results[at] = run(operation, &sources);
                if modifiers.clamp {
                    clamped(&mut results[at], false);
                }
            }
        }
        let place = wave.place(half, number, 2)?;
        let exec = wave.exec(half);
        wave.put(place, exec, &results[0], defined[0]);
        wave.put(place + 1, exec, &results[1], defined[1]);
    }
    Ok(())
}

/// An operation on `f32` whose sources may be halves of registers, as `f16` (`v_fma_mix`).
pub fn mixed(
    wave: &mut Wave,
    instruction: &Instruction,
    operation: &'static Operation,
) -> Result<(), Fault> {
    let modifiers = instruction.modifiers.as_deref().unwrap_or(&DEFAULT);
    let number = destination(instruction)?;
    for half in 0..wave.halves {
        let mut sources = [Lanes([0; LANES]); 3];
        let mut defined = u32::MAX;
        for (at, lanes) in sources.iter_mut().enumerate() {
            let mut room = ROOM;
            let source = fetch(wave, instruction.sources[at], 1, half, &mut room)?;
            defined &= source.defined;
            let bit = |bits: u8| (bits >> at) & 1 == 1;
            for (lane, value) in lanes.0.iter_mut().enumerate() {
                // SAFETY: a source has a register.
                let word = unsafe { (*source.registers).0[lane] };
                let mut bits = if bit(modifiers.select_high) {
                    let shift = if bit(modifiers.select) { 16 } else { 0 };
                    half::f16::from_bits((word >> shift) as u16)
                        .to_f32()
                        .to_bits()
                } else {
                    word
                };
                // The modifier that negates upper halves elsewhere drops the sign here.
                if bit(modifiers.absolute) || bit(modifiers.negate_high) {
                    bits &= 0x7fff_ffff;
                }
                if bit(modifiers.negate) {
                    bits ^= 0x8000_0000;
                }
                *value = bits;
            }
        }
        let mut result = run(operation, &sources);
        let is_half = operation.output.is_half();
        if modifiers.clamp {
            clamped(&mut result, is_half);
        }
        let place = wave.place(half, number, 1)?;
        if is_half {
            let upper = modifiers.select & 8 != 0;
            let old = &wave.vectors[place];
            for lane in 0..LANES {
                let value = result.0[lane] & 0xffff;
                result.0[lane] = if upper {
                    (value << 16) | (old.0[lane] & 0xffff)
                } else {
                    value | (old.0[lane] & 0xffff_0000)
                };
            }
        }
        wave.put(place, wave.exec(half), &result, defined);
    }
    Ok(())
}
