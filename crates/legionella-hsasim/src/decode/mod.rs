//! From machine code to instructions that the interpreter executes.
//!
//! Takes the bytes of a code object's executable section and gives one slot for every four bytes. LLVM
//! disassembles, each address once; its text is read into [`Instruction`]s. What can't be read is an
//! instruction that faults when it is executed, with its text: data among code harms nobody.

use crate::error::Error;
use crate::isa::Isa;
use crate::llvm::Disassembler;

mod build;
mod instruction;
mod matrix;
mod memory;
mod modifiers;
mod operand;
mod plain;
mod text;

pub use instruction::{
    Access, Action, Atomic, Condition, Crossbar, Hardware, HardwareField, Instruction, Kind,
    Modifiers, Part, Parts, Pattern, Permute, Rest, Space,
};
pub use matrix::{Factor, Product};
pub use operand::{
    ACCUMULATORS, DISCARD, EXEC, M0, NULL, Operand, PRIVATE_BASE, Register, SCALARS, SHARED_BASE,
    Special, VCC,
};
pub use plain::{Plain, PlainSource};

/// Executable code, decoded.
#[derive(Debug)]
pub struct Code {
    /// The address of the first slot.
    base: u64,
    /// An instruction for every four bytes.
    slots: Box<[Instruction]>,
    /// The texts, for messages.
    texts: Box<[Box<str>]>,
}

impl Code {
    /// Decodes what lies at `base`, for waves of 32 or 64.
    ///
    /// # Errors
    /// If LLVM can't be used.
    pub fn decode(isa: Isa, wave: usize, bytes: &[u8], base: u64) -> Result<Code, Error> {
        let mut disassembler = Disassembler::new(isa.name(), isa.features(wave))?;
        let mut slots = Vec::with_capacity(bytes.len() / 4);
        let mut texts = Vec::with_capacity(bytes.len() / 4);
        let mut at = 0;
        while at + 4 <= bytes.len() {
            let (size, text) = disassembler
                .instruction(&bytes[at..], base + at as u64)
                .filter(|(size, _)| size.is_multiple_of(4))
                .unwrap_or((4, String::new()));
            let slot = (at / 4) as u32;
            let next = slot + (size / 4) as u32;
            slots.push(build::instruction(&text, slot, next));
            texts.push(text.into_boxed_str());
            for _ in 1..size / 4 {
                slots.push(build::unknown("the middle of an instruction", next));
                texts.push(Box::from(""));
            }
            at += size;
        }
        Ok(Code {
            base,
            slots: slots.into_boxed_slice(),
            texts: texts.into_boxed_slice(),
        })
    }

    /// The instruction in a slot.
    #[inline(always)]
    pub fn slot(&self, slot: u32) -> Option<&Instruction> {
        self.slots.get(slot as usize)
    }

    /// The slot of an address.
    pub fn slot_of(&self, address: u64) -> Option<u32> {
        let offset = address.checked_sub(self.base)?;
        let slot = offset / 4;
        (offset.is_multiple_of(4) && slot < self.slots.len() as u64).then_some(slot as u32)
    }

    /// The address of a slot.
    pub fn address_of(&self, slot: u32) -> u64 {
        self.base + 4 * u64::from(slot)
    }

    /// What the disassembler says of a slot.
    pub fn text(&self, slot: u32) -> &str {
        self.texts.get(slot as usize).map_or("", |text| text)
    }
}
