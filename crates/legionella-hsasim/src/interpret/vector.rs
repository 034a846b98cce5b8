//! Vector arithmetic: sources in, results out, under the execution mask.

use std::mem::MaybeUninit;

use crate::decode::{EXEC, Instruction, Kind, Modifiers, Operand, Part, Register, Rest, VCC};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes, Type};
use crate::operation::value::saturate;
use crate::operation::{Comparison, Operation, Output};

use super::permute::{Permuted, permuted};
use super::source::{ROOM, Room, Source, fetch, modify};
use super::wave::Wave;

/// What is known of a result that is not written yet; its lanes stay where they were computed.
#[derive(Clone, Copy)]
struct Computed {
    kind: Type,
    defined: u32,
    /// Of results of 64 bits, lanes whose lower word is defined.
    low: u32,
    /// Lanes that are written.
    exec: u32,
}

/// How results of 16 bits go into registers, for the instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Halves {
    /// The other half stays as it is.
    pub keep: bool,
}

/// Executes an operation with one result a lane.
#[inline(always)]
pub fn operation(
    wave: &mut Wave,
    instruction: &Instruction,
    operation: &'static Operation,
    halves: Halves,
) -> Result<(), Fault> {
    let permuted = dpp(wave, instruction, operation.sources[0].words())?;
    for half in 0..wave.halves {
        if wave.exec(half) == 0 {
            continue;
        }
        let mut lanes: Output = MaybeUninit::uninit();
        let permuted = permuted.as_ref();
        let result = compute(wave, instruction, operation, half, permuted, &mut lanes)?;
        commit(wave, instruction, half, result, &mut lanes, halves)?;
    }
    Ok(())
}

/// The first source from other lanes, if the instruction asks for that.
fn dpp(wave: &Wave, instruction: &Instruction, words: usize) -> Result<Option<Permuted>, Fault> {
    match instruction
        .modifiers
        .as_ref()
        .and_then(|modifiers| modifiers.permute)
    {
        Some(permute) => permuted(wave, instruction.sources[0], words, permute).map(Some),
        None => Ok(None),
    }
}

/// Sources of an instruction, for one half, with modifiers applied.
#[inline(always)]
fn sources<const N: usize>(
    wave: &Wave,
    instruction: &Instruction,
    kinds: &[Type],
    half: usize,
    permuted: Option<&Permuted>,
    rooms: &mut [Room; N],
) -> Result<[Source; N], Fault> {
    let mut sources = [Source {
        registers: std::ptr::null(),
        defined: u32::MAX,
        low: u32::MAX,
    }; N];
    for (at, room) in rooms.iter_mut().enumerate() {
        let Some(&kind) = kinds.get(at) else {
            sources[at].registers = room.as_ptr() as *const Lanes;
            continue;
        };
        sources[at] = match permuted {
            Some(permuted) if at == 0 => permuted.source(half),
            _ => fetch(wave, instruction.sources[at], kind.words(), half, room)?,
        };
        if let Some(modifiers) = &instruction.modifiers {
            sources[at] = modify(sources[at], at, kind, modifiers, room);
        }
    }
    Ok(sources)
}

#[inline(always)]
fn compute(
    wave: &Wave,
    instruction: &Instruction,
    operation: &'static Operation,
    half: usize,
    permuted: Option<&Permuted>,
    lanes: &mut Output,
) -> Result<Computed, Fault> {
    let mut rooms = [ROOM; 3];
    let [a, b, c] = sources(
        wave,
        instruction,
        operation.sources,
        half,
        permuted,
        &mut rooms,
    )?;
    let count = operation.sources.len();
    let join = |a: u32, b: u32, c: u32| match (operation.joins, count) {
        (_, 1) => a,
        (true, 2) => a | b,
        (true, _) => a | b | c,
        (false, _) => a & b & c,
    };
    let defined = join(a.defined, b.defined, c.defined);
    // Carries go upwards: of sums and products the lower word needs only lower words.
    let low = if operation.output == Type::B64 {
        join(a.low, b.low, c.low)
    } else {
        defined
    };
    // SAFETY: agents exist only where the processor has what the tables need; the sources have the
    // registers of their types.
    unsafe { (operation.run)(lanes, a.registers, b.registers, c.registers) };
    Ok(Computed {
        kind: operation.output,
        defined,
        low,
        exec: wave.exec(half) & permuted.map_or(u32::MAX, |permuted| permuted.enabled[half]),
    })
}

