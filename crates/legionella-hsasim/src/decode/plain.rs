//! Instructions of the usual form: whole registers in, whole registers out, and nothing done to them on the way.
//! They are prepared so far that executing them is little else than the operation.

use crate::lanes::{Lanes, Type};
use crate::operation::Operation;

use super::instruction::{Instruction, Kind};
use super::operand::Operand;

/// An instruction of the usual form.
#[derive(Debug)]
pub struct Plain {
    /// What is computed.
    pub operation: &'static Operation,
    /// The result's first register.
    pub destination: u16,
    /// Where sources are, as many as the operation has.
    pub sources: [PlainSource; 3],
    /// How many vector registers there have to be.
    pub registers: u16,
}

/// Where a source is.
#[derive(Debug)]
pub enum PlainSource {
    /// There is none.
    None,
    /// Vector registers from this one on.
    Vector(u16),
    /// Scalar registers, or what else the wave has to be asked for.
    Scalar(Operand),
    /// A constant, in all lanes.
    Constant(Box<[Lanes; 2]>),
}

/// An instruction in this form, if it has it.
pub fn plain(instruction: &Instruction) -> Option<Plain> {
    let (Kind::Vector(operation), Operand::Vector(destination), None) = (
        &instruction.kind,
        instruction.destination,
        &instruction.modifiers,
    ) else {
        return None;
    };
    // Half registers keep their other half, and lower words of sums are defined by themselves.
    if operation.output.is_half() || operation.output == Type::B64 {
        return None;
    }
    let mut registers = usize::from(destination) + operation.output.words();
    let sources = std::array::from_fn(|at| {
        let Some(kind) = operation.sources.get(at) else {
            return PlainSource::None;
        };
        match instruction.sources[at] {
            Operand::Vector(number) => {
                registers = registers.max(usize::from(number) + kind.words());
                PlainSource::Vector(number)
            }
            Operand::Constant(value) => {
                let words = [value as u32, (value >> 32) as u32];
                PlainSource::Constant(Box::new(words.map(Lanes::splat)))
            }
            operand => PlainSource::Scalar(operand),
        }
    });
    Some(Plain {
        operation,
        destination,
        sources,
        registers: registers as u16,
    })
}
