//! Vector arithmetic of the usual form: [`Plain`].

use std::mem::MaybeUninit;

use crate::decode::{Plain, PlainSource, Register};
use crate::error::Fault;
use crate::lanes::Lanes;
use crate::operation::Output;

use super::source::ROOM;
use super::wave::Wave;

/// Executes one.
#[inline(always)]
pub fn execute(wave: &mut Wave, plain: &Plain) -> Result<(), Fault> {
    if usize::from(plain.registers) > wave.registers {
        return Err(lacking(wave, plain));
    }
    for half in 0..wave.halves {
        let exec = wave.exec(half);
        if exec == 0 {
            continue;
        }
        let mut output: Output = MaybeUninit::uninit();
        let defined = compute(wave, plain, half, &mut output);
        put(wave, plain, half, exec, &output, defined);
    }
    Ok(())
}

/// Executes two at once: both read before either writes.
#[inline(always)]
pub fn dual(wave: &mut Wave, pair: &[Plain; 2]) -> Result<(), Fault> {
    for plain in pair {
        if usize::from(plain.registers) > wave.registers {
            return Err(lacking(wave, plain));
        }
    }
    let exec = wave.exec(0);
    if exec != 0 {
        let (mut one, mut other): (Output, Output) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let first = compute(wave, &pair[0], 0, &mut one);
        let second = compute(wave, &pair[1], 0, &mut other);
        put(wave, &pair[0], 0, exec, &one, first);
        put(wave, &pair[1], 0, exec, &other, second);
    }
    Ok(())
}

/// Computes a half's results; gives the lanes that are defined.
#[inline(always)]
fn compute(wave: &Wave, plain: &Plain, half: usize, output: &mut Output) -> u32 {
    let operation = plain.operation;
    let mut rooms = [ROOM; 3];
    let mut registers = [std::ptr::null(); 3];
    let (mut every, mut some) = (u32::MAX, 0);
    for (at, source) in plain.sources.iter().enumerate() {
        let words = match operation.sources.get(at) {
            Some(kind) => kind.words(),
            None => break,
        };
        let defined;
        match source {
            PlainSource::Vector(number) => {
                let place = half * wave.registers + usize::from(*number);
                // As many registers as instructions need have been looked for.
                registers[at] = wave.vectors[place..].as_ptr();
                defined = match words {
                    2 => wave.defined[place] & wave.defined[place + 1],
                    _ => wave.defined[place],
                };
            }
            PlainSource::Constant(lanes) => {
                registers[at] = lanes.as_ptr();
                defined = u32::MAX;
            }
            PlainSource::Scalar(operand) => {
                let (value, undefined) = wave.read_bits(*operand, words);
                let room = rooms[at].as_mut_ptr().cast::<Lanes>();
                // SAFETY: the room has two registers.
                unsafe {
                    room.write(Lanes::splat(value as u32));
                    if words == 2 {
                        room.add(1).write(Lanes::splat((value >> 32) as u32));
                    }
                }
                registers[at] = room;
                defined = 0u32.wrapping_sub(u32::from(undefined == 0));
            }
            PlainSource::None => defined = u32::MAX,
        }
        every &= defined;
        some |= defined;
    }
    let [a, b, c] = registers;
    // SAFETY: agents exist only where the processor has what the tables need; the sources have the
    // registers of their types.
    unsafe { (operation.run)(output, a, b, c) };
    if operation.joins { some } else { every }
}

/// Writes a half's results.
#[inline(always)]
fn put(wave: &mut Wave, plain: &Plain, half: usize, exec: u32, output: &Output, defined: u32) {
    let place = half * wave.registers + usize::from(plain.destination);
    let lanes = output.as_ptr().cast::<Lanes>();
    for word in 0..plain.operation.output.words() {
        // SAFETY: the operation has written as many registers as its type has words.
        wave.put(place + word, exec, unsafe { &*lanes.add(word) }, defined);
    }
}

/// The first register that the wave hasn't.
#[cold]
fn lacking(wave: &Wave, plain: &Plain) -> Fault {
    let operation = plain.operation;
    let sources = plain.sources.iter().zip(operation.sources);
    let sources = sources.filter_map(|(source, kind)| match source {
        PlainSource::Vector(number) => Some((*number, kind.words())),
        _ => None,
    });
    let all = sources.chain([(plain.destination, operation.output.words())]);
    let beyond = |(number, words): &(u16, usize)| usize::from(*number) + words > wave.registers;
    let (first, _) = all.into_iter().find(beyond).unwrap_or_default();
    Fault::NoRegister(Register::Vector(first))
}