/// Writes a result, after what modifiers do to it.
#[inline(always)]
fn commit(
    wave: &mut Wave,
    instruction: &Instruction,
    half: usize,
    result: Computed,
    output: &mut Output,
    halves: Halves,
) -> Result<(), Fault> {
    let Operand::Vector(number) = instruction.destination else {
        return scalar_result(instruction);
    };
    let words = result.kind.words();
    let place = wave.place(half, number, words)?;
    // SAFETY: the operation has written as many registers as its type has words; where that is one,
    // only one is read.
    let lanes = unsafe { &mut *(output.as_mut_ptr() as *mut [Lanes; 1]) };
    let modifiers = instruction.modifiers.as_deref();
    if let Some(modifiers) = modifiers {
        if modifiers.clamp || modifiers.multiply != 0 {
            // SAFETY: as above.
            unsafe { adjust(output.as_mut_ptr() as *mut Lanes, result.kind, modifiers) };
        }
        if let Some(parts) = modifiers.parts
            && (parts.destination != Part::WHOLE || result.kind.is_half())
        {
            let old = &wave.vectors[place];
            for lane in 0..LANES {
                lanes[0].0[lane] =
                    inserted(old.0[lane], lanes[0].0[lane], parts.destination, parts.rest);
            }
            wave.put(place, result.exec, &lanes[0], result.defined);
            return Ok(());
        }
    }
    if result.kind.is_half() {
        let high = modifiers.is_some_and(|modifiers| modifiers.select & 8 != 0);
        let old = &wave.vectors[place];
        let mut old_counts = 0;
        for lane in 0..LANES {
            let value = lanes[0].0[lane] & 0xffff;
            lanes[0].0[lane] = if high {
                (value << 16) | (old.0[lane] & 0xffff)
            } else if halves.keep {
                value | (old.0[lane] & 0xffff_0000)
            } else {
                value
            };
        }
        if high || halves.keep {
            old_counts = wave.defined[place];
        }
        wave.put(place, result.exec, &lanes[0], result.defined | old_counts);
        return Ok(());
    }
    let low = if words == 2 {
        result.low
    } else {
        result.defined
    };
    wave.put(place, result.exec, &lanes[0], low);
    if words == 2 {
        // SAFETY: the operation has written two registers.
        let high = unsafe { &*(output.as_ptr() as *const Lanes).add(1) };
        wave.put(place + 1, result.exec, high, result.defined);
    }
    Ok(())
}

#[cold]
fn scalar_result(instruction: &Instruction) -> Result<(), Fault> {
    Err(Fault::Unknown(format!(
        "a vector result in {:?}",
        instruction.destination
    )))
}

/// Multiplies by a power of two and limits to the range from 0 to 1 (modifiers `omod`, `clamp`).
///
/// # Safety
/// `lanes` has as many registers as the type has words.
unsafe fn adjust(lanes: *mut Lanes, kind: Type, modifiers: &Modifiers) {
    use crate::lanes::{F16, F32, F64, Lane};
    // Multiplying by a power of two and limiting are exact in `f64`, but for results of `f64`
    // themselves, which are rounded here as there.
    let factor = [1.0, 2.0, 4.0, 0.5][usize::from(modifiers.multiply)];
    let adjusted = |value: f64| {
        let value = value * factor;
        if modifiers.clamp {
            saturate(value)
        } else {
            value
        }
    };
    for lane in 0..LANES {
        // SAFETY: the caller's promise.
        unsafe {
            match kind {
                Type::F32 => {
                    let value = F32::get(lanes, lane);
                    F32::put(lanes, lane, adjusted(f64::from(value)) as f32);
                }
                Type::F64 => F64::put(lanes, lane, adjusted(F64::get(lanes, lane))),
                Type::F16 => {
                    let value = F16::get(lanes, lane).to_f64();
                    F16::put(lanes, lane, half::f16::from_f64(adjusted(value)));
                }
                Type::B16 | Type::B32 | Type::B64 => {}
            }
        }
    }
}

