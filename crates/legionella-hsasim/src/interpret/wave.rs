//! The state of a wave.
//!
//! Registers start with a pattern that no program means, and are undefined: what is computed from an
//! undefined value is undefined, and a fault arises where it decides an address or where execution goes
//! on. A lane of a vector register is undefined as a whole or not at all; scalar registers, which hold
//! masks, are undefined bit by bit.

use crate::decode::{EXEC, NULL, Operand, Register, SCALARS, Special, VCC};
use crate::error::Fault;
use crate::lanes::Lanes;

use super::fences::Stores;
use super::stacks::Stacks;
use super::waits::Waits;

/// What registers hold before they are written.
pub const POISON: u32 = 0xdead_beef;

/// A wave.
#[derive(Debug)]
pub struct Wave {
    /// 1 for waves of 32, 2 for waves of 64.
    pub halves: usize,
    /// Vector registers of a half.
    pub registers: usize,
    /// Vector registers: those of the lower half, then those of the upper.
    pub vectors: Vec<Lanes>,
    /// For each, the lanes that are defined.
    pub defined: Vec<u32>,
    /// Scalar registers, the masks among them.
    pub scalars: [u32; SCALARS],
    /// For each, the bits that are undefined: masks are undefined lane by lane.
    undefined: [u32; SCALARS],
    /// The condition code.
    pub scc: bool,
    /// The slot of the next instruction.
    pub slot: u32,
    /// Accesses under way.
    pub waits: Waits,
    /// Which of these store what other waves may load, if that is looked at.
    pub stores: Option<Box<Stores>>,
    /// When it has begun to write back what it has stored, zero if it hasn't.
    pub written_back: u64,
    /// The memory of each lane.
    pub stacks: Stacks,
    /// The floating-point modes (`HW_REG_MODE`).
    pub mode: u32,
    /// Whether the wave waits at a barrier.
    pub at_barrier: bool,
    /// Whether it has ended.
    pub ended: bool,
    /// Instructions executed.
    pub executed: u64,
}

impl Wave {
    /// A wave of `halves` times 32 lanes, with `stack` bytes of memory each, that starts at a slot.
    pub fn new(halves: usize, registers: usize, stack: usize, slot: u32) -> Wave {
        let mut wave = Wave {
            halves,
            registers,
            vectors: vec![Lanes::splat(POISON); halves * registers],
            defined: vec![0; halves * registers],
            scalars: [POISON; SCALARS],
            undefined: [u32::MAX; SCALARS],
            scc: false,
            slot,
            waits: Waits::default(),
            stores: None,
            written_back: 0,
            stacks: Stacks::new(stack, halves),
            mode: 0xf0,
            at_barrier: false,
            ended: false,
            executed: 0,
        };
        for number in [NULL, EXEC, EXEC + 1] {
            wave.set_scalar(number, 0);
        }
        wave
    }

    /// Takes the wave back to its beginning, for the next work-group.
    pub fn reset(&mut self, slot: u32) {
        self.vectors.fill(Lanes::splat(POISON));
        self.defined.fill(0);
        self.scalars = [POISON; SCALARS];
        self.undefined = [u32::MAX; SCALARS];
        self.scc = false;
        self.slot = slot;
        self.waits = Waits::default();
        self.stores = None;
        self.written_back = 0;
        self.executed = 0;
        self.stacks.poison();
        self.at_barrier = false;
        self.ended = false;
        for number in [NULL, EXEC, EXEC + 1] {
            self.set_scalar(number, 0);
        }
    }

    /// The execution mask of a half.
    #[inline(always)]
    pub fn exec(&self, half: usize) -> u32 {
        self.scalars[usize::from(EXEC) + half]
    }

    /// The whole execution mask.
    #[inline(always)]
    pub fn exec_mask(&self) -> u64 {
        self.mask(EXEC)
    }

    /// A mask in scalar registers, of as many bits as the wave has lanes.
    #[inline(always)]
    pub fn mask(&self, number: u16) -> u64 {
        let number = usize::from(number);
        let low = u64::from(self.scalars[number]);
        if self.halves == 2 {
            low | (u64::from(self.scalars[number + 1]) << 32)
        } else {
            low
        }
    }

