//! Values from other lanes: DPP, `v_readlane` and its like, `v_permlane`, the crossbar.

use crate::decode::{Crossbar, Instruction, M0, Operand, Pattern, Permute, Register};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes};

use super::source::Source;
use super::wave::Wave;

/// A source whose lanes come from other lanes.
#[derive(Debug)]
pub struct Permuted {
    rooms: [[Lanes; 2]; 2],
    defined: [u32; 2],
    /// Lanes whose result is written, of each half.
    pub enabled: [u32; 2],
}

impl Permuted {
    /// The source for a half.
    pub fn source(&self, half: usize) -> Source {
        Source {
            registers: self.rooms[half].as_ptr(),
            defined: self.defined[half],
            low: self.defined[half],
        }
    }
}

/// The lane that a lane gets, if the pattern has one for it.
fn origin(pattern: Pattern, lane: usize, lanes: usize) -> Option<usize> {
    let (row, at) = (lane & !15, lane & 15);
    let within = |at: usize| Some(row + at);
    match pattern {
        Pattern::Quad(order) => within((at & !3) + usize::from(order[at & 3])),
        Pattern::Eight(order) => within((at & !7) + usize::from(order[at & 7])),
        Pattern::ShiftLeft(by) => (at + usize::from(by) < 16).then(|| lane + usize::from(by)),
        Pattern::ShiftRight(by) => (at >= usize::from(by)).then(|| lane - usize::from(by)),
        Pattern::RotateRight(by) => within((at + 16 - usize::from(by)) & 15),
        Pattern::Mirror => within(15 - at),
        Pattern::HalfMirror => within((at & 8) + 7 - (at & 7)),
        Pattern::Share(from) => within(usize::from(from)),
        Pattern::Xor(bits) => within(at ^ usize::from(bits)),
        Pattern::Broadcast15 => (row >= 16).then(|| row - 1),
        Pattern::Broadcast31 => (row >= 32).then_some(31),
        Pattern::WaveShiftLeft => (lane + 1 < lanes).then_some(lane + 1),
        Pattern::WaveShiftRight => lane.checked_sub(1),
        Pattern::WaveRotateLeft => Some((lane + 1) % lanes),
        Pattern::WaveRotateRight => Some((lane + lanes - 1) % lanes),
    }
}

/// The source of an operand, permuted.
pub fn permuted(
    wave: &Wave,
    operand: Operand,
    words: usize,
    permute: Permute,
) -> Result<Permuted, Fault> {
    let mut result = Permuted {
        rooms: [[Lanes([0; LANES]); 2]; 2],
        defined: [0; 2],
        enabled: [0; 2],
    };
    let Operand::Vector(number) = operand else {
        return Err(Fault::Unknown(format!("DPP of {operand:?}")));
    };
    let lanes = wave.halves * LANES;
    let exec = wave.exec_mask();
    for half in 0..wave.halves {
        wave.place(half, number, words)?;
    }
    for lane in 0..lanes {
        let (half, at) = (lane / LANES, lane % LANES);
        let row = lane / 16;
        let bank = (lane % 16) / 4;
        if (permute.rows >> row) & 1 == 0 || (permute.banks >> bank) & 1 == 0 {
            continue;
        }
        let origin = origin(permute.pattern, lane, lanes)
            .filter(|origin| permute.inactive || (exec >> origin) & 1 == 1);
        match origin {
            Some(origin) => {
                for word in 0..words {
                    let place = wave.place(origin / LANES, number, words)? + word;
                    result.rooms[half][word].0[at] = wave.vectors[place].0[origin % LANES];
                    let defined = (wave.defined[place] >> (origin % LANES)) & 1;
                    result.defined[half] |= defined << at;
                }
                result.enabled[half] |= 1 << at;
            }
            None if permute.zero => {
                result.defined[half] |= 1 << at;
                result.enabled[half] |= 1 << at;
            }
            None => {}
        }
    }
    Ok(result)
}

fn vector(operand: Operand) -> Result<u16, Fault> {
    match operand {
        Operand::Vector(number) => Ok(number),
        operand => Err(Fault::Unknown(format!(
            "{operand:?} in place of a vector register"
        ))),
    }
}

/// A lane's value to a scalar register.
pub fn read_lane(
    wave: &mut Wave,
    instruction: &Instruction,
    lane: Option<usize>,
) -> Result<(), Fault> {
    let lane = match lane {
        Some(lane) => lane,
        None => {
            let (lane, defined) = wave.read(instruction.sources[1], 1);
            if let Operand::Scalar(number) = instruction.sources[1]
                && !defined
            {
                return Err(Fault::Undefined(
                    Register::Scalar(number),
                    "a lane's number",
                ));
            }
            lane as usize % (wave.halves * LANES)
        }
    };
    let (value, defined) = match instruction.sources[0] {
        Operand::Vector(number) => {
            let place = wave.place(lane / LANES, number, 1)?;
            let defined = (wave.defined[place] >> (lane % LANES)) & 1 == 1;
            (wave.vectors[place].0[lane % LANES], defined)
        }
        operand => {
            let (value, defined) = wave.read(operand, 1);
            (value as u32, defined)
        }
    };
    wave.write(instruction.destination, 1, u64::from(value), defined);
    Ok(())
}