/// A word with a part replaced.
fn inserted(old: u32, value: u32, part: Part, rest: Rest) -> u32 {
    let mask = (u32::MAX >> (32 - u32::from(part.bits))) << part.shift;
    let placed = (value << part.shift) & mask;
    match rest {
        Rest::Keep => placed | (old & !mask),
        Rest::Zero => placed,
        Rest::Sign => {
            let top = u32::from(part.shift) + u32::from(part.bits);
            let negative = (placed >> (top - 1)) & 1 == 1;
            if negative && top < 32 {
                placed | (u32::MAX << top)
            } else {
                placed
            }
        }
    }
}

/// Two instructions at once: both read before either writes.
pub fn dual(wave: &mut Wave, pair: &[Instruction; 2], halves: Halves) -> Result<(), Fault> {
    let compute =
        |wave: &Wave, instruction: &Instruction, lanes: &mut Output| match instruction.kind {
            Kind::Vector(operation) => compute(wave, instruction, operation, 0, None, lanes),
            Kind::Select { .. } => select_half(wave, instruction, 0, None, lanes),
            _ => Err(Fault::Unknown(format!(
                "half of a dual instruction: {:?}",
                instruction.kind
            ))),
        };
    if wave.exec(0) == 0 {
        return Ok(());
    }
    let (mut one, mut other): (Output, Output) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let first = compute(wave, &pair[0], &mut one)?;
    let second = compute(wave, &pair[1], &mut other)?;
    commit(wave, &pair[0], 0, first, &mut one, halves)?;
    commit(wave, &pair[1], 0, second, &mut other, halves)
}

/// An operation that gives a bit a lane beside its result.
pub fn with_mask(
    wave: &mut Wave,
    instruction: &Instruction,
    value: &'static Operation,
    bit: &'static Operation,
    halves: Halves,
) -> Result<(), Fault> {
    let mut mask = 0;
    for half in 0..wave.halves {
        let exec = wave.exec(half);
        if exec == 0 {
            continue;
        }
        let (mut lanes, mut bits): (Output, Output) =
            (MaybeUninit::uninit(), MaybeUninit::uninit());
        let result = compute(wave, instruction, value, half, None, &mut lanes)?;
        compute(wave, instruction, bit, half, None, &mut bits)?;
        // SAFETY: the operation has written its one register.
        let bits = unsafe { &*(bits.as_ptr() as *const Lanes) };
        let bits = (0..LANES).fold(0, |mask, lane| mask | ((bits.0[lane] & 1) << lane));
        mask |= u64::from(bits & exec) << (32 * half);
        commit(wave, instruction, half, result, &mut lanes, halves)?;
    }
    if let Operand::Scalar(number) = instruction.carry {
        wave.set_mask(number, mask);
    }
    Ok(())
}

/// One of two operations, by a lane's bit of `vcc`.
pub fn by_mask(
    wave: &mut Wave,
    instruction: &Instruction,
    clear: &'static Operation,
    set: &'static Operation,
    halves: Halves,
) -> Result<(), Fault> {
    let mask = wave.mask(VCC);
    for half in 0..wave.halves {
        let bits = (mask >> (32 * half)) as u32;
        for (operation, lanes) in [(clear, !bits), (set, bits)] {
            if wave.exec(half) & lanes == 0 {
                continue;
            }
            let mut output: Output = MaybeUninit::uninit();
            let mut result = compute(wave, instruction, operation, half, None, &mut output)?;
            // The destination may be a source: each lane is written once, by one of the two.
            result.exec &= lanes;
            commit(wave, instruction, half, result, &mut output, halves)?;
        }
    }
    Ok(())
}

