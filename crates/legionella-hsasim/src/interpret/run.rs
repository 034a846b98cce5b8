//! Executes a wave, instruction by instruction.

use crate::decode::{Code, Condition, EXEC, Instruction, Kind, Operand, Register};
use crate::error::Fault;
use crate::operation::Operation;

use super::access::{self, Reach};
use super::vector::Halves;
use super::wave::Wave;
use super::{matrix, packed, permute, plain, scalar, vector};

/// Why a wave stopped being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has had its turn.
    Turn,
    /// It waits at a barrier.
    Barrier,
    /// It has ended.
    End,
}

/// Executes at most so many instructions.
///
/// # Errors
/// What stops the kernel; the wave's slot is that of the instruction.
pub fn run(
    wave: &mut Wave,
    code: &Code,
    reach: &mut Reach<'_>,
    halves: Halves,
    turn: u64,
) -> Result<Stop, Fault> {
    let mut left = turn;
    let result = execute(wave, code, reach, halves, &mut left);
    wave.executed += turn - left;
    result
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi2"))]
unsafe fn execute_fast(
    wave: &mut Wave,
    code: &Code,
    reach: &mut Reach<'_>,
    halves: Halves,
    left: &mut u64,
) -> Result<Stop, Fault> {
    while *left > 0 {
        *left -= 1;
        let Some(instruction) = code.slot(wave.slot) else {
            return Err(Fault::NoCode(code.address_of(wave.slot)));
        };
        if wave.waits.any() {
            check_waits(wave, instruction)?;
        }
        match instruction.kind {
            Kind::Plain(ref plain) => plain::execute(wave, plain)?,
            Kind::Vector(operation) => vector::operation(wave, instruction, operation, halves)?,
            Kind::Scalar(operation) => scalar::operation(wave, instruction, operation)?,
            Kind::Nothing => {}
            Kind::Branch { condition, target } => {
                if holds(wave, condition) {
                    wave.slot = target;
                    continue;
                }
            }
            Kind::Memory(ref access) => access::execute(wave, reach, instruction, access)?,
            Kind::Compare { test, exec } => vector::compare(wave, instruction, test, exec)?,
            Kind::Wait {
                vector,
                local,
                store,
            } => {
                wave.waits.wait(vector, local);
                if let (Some(count), Some(stores)) = (store, &mut wave.stores) {
                    stores.keep(usize::from(count));
                }
            }
            Kind::DualPlain(ref pair) => plain::dual(wave, pair)?,
            Kind::Dual(ref pair) => vector::dual(wave, pair, halves)?,
            Kind::Barrier => {
                wave.slot = instruction.next;
                wave.at_barrier = true;
                return Ok(Stop::Barrier);
            }
            Kind::End => {
                wave.ended = true;
                return Ok(Stop::End);
            }
            Kind::Sleep => {
                wave.slot = instruction.next;
                return Ok(Stop::Turn);
            }
            _ => {
                if let Some(slot) = rare(wave, code, reach, instruction, halves)? {
                    wave.slot = slot;
                    continue;
                }
            }
        }
        wave.slot = instruction.next;
    }
    Ok(Stop::Turn)
}

fn execute(
    wave: &mut Wave,
    code: &Code,
    reach: &mut Reach<'_>,
    halves: Halves,
    left: &mut u64,
) -> Result<Stop, Fault> {
    // SAFETY: agents exist only where the processor has what the tables, and this, need.
    unsafe { execute_fast(wave, code, reach, halves, left) }
}

#[inline(never)]
fn check_waits(wave: &Wave, instruction: &Instruction) -> Result<(), Fault> {
    // A load may overwrite what a load before it wrote: they end in order.
    let loads = matches!(instruction.kind, Kind::Memory(_));
    let first = usize::from(loads && matches!(instruction.destination, Operand::Vector(_)));
    wave.waits
        .check(&instruction.uses[first.min(instruction.uses.len())..])
}

#[inline(always)]
fn holds(wave: &Wave, condition: Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Scc(value) => wave.scc == value,
        Condition::VccZero(value) => (wave.mask(crate::decode::VCC) == 0) == value,
        Condition::ExecZero(value) => (wave.exec_mask() == 0) == value,
    }
}

