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
    let mut defined = true;
    for (at, &words) in operation.sources.iter().enumerate() {
        let (value, is_defined) = wave.read(instruction.sources[at], words);
        values[at] = value;
        defined &= is_defined;
    }
    let words = operation.output;
    let old = if operation.reads_destination {
        let (old, is_defined) = wave.read(instruction.destination, words.max(1));
        defined &= is_defined;
        old
    } else {
        0
    };
    let mut scc = wave.scc;
    let result = (operation.run)(values[0], values[1], old, &mut scc);
    wave.scc = scc;
    if words > 0 {
        if !defined && matches!(instruction.destination, Operand::Scalar(EXEC)) {
            return Err(Fault::Undefined(
                first_scalar(instruction),
                "the execution mask",
            ));
        }
        wave.write(instruction.destination, words, result, defined);
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
    let (source, defined) = wave.read(instruction.sources[0], words);
    if !defined {
        return Err(Fault::Undefined(
            first_scalar(instruction),
            "the execution mask",
        ));
    }
    let old = wave.read(Operand::Scalar(EXEC), words).0;
    let limit = if wide { u64::MAX } else { 0xffff_ffff };
    let new = run(source, old) & limit;
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