/// A comparison. Its mask has zeros for lanes that are switched off.
pub fn compare(
    wave: &mut Wave,
    instruction: &Instruction,
    test: &'static Comparison,
    exec: bool,
) -> Result<(), Fault> {
    let permuted = dpp(wave, instruction, test.sources[0].words())?;
    let mut mask = 0;
    let mut undefined = 0;
    for half in 0..wave.halves {
        let active = wave.exec(half)
            & permuted
                .as_ref()
                .map_or(u32::MAX, |permuted| permuted.enabled[half]);
        if active == 0 {
            continue;
        }
        let mut rooms = [ROOM; 2];
        let [a, b] = sources(
            wave,
            instruction,
            &test.sources,
            half,
            permuted.as_ref(),
            &mut rooms,
        )?;
        // SAFETY: see `compute`.
        let bits = unsafe { (test.run)(a.registers, b.registers) };
        undefined |= u64::from(active & !(a.defined & b.defined)) << (32 * half);
        mask |= u64::from(bits & active) << (32 * half);
    }
    if let Operand::Scalar(number) = instruction.carry {
        wave.set_mask(number, mask);
        if undefined != 0 {
            wave.set_undefined(number, undefined);
        }
    }
    if exec {
        if undefined != 0 {
            return Err(Fault::Undefined(
                undefined_source(instruction),
                "a condition of v_cmpx",
            ));
        }
        wave.set_mask(EXEC, mask);
    }
    Ok(())
}

/// A register of an instruction's sources, for a message.
fn undefined_source(instruction: &Instruction) -> Register {
    instruction
        .sources
        .iter()
        .find_map(|source| match *source {
            Operand::Vector(number) => Some(Register::Vector(number)),
            Operand::Scalar(number) => Some(Register::Scalar(number)),
            _ => None,
        })
        .unwrap_or(Register::Scalar(EXEC))
}

/// The second source where a lane's bit of the third is set, the first elsewhere.
pub fn select(wave: &mut Wave, instruction: &Instruction, halves: Halves) -> Result<(), Fault> {
    let permuted = dpp(wave, instruction, 1)?;
    for half in 0..wave.halves {
        if wave.exec(half) == 0 {
            continue;
        }
        let mut lanes: Output = MaybeUninit::uninit();
        let result = select_half(wave, instruction, half, permuted.as_ref(), &mut lanes)?;
        commit(wave, instruction, half, result, &mut lanes, halves)?;
    }
    Ok(())
}

fn select_half(
    wave: &Wave,
    instruction: &Instruction,
    half: usize,
    permuted: Option<&Permuted>,
    lanes: &mut Output,
) -> Result<Computed, Fault> {
    let (kind, mask) = match instruction.kind {
        Kind::Select { half: true } => (Type::F16, instruction.sources[2]),
        // The dual form has the mask in `vcc`.
        _ => (
            Type::F32,
            match instruction.sources[2] {
                Operand::None => Operand::Scalar(VCC),
                mask => mask,
            },
        ),
    };
    let mut rooms = [ROOM; 2];
    let [a, b] = sources(wave, instruction, &[kind, kind], half, permuted, &mut rooms)?;
    let mask = match mask {
        Operand::Scalar(number) => (wave.mask(number) >> (32 * half)) as u32,
        operand => wave.read(operand, 2).0 as u32,
    };
    let output = lanes.as_mut_ptr() as *mut u32;
    for lane in 0..LANES {
        let set = 0u32.wrapping_sub((mask >> lane) & 1);
        // SAFETY: sources and output have at least one register.
        unsafe {
            let (a, b) = ((*a.registers).0[lane], (*b.registers).0[lane]);
            *output.add(lane) = (b & set) | (a & !set);
        }
    }
    Ok(Computed {
        kind,
        defined: (b.defined & mask) | (a.defined & !mask),
        low: 0,
        exec: wave.exec(half) & permuted.map_or(u32::MAX, |permuted| permuted.enabled[half]),
    })
}

