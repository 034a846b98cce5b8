//! Loads and stores of whole halves whose lanes access words beside each other, one word all of them, or the same place
//! of their own memory each: what most accesses are. They are checked once, and copied at once. All others, and all that fail, are left to
//! [`access`](super::access).

use crate::decode::{Access, Action, Instruction, Operand, PRIVATE_BASE, SHARED_BASE, Space};
use crate::lanes::{LANES, Lanes};

use super::access::{Reach, read, read_two, write};
use super::source::{ROOM, fetch};
use super::wave::Wave;

/// Where all lanes of a half access.
#[derive(Clone, Copy)]
struct Run {
    /// The first lane's address, or its place in the work-group's memory.
    first: u64,
    /// Whether it is that of all others.
    same: bool,
    local: bool,
}

/// The run of an access, if it is one.
#[inline(always)]
fn run(
    wave: &Wave,
    instruction: &Instruction,
    access: &Access,
    half: usize,
    size: u32,
) -> Option<Run> {
    let base = instruction.sources[3];
    let (global, local) = (access.space == Space::Global, access.space == Space::Local);
    if !global && !local && access.space != Space::Flat {
        return None;
    }
    let (scalar, defined) = wave.read(base, if global { 2 } else { 1 });
    let wide = access.space == Space::Flat || (global && base == Operand::None);
    let vector = instruction.sources[0];
    let mut room = ROOM;
    let source = fetch(wave, vector, if wide { 2 } else { 1 }, half, &mut room).ok()?;
    if !defined || source.defined != u32::MAX {
        return None;
    }
    // SAFETY: the source has a register at least.
    let low = unsafe { &(*source.registers).0 };
    let first = low[0];
    let (mut beside, mut same) = (0, 0);
    for (lane, address) in low.iter().enumerate() {
        beside |= address ^ first.wrapping_add(size * lane as u32);
        same |= address ^ first;
    }
    let fits = first.checked_add(size * (LANES as u32 - 1)).is_some();
    if same != 0 && (beside != 0 || !fits) {
        return None;
    }
    let mut address = u64::from(first);
    if wide {
        // SAFETY: the source has two registers.
        let high = unsafe { &(*source.registers.add(1)).0 };
        if high
            .iter()
            .fold(0, |differs, word| differs | (word ^ high[0]))
            != 0
        {
            return None;
        }
        let aperture = u64::from(high[0]);
        if !global && (aperture == SHARED_BASE >> 32 || aperture == PRIVATE_BASE >> 32) {
            return None;
        }
        address |= aperture << 32;
    }
    let mut first = address
        .wrapping_add(scalar)
        .wrapping_add(access.offset as u64);
    if local {
        first &= 0xffff_ffff;
    }
    Some(Run {
        first,
        same: same == 0,
        local,
    })
}

/// Where in each lane's own memory all lanes of a half access so many bytes, if it is one place.
#[inline(always)]
fn own_place(
    wave: &Wave,
    reach: &Reach<'_>,
    instruction: &Instruction,
    access: &Access,
    half: usize,
    size: usize,
) -> Option<usize> {
    let (scalar, defined) = wave.read(instruction.sources[3], 1);
    let first = match instruction.sources[0] {
        Operand::Vector(number) => {
            let place = wave.place(half, number, 1).ok()?;
            let low = &wave.vectors[place].0;
            let differ = low.iter().fold(0, |differ, word| differ | (word ^ low[0]));
            if differ != 0 || wave.defined[place] != u32::MAX {
                return None;
            }
            low[0]
        }
        operand => wave.read(operand, 1).0 as u32,
    };
    if !defined {
        return None;
    }
    let scalar = match access.space {
        Space::Buffer => scalar / u64::from(reach.buffer_scale),
        _ => scalar,
    };
    let offset = scalar.wrapping_add(access.offset as u64);
    let offset = (u64::from(first).wrapping_add(offset) & 0xffff_ffff) as usize;
    (offset + size <= wave.scratch_lane).then_some(half * LANES * wave.scratch_lane + offset)
}

/// Executes an access of lanes' own memory, as [`execute`].
#[inline(always)]
fn own(
    wave: &mut Wave,
    reach: &Reach<'_>,
    instruction: &Instruction,
    access: &Access,
    half: usize,
) -> bool {
    let (bytes, data, load) = match access.action {
        Action::Load { bytes, .. } => (bytes, instruction.destination, true),
        Action::Store { bytes, .. } => (bytes, instruction.sources[1], false),
        Action::Atomic { .. } => return false,
    };
    let (size, stride) = (usize::from(bytes), wave.scratch_lane);
    let Operand::Vector(number) = data else {
        return false;
    };
    if size < 4 || access.second.is_some() {
        return false;
    }
    let at = own_place(wave, reach, instruction, access, half, size);
    let (Some(at), Ok(place)) = (at, wave.place(half, number, size / 4)) else {
        return false;
    };
    for word in 0..size / 4 {
        let (at, place) = (at + 4 * word, place + word);
        let register = &mut wave.vectors[place];
        if load {
            wave.defined[place] = wave.scratch.strided(at, stride, register);
        } else {
            (wave.scratch).write_strided(at, stride, register, wave.defined[place]);
        }
    }
    true
}