/// The first active lane's value to a scalar register; of lane 0 if none is active.
pub fn read_first_lane(wave: &mut Wave, instruction: &Instruction) -> Result<(), Fault> {
    let exec = wave.exec_mask();
    let lane = if exec == 0 {
        0
    } else {
        exec.trailing_zeros() as usize
    };
    read_lane(wave, instruction, Some(lane))
}

/// A scalar value to one lane, whether it is active or not.
pub fn write_lane(wave: &mut Wave, instruction: &Instruction) -> Result<(), Fault> {
    // A mask that is kept in a lane has undefined bits of lanes that are off: it counts as defined.
    let (value, undefined) = wave.read_bits(instruction.sources[0], 1);
    let defined = undefined as u32 != u32::MAX;
    let lane = wave.read(instruction.sources[1], 1).0 as usize % (wave.halves * LANES);
    let place = wave.place(lane / LANES, vector(instruction.destination)?, 1)?;
    wave.vectors[place].0[lane % LANES] = value as u32;
    let bit = 1 << (lane % LANES);
    if defined {
        wave.defined[place] |= bit;
    } else {
        wave.defined[place] &= !bit;
    }
    Ok(())
}

/// A register of all lanes of the wave, and the lanes that are defined.
fn whole(wave: &Wave, operand: Operand) -> Result<([u32; 64], u64), Fault> {
    let mut values = [0; 64];
    let mut defined = 0;
    match operand {
        Operand::Vector(number) => {
            for half in 0..wave.halves {
                let place = wave.place(half, number, 1)?;
                values[half * LANES..(half + 1) * LANES].copy_from_slice(&wave.vectors[place].0);
                defined |= u64::from(wave.defined[place]) << (32 * half);
            }
        }
        operand => {
            let (value, is_defined) = wave.read(operand, 1);
            values = [value as u32; 64];
            defined = if is_defined { u64::MAX } else { 0 };
        }
    }
    Ok((values, defined))
}

/// Writes a register of all lanes of the wave.
fn put_whole(
    wave: &mut Wave,
    operand: Operand,
    values: &[u32; 64],
    enabled: u64,
    defined: u64,
) -> Result<(), Fault> {
    let number = vector(operand)?;
    for half in 0..wave.halves {
        let place = wave.place(half, number, 1)?;
        let mut lanes = Lanes([0; LANES]);
        lanes
            .0
            .copy_from_slice(&values[half * LANES..(half + 1) * LANES]);
        wave.put(
            place,
            (enabled >> (32 * half)) as u32,
            &lanes,
            (defined >> (32 * half)) as u32,
        );
    }
    Ok(())
}

/// For each lane a lane of its row, or of the other row of the pair.
pub fn permute_row(wave: &mut Wave, instruction: &Instruction, across: bool) -> Result<(), Fault> {
    let (values, defined) = whole(wave, instruction.sources[0])?;
    let selectors =
        wave.read(instruction.sources[1], 1).0 | (wave.read(instruction.sources[2], 1).0 << 32);
    // `op_sel`: the first bit lets lanes read from inactive ones, the second gives zero for those.
    let select = instruction
        .modifiers
        .as_ref()
        .map_or(0, |modifiers| modifiers.select);
    let exec = wave.exec_mask();
    let mut results = [0; 64];
    let mut enabled = 0;
    let mut results_defined = 0;
    for (lane, result) in results.iter_mut().enumerate().take(wave.halves * LANES) {
        let at = ((selectors >> (4 * (lane % 16))) & 15) as usize;
        let row = if across {
            (lane & !15) ^ 16
        } else {
            lane & !15
        };
        let origin = row + at;
        if select & 1 == 1 || (exec >> origin) & 1 == 1 {
            *result = values[origin];
            results_defined |= ((defined >> origin) & 1) << lane;
            enabled |= 1 << lane;
        } else if select & 2 == 2 {
            results_defined |= 1 << lane;
            enabled |= 1 << lane;
        }
    }
    put_whole(
        wave,
        instruction.destination,
        &results,
        enabled & exec,
        results_defined,
    )
}

/// Exchanges the halves of a wave of 64; waves of 32 copy.
pub fn permute_halves(wave: &mut Wave, instruction: &Instruction) -> Result<(), Fault> {
    if wave.halves == 1 {
        // "Supported in wave64 only" (RDNA3 ISA).
        return Ok(());
    }
    let (mut values, mut defined) = whole(wave, instruction.sources[0])?;
    values.rotate_left(32);
    defined = defined.rotate_left(32);
    put_whole(
        wave,
        instruction.destination,
        &values,
        wave.exec_mask(),
        defined,
    )
}