/// Additions and subtractions with carries.
pub fn carry(
    wave: &mut Wave,
    instruction: &Instruction,
    (subtract, reverse, carry_in): (bool, bool, bool),
) -> Result<(), Fault> {
    let permuted = dpp(wave, instruction, 1)?;
    let carries = match instruction.sources[2] {
        Operand::Scalar(number) if carry_in => wave.mask(number),
        operand if carry_in => wave.read(operand, 2).0,
        _ => 0,
    };
    let mut mask = 0;
    for half in 0..wave.halves {
        let active = wave.exec(half)
            & permuted
                .as_ref()
                .map_or(u32::MAX, |permuted| permuted.enabled[half]);
        if active == 0 {
            continue;
        }
        let mut rooms = [ROOM; 2];
        let kinds = [Type::B32, Type::B32];
        let [mut a, mut b] = sources(
            wave,
            instruction,
            &kinds,
            half,
            permuted.as_ref(),
            &mut rooms,
        )?;
        if reverse {
            std::mem::swap(&mut a, &mut b);
        }
        let carry = (carries >> (32 * half)) as u32;
        let clamp = instruction
            .modifiers
            .as_ref()
            .is_some_and(|modifiers| modifiers.clamp);
        let mut lanes = Lanes([0; LANES]);
        let mut out = 0;
        for lane in 0..LANES {
            // SAFETY: both sources have a register.
            let (a, b) = unsafe { ((*a.registers).0[lane], (*b.registers).0[lane]) };
            let carry = u64::from((carry >> lane) & 1);
            let wide = if subtract {
                u64::from(a).wrapping_sub(u64::from(b)).wrapping_sub(carry)
            } else {
                u64::from(a) + u64::from(b) + carry
            };
            let over = (wide >> 32) as u32 & 1;
            out |= over << lane;
            lanes.0[lane] = match (clamp && over == 1, subtract) {
                (true, true) => 0,
                (true, false) => u32::MAX,
                _ => wide as u32,
            };
        }
        let Operand::Vector(number) = instruction.destination else {
            return scalar_result(instruction);
        };
        mask |= u64::from(out & active) << (32 * half);
        let place = wave.place(half, number, 1)?;
        wave.put(place, active, &lanes, a.defined & b.defined);
    }
    if let Operand::Scalar(number) = instruction.carry {
        wave.set_mask(number, mask);
    }
    Ok(())
}

/// The bits of a mask below each lane, and an addend (`v_mbcnt`).
pub fn count_below(wave: &mut Wave, instruction: &Instruction, high: bool) -> Result<(), Fault> {
    for half in 0..wave.halves {
        let mut rooms = [ROOM; 2];
        let kinds = [Type::B32, Type::B32];
        let [mask, addend] = sources(wave, instruction, &kinds, half, None, &mut rooms)?;
        let mut lanes = Lanes([0; LANES]);
        for (lane, value) in lanes.0.iter_mut().enumerate() {
            let below = match (half, high) {
                (0, false) | (1, true) => (1u32 << lane) - 1,
                (0, true) => 0,
                _ => u32::MAX,
            };
            // SAFETY: both sources have a register.
            let (mask, addend) =
                unsafe { ((*mask.registers).0[lane], (*addend.registers).0[lane]) };
            *value = (mask & below).count_ones().wrapping_add(addend);
        }
        let Operand::Vector(number) = instruction.destination else {
            return scalar_result(instruction);
        };
        let place = wave.place(half, number, 1)?;
        wave.put(
            place,
            wave.exec(half),
            &lanes,
            mask.defined & addend.defined,
        );
    }
    Ok(())
}
