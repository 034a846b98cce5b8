//! Scalar arithmetic, masks and hardware registers.

use std::sync::OnceLock;
use std::time::Instant;

use crate::decode::{EXEC, Hardware, HardwareField, Instruction, Operand, Register};
use crate::error::Fault;
use crate::operation::scalar::ScalarOperation;

use super::wave::Wave;

/// Executes an operation on scalar registers.
#[inline(always)]
pub fn operation(
    wave: &mut Wave,
    instruction: &Instruction,
    operation: &'static ScalarOperation,
) -> Result<(), Fault> {
    let mut values = [0; 2];
    let mut undefined = [0; 3];
    for (at, &words) in operation.sources.iter().enumerate() {
        (values[at], undefined[at]) = wave.read_bits(instruction.sources[at], words);
    }
    let words = operation.output;
    let mut old = 0;
    if operation.reads_destination {
        (old, undefined[2]) = wave.read_bits(instruction.destination, words.max(1));
    }
    let scc = wave.scc;
    let result = (operation.run)(values[0], values[1], old, &mut wave.scc);
    if words > 0 {
        let bits = if undefined == [0; 3] {
            0
        } else {
            let bits = spread(operation, values, old, undefined, scc, result);
            check_exec(wave, instruction, bits)?;
            bits
        };
        wave.write_bits(instruction.destination, words, result, bits);
    }
    Ok(())
}

/// The bits of a result that are undefined. Of an operation on bits these are those that change
/// with a source's undefined bits; of others all.
#[inline(never)]
fn spread(
    operation: &ScalarOperation,
    [a, b]: [u64; 2],
    old: u64,
    [undefined_a, undefined_b, undefined_old]: [u64; 3],
    scc: bool,
    result: u64,
) -> u64 {
    if !operation.bitwise || undefined_old != 0 {
        return u64::MAX;
    }
    let of = |a, b| (operation.run)(a, b, old, &mut { scc });
    let (other_a, other_b) = (a ^ undefined_a, b ^ undefined_b);
    (result ^ of(other_a, b)) | (result ^ of(a, other_b)) | (result ^ of(other_a, other_b))
}

/// That no bit of an execution mask to be is undefined.
fn check_exec(wave: &Wave, instruction: &Instruction, undefined: u64) -> Result<(), Fault> {
    let half = match instruction.destination {
        Operand::Scalar(EXEC) => 0,
        Operand::Scalar(number) if number == EXEC + 1 && wave.halves == 2 => 32,
        _ => return Ok(()),
    };
    let lanes = if wave.halves == 2 {
        u64::MAX
    } else {
        0xffff_ffff
    };
    if (undefined << half) & lanes != 0 {
        return Err(Fault::Undefined(
            first_scalar(instruction),
            "the execution mask",
        ));
    }
    Ok(())
}

fn first_scalar(instruction: &Instruction) -> Register {
    instruction
        .sources
        .iter()
        .find_map(|source| match *source {
            Operand::Scalar(number) => Some(Register::Scalar(number)),
            _ => None,
        })
        .unwrap_or(Register::Scalar(EXEC))
}

/// Computes a new execution mask; the old one, or with `write` the new one, goes to the destination.
pub fn save_exec(
    wave: &mut Wave,
    instruction: &Instruction,
    run: fn(u64, u64) -> u64,
    wide: bool,
    write: bool,
) -> Result<(), Fault> {
    let words = if wide { 2 } else { 1 };
    let (source, undefined) = wave.read_bits(instruction.sources[0], words);
    let old = wave.read(Operand::Scalar(EXEC), words).0;
    let limit = if wide { u64::MAX } else { 0xffff_ffff };
    let new = run(source, old) & limit;
    if undefined != 0 && (new ^ run(source ^ undefined, old)) & limit != 0 {
        return Err(Fault::Undefined(
            first_scalar(instruction),
            "the execution mask",
        ));
    }
    wave.write(
        instruction.destination,
        words,
        if write { new } else { old },
        true,
    );
    wave.write(Operand::Scalar(EXEC), words, new, true);
    wave.scc = new != 0;
    Ok(())
}

/// Nanoseconds since the first question, in ticks of 10 as the constant-rate clock (100 MHz).
pub fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64 / 10
}

fn mask(field: HardwareField) -> u32 {
    u32::MAX >> (32 - u32::from(field.bits.clamp(1, 32)))
}

/// Reads a field of a hardware register.
pub fn get_register(wave: &mut Wave, instruction: &Instruction, field: HardwareField) {
    let value = match field.register {
        Hardware::Mode => wave.mode,
        Hardware::Id => 0,
        Hardware::Cycles => wave.executed as u32 & 0xf_ffff,
    };
    let value = (value >> field.offset) & mask(field);
    wave.write(instruction.destination, 1, u64::from(value), true);
}

/// Writes a field of a hardware register. The modes that the interpreter has are rounding to nearest
/// and subnormal numbers kept.
pub fn set_register(
    wave: &mut Wave,
    instruction: &Instruction,
    field: HardwareField,
) -> Result<(), Fault> {
    let value = wave.read(instruction.sources[0], 1).0 as u32;
    if field.register != Hardware::Mode {
        return Err(Fault::Unknown(format!("writing to {:?}", field.register)));
    }
    let mode =
        (wave.mode & !(mask(field) << field.offset)) | ((value & mask(field)) << field.offset);
    if mode & 0xff != 0xf0 {
        return Err(Fault::Mode(mode));
    }
    wave.mode = mode;
    Ok(())
}