/// Exchanges two registers.
pub fn swap(wave: &mut Wave, instruction: &Instruction) -> Result<(), Fault> {
    let (first, second) = (
        vector(instruction.destination)?,
        vector(instruction.sources[0])?,
    );
    for half in 0..wave.halves {
        let (first, second) = (wave.place(half, first, 1)?, wave.place(half, second, 1)?);
        let (a, a_defined) = (wave.vectors[first], wave.defined[first]);
        let (b, b_defined) = (wave.vectors[second], wave.defined[second]);
        let exec = wave.exec(half);
        wave.put(first, exec, &b, b_defined);
        wave.put(second, exec, &a, a_defined);
    }
    Ok(())
}

/// Moves from or to the register that is `m0` further on.
pub fn move_relative(
    wave: &mut Wave,
    instruction: &Instruction,
    source: bool,
) -> Result<(), Fault> {
    if !wave.is_defined(M0) {
        return Err(Fault::Undefined(
            Register::Scalar(M0),
            "a register's number",
        ));
    }
    let by = wave.scalars[usize::from(M0)];
    let moved = |operand: Operand| {
        let number = u32::from(vector(operand)?).checked_add(by);
        number
            .and_then(|number| u16::try_from(number).ok())
            .map(Operand::Vector)
            .ok_or(Fault::NoRegister(Register::Vector(u16::MAX)))
    };
    let (from, to) = if source {
        (moved(instruction.sources[0])?, instruction.destination)
    } else {
        (instruction.sources[0], moved(instruction.destination)?)
    };
    let (values, defined) = whole(wave, from)?;
    put_whole(wave, to, &values, wave.exec_mask(), defined)
}

/// Exchanges values through the crossbar of the work-group's memory. Lanes that are switched off
/// send zero.
pub fn crossbar(wave: &mut Wave, instruction: &Instruction, kind: Crossbar) -> Result<(), Fault> {
    let (values, defined) = whole(wave, instruction.sources[1])?;
    let lanes = wave.halves * LANES;
    let exec = wave.exec_mask();
    let active = |lane: usize| (exec >> lane) & 1 == 1;
    let mut results = [0; 64];
    let mut results_defined = u64::MAX;
    match kind {
        Crossbar::Swizzle(pattern) => {
            for (lane, result) in results.iter_mut().enumerate().take(lanes) {
                let origin = swizzled(pattern, lane);
                if active(origin) {
                    *result = values[origin];
                    results_defined &= !(u64::from((defined >> origin) & 1 == 0) << lane);
                }
            }
        }
        Crossbar::Backward(offset) => {
            let (addresses, addresses_defined) = whole(wave, instruction.sources[0])?;
            check_addresses(instruction, exec, addresses_defined)?;
            for (lane, result) in results.iter_mut().enumerate().take(lanes) {
                let origin = (addresses[lane].wrapping_add(offset as u32) / 4) as usize % lanes;
                if active(lane) && active(origin) {
                    *result = values[origin];
                    results_defined &= !(u64::from((defined >> origin) & 1 == 0) << lane);
                }
            }
        }
        Crossbar::Forward(offset) => {
            let (addresses, addresses_defined) = whole(wave, instruction.sources[0])?;
            check_addresses(instruction, exec, addresses_defined)?;
            for lane in (0..lanes).filter(|&lane| active(lane)) {
                let target = (addresses[lane].wrapping_add(offset as u32) / 4) as usize % lanes;
                results[target] = values[lane];
                results_defined &= !(u64::from((defined >> lane) & 1 == 0) << target);
            }
        }
    }
    put_whole(
        wave,
        instruction.destination,
        &results,
        exec,
        results_defined,
    )?;
    let destination = vector(instruction.destination)?;
    wave.waits
        .begin_local(Some((Register::Vector(destination), 1)), false);
    Ok(())
}

fn check_addresses(instruction: &Instruction, exec: u64, defined: u64) -> Result<(), Fault> {
    match instruction.sources[0] {
        Operand::Vector(number) if exec & !defined != 0 => {
            Err(Fault::Undefined(Register::Vector(number), "an address"))
        }
        _ => Ok(()),
    }
}

/// The lane that a pattern of `ds_swizzle` fetches from: within quads, or by masks within 32 lanes.
fn swizzled(pattern: u16, lane: usize) -> usize {
    let pattern = usize::from(pattern);
    if pattern & 0x8000 != 0 {
        (lane & !3) | ((pattern >> (2 * (lane & 3))) & 3)
    } else {
        let (and, or, xor) = (pattern & 31, (pattern >> 5) & 31, (pattern >> 10) & 31);
        (lane & !31) | ((((lane & 31) & and) | or) ^ xor)
    }
}