    /// Writes a mask of as many bits as the wave has lanes.
    #[inline(always)]
    pub fn set_mask(&mut self, number: u16, mask: u64) {
        self.set_scalar(number, mask as u32);
        if self.halves == 2 {
            self.set_scalar(number + 1, (mask >> 32) as u32);
        }
    }

    /// Writes a scalar register.
    #[inline(always)]
    pub fn set_scalar(&mut self, number: u16, value: u32) {
        let number = usize::from(number);
        self.scalars[number] = value;
        self.undefined[number] = 0;
    }

    /// Whether all bits of a scalar register have been written.
    #[inline(always)]
    pub fn is_defined(&self, number: u16) -> bool {
        self.undefined[usize::from(number)] == 0
    }

    /// Makes bits of a mask undefined, of as many lanes as the wave has.
    #[inline(always)]
    pub fn set_undefined(&mut self, number: u16, bits: u64) {
        let number = usize::from(number);
        self.undefined[number] = bits as u32;
        if self.halves == 2 {
            self.undefined[number + 1] = (bits >> 32) as u32;
        }
    }

    /// The value of a scalar operand of so many registers, and whether all of it is defined.
    #[inline(always)]
    pub fn read(&self, operand: Operand, words: usize) -> (u64, bool) {
        let (value, undefined) = self.read_bits(operand, words);
        (value, undefined == 0)
    }

    /// The value of a scalar operand of so many registers, and the bits that are undefined.
    #[inline(always)]
    pub fn read_bits(&self, operand: Operand, words: usize) -> (u64, u64) {
        match operand {
            Operand::Scalar(number) => {
                let place = usize::from(number);
                let low = u64::from(self.scalars[place]);
                let undefined = u64::from(self.undefined[place]);
                if words == 2 && number != NULL {
                    let high = u64::from(self.scalars[place + 1]);
                    let upper = u64::from(self.undefined[place + 1]);
                    (low | (high << 32), undefined | (upper << 32))
                } else {
                    (low, undefined)
                }
            }
            Operand::Constant(value) if words == 2 => (value, 0),
            Operand::Constant(value) => (u64::from(value as u32), 0),
            Operand::Special(special) => (u64::from(self.special(special)), 0),
            Operand::None | Operand::Vector(_) => (0, 0),
        }
    }

    /// A value of the machine's.
    pub fn special(&self, special: Special) -> u32 {
        u32::from(match special {
            Special::Scc => self.scc,
            Special::VccZero => self.mask(VCC) == 0,
            Special::ExecZero => self.exec_mask() == 0,
        })
    }

    /// Writes a result of so many scalar registers.
    #[inline(always)]
    pub fn write(&mut self, operand: Operand, words: usize, value: u64, defined: bool) {
        self.write_bits(operand, words, value, if defined { 0 } else { u64::MAX });
    }

    /// Writes a result of so many scalar registers, of which some bits are undefined.
    #[inline(always)]
    pub fn write_bits(&mut self, operand: Operand, words: usize, value: u64, undefined: u64) {
        if let Operand::Scalar(number) = operand {
            let place = usize::from(number);
            self.scalars[place] = value as u32;
            self.undefined[place] = undefined as u32;
            if words == 2 {
                self.scalars[place + 1] = (value >> 32) as u32;
                self.undefined[place + 1] = (undefined >> 32) as u32;
            }
        }
    }

    /// The place of a vector register among all, if the wave has so many from it on.
    #[inline(always)]
    pub fn place(&self, half: usize, number: u16, words: usize) -> Result<usize, Fault> {
        let last = usize::from(number) + words;
        if last > self.registers {
            return Err(Fault::NoRegister(Register::Vector(number)));
        }
        Ok(half * self.registers + usize::from(number))
    }

    /// Writes a vector register's active lanes.
    #[inline(always)]
    pub fn put(&mut self, place: usize, exec: u32, value: &Lanes, defined: u32) {
        let register = &mut self.vectors[place];
        if exec == u32::MAX {
            *register = *value;
            self.defined[place] = defined;
            return;
        }
        register.replace(exec, value);
        self.defined[place] = (self.defined[place] & !exec) | (defined & exec);
    }
}