/// Executes an access of a half whose lanes are all active; whether it was one of these.
#[inline(always)]
pub fn execute(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    access: &Access,
    half: usize,
) -> bool {
    if matches!(access.space, Space::Scratch | Space::Buffer) {
        return own(wave, reach, instruction, access, half);
    }
    match access.action {
        Action::Load { bytes, .. } if bytes >= 4 => {
            if wave.stores.is_some() && !reach.unfenced.is_empty() {
                return false;
            }
            let Operand::Vector(number) = instruction.destination else {
                return false;
            };
            let (size, words) = (usize::from(bytes), usize::from(bytes) / 4);
            let Some(run) = run(wave, instruction, access, half, bytes.into()) else {
                return false;
            };
            let registers = words * (1 + usize::from(access.second.is_some()));
            let Ok(place) = wave.place(half, number, registers) else {
                return false;
            };
            let Some(second) = access.second else {
                return load(wave, reach, place, run, size);
            };
            let next = moved(run, second - access.offset);
            let kept: [Lanes; 2] = std::array::from_fn(|word| wave.vectors[place + word % words]);
            if words > 2 || !load(wave, reach, place, run, size) {
                return false;
            }
            if load(wave, reach, place + words, next, size) {
                return true;
            }
            // Nothing is written by what is a fault.
            wave.vectors[place..place + words].copy_from_slice(&kept[..words]);
            false
        }
        Action::Store { bytes: 4, .. } if access.second.is_none() && wave.stores.is_none() => {
            let Operand::Vector(number) = instruction.sources[1] else {
                return false;
            };
            let run = run(wave, instruction, access, half, 4).filter(|run| !run.same);
            match (run, wave.place(half, number, 1)) {
                (Some(run), Ok(place)) => store(wave, reach, place, run),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The same in another place of the work-group's memory.
fn moved(run: Run, by: i64) -> Run {
    Run {
        first: run.first.wrapping_add_signed(by) & 0xffff_ffff,
        ..run
    }
}

/// Loads `size` bytes a lane into registers from a place on, if that is allowed.
#[inline(always)]
fn load(wave: &mut Wave, reach: &mut Reach<'_>, place: usize, run: Run, size: usize) -> bool {
    let words = size / 4;
    let lanes = if run.same { 1 } else { LANES };
    if run.local {
        let Ok(first) = usize::try_from(run.first) else {
            return false;
        };
        if first + lanes * size > reach.local.len() {
            return false;
        }
        for word in 0..words {
            let at = first + 4 * word;
            let register = &mut wave.vectors[place + word];
            wave.defined[place + word] = if run.same {
                let (value, defined) = reach.local.read(at, 4);
                *register = Lanes::splat(value as u32);
                0u32.wrapping_sub(defined.into())
            } else {
                reach.local.strided(at, size, register)
            };
        }
        return true;
    }
    if reach.memory.check(run.first, lanes * size, false).is_err() {
        return false;
    }
    // Two words at once, as others may write both at once.
    for pair in 0..words / 2 {
        let at = run.first + 8 * pair as u64;
        let first = place + 2 * pair;
        let [low, high] = &mut wave.vectors[first..first + 2] else {
            return false;
        };
        if run.same {
            (*low, *high) = read_two(at).map(Lanes::splat).into();
        } else {
            for (lane, (low, high)) in low.0.iter_mut().zip(&mut high.0).enumerate() {
                [*low, *high] = read_two(at + (size * lane) as u64);
            }
        }
        wave.defined[first..first + 2].fill(u32::MAX);
    }
    if words % 2 == 1 {
        let at = run.first + 4 * (words - 1) as u64;
        let last = place + words - 1;
        let register = &mut wave.vectors[last];
        if run.same {
            *register = Lanes::splat(read(at, 4) as u32);
        } else if words == 1 && at.is_multiple_of(8) {
            for (pair, two) in register.0.chunks_exact_mut(2).enumerate() {
                two.copy_from_slice(&read_two(at + 8 * pair as u64));
            }
        } else {
            for (lane, value) in register.0.iter_mut().enumerate() {
                *value = read(at + (size * lane) as u64, 4) as u32;
            }
        }
        wave.defined[last] = u32::MAX;
    }
    true
}

/// Stores a register from a place, if that is allowed.
#[inline(always)]
fn store(wave: &Wave, reach: &mut Reach<'_>, place: usize, run: Run) -> bool {
    let register = &wave.vectors[place];
    if run.local {
        let Ok(first) = usize::try_from(run.first) else {
            return false;
        };
        if first + 4 * LANES > reach.local.len() || wave.defined[place] != u32::MAX {
            return false;
        }
        reach.local.write_words(first, register);
        return true;
    }
    let allowed = reach.memory.check(run.first, 4 * LANES, true).is_ok();
    if !allowed || reach.memory.is_control() {
        return false;
    }
    for (lane, value) in register.0.iter().enumerate() {
        write(run.first + 4 * lane as u64, 4, (*value).into());
    }
    true
}