/// Instructions that are not among the most frequent. Gives the slot to go on at, if it is not the next.
#[inline(never)]
fn rare(
    wave: &mut Wave,
    code: &Code,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    halves: Halves,
) -> Result<Option<u32>, Fault> {
    match instruction.kind {
        Kind::Unknown(ref why) => return Err(Fault::Unknown(why.to_string())),
        Kind::Packed(operation) => packed::halves(wave, instruction, operation)?,
        Kind::PackedWords(operation) => packed::words(wave, instruction, operation)?,
        Kind::Mixed(operation) => packed::mixed(wave, instruction, operation)?,
        Kind::VectorAndMask(value, bit) => {
            vector::with_mask(wave, instruction, value, bit, halves)?
        }
        Kind::VectorByMask(clear, set) => by_mask(wave, instruction, clear, set, halves)?,
        Kind::Carry {
            subtract,
            reverse,
            carry_in,
        } => {
            vector::carry(wave, instruction, (subtract, reverse, carry_in))?;
        }
        Kind::Select { .. } => vector::select(wave, instruction, halves)?,
        Kind::Matrix(ref product) => matrix::multiply(wave, instruction, product)?,
        Kind::Swap => permute::swap(wave, instruction)?,
        Kind::ReadLane => permute::read_lane(wave, instruction, None)?,
        Kind::ReadFirstLane => permute::read_first_lane(wave, instruction)?,
        Kind::WriteLane => permute::write_lane(wave, instruction)?,
        Kind::CountBelow { high } => vector::count_below(wave, instruction, high)?,
        Kind::PermuteRow { across } => permute::permute_row(wave, instruction, across)?,
        Kind::PermuteHalves => permute::permute_halves(wave, instruction)?,
        Kind::MoveRelative { source } => permute::move_relative(wave, instruction, source)?,
        Kind::Crossbar(kind) => permute::crossbar(wave, instruction, kind)?,
        Kind::SaveExec { run, wide, write } => {
            scalar::save_exec(wave, instruction, run, wide, write)?
        }
        Kind::ScalarLoad { words, offset } => {
            access::load_scalars(wave, reach, instruction, words, offset)?
        }
        Kind::GetRegister(field) => scalar::get_register(wave, instruction, field),
        Kind::SetRegister(field) => scalar::set_register(wave, instruction, field)?,
        Kind::Time { real } => {
            let time = if real { scalar::clock() } else { wave.executed };
            wave.write(instruction.destination, 2, time, true);
        }
        Kind::GetPc => {
            let address = code.address_of(instruction.next);
            wave.write(instruction.destination, 2, address, true);
        }
        Kind::SetPc | Kind::SwapPc => {
            let (address, defined) = wave.read(instruction.sources[0], 2);
            if let (Operand::Scalar(number), false) = (instruction.sources[0], defined) {
                return Err(Fault::Undefined(Register::Scalar(number), "where to go on"));
            }
            let slot = code.slot_of(address).ok_or(Fault::NoCode(address))?;
            if matches!(instruction.kind, Kind::SwapPc) {
                let next = code.address_of(instruction.next);
                wave.write(instruction.destination, 2, next, true);
            }
            return Ok(Some(slot));
        }
        Kind::Call(target) => {
            let next = code.address_of(instruction.next);
            wave.write(instruction.destination, 2, next, true);
            return Ok(Some(target));
        }
        Kind::Trap(number) => return Err(Fault::Trap(number)),
        ref kind => return Err(Fault::Unknown(format!("{kind:?} at this place"))),
    }
    Ok(None)
}

fn by_mask(
    wave: &mut Wave,
    instruction: &Instruction,
    clear: &'static Operation,
    set: &'static Operation,
    halves: Halves,
) -> Result<(), Fault> {
    if wave.exec(0) == 0 && wave.mask(EXEC) == 0 {
        return Ok(());
    }
    vector::by_mask(wave, instruction, clear, set, halves)
}
