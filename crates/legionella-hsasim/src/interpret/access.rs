//! Loads and stores of vectors, and loads of scalars.
//!
//! Every lane's address is checked before it is used: against the regions that the agent may reach,
//! the size of the work-group's memory or the work-item's. Accesses of the machine's memory of up to 8 bytes are
//! atomic where they are aligned, so that waves that race read one value or the other; larger ones are
//! made of such.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::decode::{
    Access, Action, Instruction, Operand, PRIVATE_BASE, Register, SHARED_BASE, Space,
};
use crate::error::Fault;
use crate::lanes::{LANES, Lanes};
use crate::machine::memory::View;
use crate::machine::signal::wake;

use super::atomic;
use super::coalesced;
use super::fences::Unfenced;
use super::local::Bytes;
use super::source::{ROOM, fetch};
use super::wave::Wave;

/// What a wave's accesses reach, beside its own memory.
#[derive(Debug)]
pub struct Reach<'a> {
    /// The machine's memory.
    pub memory: &'a mut View,
    /// The work-group's memory.
    pub local: &'a mut Bytes,
    /// Whether stores have a counter of their own.
    pub counts_stores: bool,
    /// What waves have stored without waiting for it before a barrier.
    pub unfenced: &'a Unfenced,
    /// The number of the wave in its work-group.
    pub wave: usize,
    /// The scale of scalar offsets of scratch memory through buffers.
    pub buffer_scale: u32,
}

/// Addresses of a half's lanes.
pub type Addresses = [u64; LANES];

/// Where one lane's access goes.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The machine's memory.
    Global(u64),
    /// The work-group's.
    Local(usize),
    /// The work-item's.
    Scratch(usize),
}

impl Reach<'_> {
    /// Where an address leads, after all checks.
    #[inline(always)]
    pub fn place(
        &mut self,
        wave: &Wave,
        space: Space,
        address: u64,
        size: usize,
        lane: usize,
        what: &'static str,
    ) -> Result<Place, Fault> {
        let space = match space {
            Space::Flat if address >> 32 == SHARED_BASE >> 32 => Space::Local,
            Space::Flat if address >> 32 == PRIVATE_BASE >> 32 => Space::Scratch,
            Space::Flat => Space::Global,
            space => space,
        };
        match space {
            Space::Local => {
                let offset = address & 0xffff_ffff;
                if offset + size as u64 > self.local.len() as u64 {
                    let segment = "the work-group's memory";
                    let limit = self.local.len();
                    return Err(Fault::Aperture {
                        what,
                        segment,
                        offset,
                        size,
                        limit,
                        lane,
                    });
                }
                Ok(Place::Local(offset as usize))
            }
            Space::Scratch | Space::Buffer => {
                let offset = address & 0xffff_ffff;
                let limit = wave.scratch_lane;
                if offset + size as u64 > limit as u64 {
                    let segment = "the work-item's memory";
                    return Err(Fault::Aperture {
                        what,
                        segment,
                        offset,
                        size,
                        limit,
                        lane,
                    });
                }
                Ok(Place::Scratch(lane * limit + offset as usize))
            }
            _ => {
                let write = what != "a load";
                match self.memory.check(address, size, write) {
                    Ok(()) => Ok(Place::Global(address)),
                    Err(why) => Err(Fault::Memory {
                        what,
                        address,
                        size,
                        lane,
                        why,
                    }),
                }
            }
        }
    }
}

/// Reads up to 8 bytes of the machine's memory.
#[inline(always)]
pub fn read(address: u64, size: usize) -> u64 {
    // SAFETY: the caller has checked that the bytes are in a region, which the view keeps mapped.
    // Others may write meanwhile: aligned accesses are atomic, others tear as on the device.
    unsafe {
        match size {
            1 => u64::from((*(address as *const AtomicU8)).load(Ordering::Relaxed)),
            2 if address.is_multiple_of(2) => {
                u64::from((*(address as *const AtomicU16)).load(Ordering::Relaxed))
            }
            4 if address.is_multiple_of(4) => {
                u64::from((*(address as *const AtomicU32)).load(Ordering::Relaxed))
            }
            8 if address.is_multiple_of(8) => {
                (*(address as *const AtomicU64)).load(Ordering::Relaxed)
            }
            _ => {
                let mut value = 0;
                for byte in 0..size {
                    let at = address + byte as u64;
                    value |=
                        u64::from((*(at as *const AtomicU8)).load(Ordering::Relaxed)) << (8 * byte);
                }
                value
            }
        }
    }
}

/// Writes up to 8 bytes of the machine's memory.
#[inline(always)]
pub fn write(address: u64, size: usize, value: u64) {
    // SAFETY: as for `read`.
    unsafe {
        match size {
            1 => (*(address as *const AtomicU8)).store(value as u8, Ordering::Release),
            2 if address.is_multiple_of(2) => {
                (*(address as *const AtomicU16)).store(value as u16, Ordering::Release)
            }
            4 if address.is_multiple_of(4) => {
                (*(address as *const AtomicU32)).store(value as u32, Ordering::Release)
            }
            8 if address.is_multiple_of(8) => {
                (*(address as *const AtomicU64)).store(value, Ordering::Release)
            }
            _ => {
                for byte in 0..size {
                    let at = address + byte as u64;
                    (*(at as *const AtomicU8))
                        .store((value >> (8 * byte)) as u8, Ordering::Release);
                }
            }
        }
    }
}

/// Reads two words of the machine's memory, as one where the device does: at addresses that 8 divides.
#[inline(always)]
pub(super) fn read_two(address: u64) -> [u32; 2] {
    if address.is_multiple_of(8) {
        let both = read(address, 8);
        [both as u32, (both >> 32) as u32]
    } else {
        [read(address, 4) as u32, read(address + 4, 4) as u32]
    }
}

/// Reads words of the machine's memory, two at a time, and gives each with its number.
#[inline(always)]
fn read_words(address: u64, words: usize, mut give: impl FnMut(usize, u32)) {
    for pair in 0..words / 2 {
        let [low, high] = read_two(address + 8 * pair as u64);
        give(2 * pair, low);
        give(2 * pair + 1, high);
    }
    if words % 2 == 1 {
        let last = words - 1;
        give(last, read(address + 4 * last as u64, 4) as u32);
    }
}

/// Writes two words of the machine's memory, as one where the device does.
#[inline(always)]
fn write_two(address: u64, [low, high]: [u32; 2]) {
    if address.is_multiple_of(8) {
        write(address, 8, u64::from(low) | u64::from(high) << 32);
    } else {
        write(address, 4, low.into());
        write(address + 4, 4, high.into());
    }
}

/// Addresses of the active lanes.
#[inline(always)]
fn addresses(
    wave: &Wave,
    instruction: &Instruction,
    access: &Access,
    half: usize,
    buffer_scale: u32,
) -> Result<Addresses, Fault> {
    let exec = wave.exec(half);
    let base = instruction.sources[3];
    let (scalar, defined) = wave.read(base, if access.space == Space::Global { 2 } else { 1 });
    if let Operand::Scalar(number) = base
        && !defined
    {
        return Err(Fault::Undefined(Register::Scalar(number), "an address"));
    }
    let wide =
        access.space == Space::Flat || (access.space == Space::Global && base == Operand::None);
    let words = if wide { 2 } else { 1 };
    let vector = instruction.sources[0];
    let mut room = ROOM;
    let source = fetch(wave, vector, words, half, &mut room)?;
    if let Operand::Vector(number) = vector
        && exec & !source.defined != 0
    {
        return Err(Fault::Undefined(Register::Vector(number), "an address"));
    }
    let scalar = match access.space {
        Space::Buffer => scalar / u64::from(buffer_scale),
        _ => scalar,
    };
    let added = scalar.wrapping_add(access.offset as u64);
    let mut result = [0; LANES];
    // SAFETY: the source has as many registers as were asked for.
    let low = unsafe { &(*source.registers).0 };
    if wide {
        // SAFETY: as above.
        let high = unsafe { &(*source.registers.add(1)).0 };
        for lane in 0..LANES {
            result[lane] =
                (u64::from(low[lane]) | (u64::from(high[lane]) << 32)).wrapping_add(added);
        }
    } else {
        let mask = if access.space == Space::Global {
            u64::MAX
        } else {
            0xffff_ffff
        };
        for lane in 0..LANES {
            result[lane] = u64::from(low[lane]).wrapping_add(added) & mask;
        }
    }
    Ok(result)
}

/// Executes an access of all active lanes.
///
/// # Safety
/// The processor has what [`crate::operation::supported`] checks.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi2"))]
pub fn execute(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    access: &Access,
) -> Result<(), Fault> {
    reach.memory.refresh();
    for half in 0..wave.halves {
        let exec = wave.exec(half);
        if exec == 0 {
            continue;
        }
        if exec == u32::MAX && coalesced::execute(wave, reach, instruction, access, half) {
            continue;
        }
        let addresses = addresses(wave, instruction, access, half, reach.buffer_scale)?;
        if wave.stores.is_some() {
            look_at_fences(wave, reach, access, half, &addresses)?;
        }
        match access.action {
            Action::Load {
                bytes,
                signed,
                half: into,
            } => {
                load(
                    wave,
                    reach,
                    instruction,
                    access,
                    half,
                    &addresses,
                    (bytes, signed, into),
                    0,
                )?;
                if let Some(second) = access.second {
                    let addresses = moved(&addresses, second - access.offset);
                    let first = u16::from(bytes) / 4;
                    load(
                        wave,
                        reach,
                        instruction,
                        access,
                        half,
                        &addresses,
                        (bytes, signed, into),
                        first,
                    )?;
                }
            }
            Action::Store { bytes, high } => {
                store(
                    wave,
                    reach,
                    instruction.sources[1],
                    access,
                    half,
                    &addresses,
                    (bytes, high),
                )?;
                if let Some(second) = access.second {
                    let addresses = moved(&addresses, second - access.offset);
                    store(
                        wave,
                        reach,
                        instruction.sources[2],
                        access,
                        half,
                        &addresses,
                        (bytes, high),
                    )?;
                }
            }
            Action::Atomic {
                operation,
                bytes,
                returns,
            } => {
                atomic::execute(
                    wave,
                    reach,
                    instruction,
                    access.space,
                    half,
                    &addresses,
                    (operation, usize::from(bytes), returns),
                )?;
            }
        }
    }
    begin(wave, reach, instruction, access);
    Ok(())
}

/// Notes what a half stores, or looks whether what it loads was stored by another wave without a fence.
#[inline(never)]
fn look_at_fences(
    wave: &mut Wave,
    reach: &Reach<'_>,
    access: &Access,
    half: usize,
    addresses: &Addresses,
) -> Result<(), Fault> {
    let exec = wave.exec(half);
    let second = access
        .second
        .map(|second| moved(addresses, second - access.offset));
    for addresses in std::iter::once(addresses).chain(&second) {
        match (access.action, &mut wave.stores) {
            (Action::Store { bytes, .. }, Some(stores)) => {
                stores.note(access.space, exec, addresses, bytes);
            }
            (Action::Load { bytes, .. }, _) if !reach.unfenced.is_empty() => {
                let lanes = (half, exec);
                reach
                    .unfenced
                    .check(reach.wave, access.space, lanes, addresses, bytes)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The second addresses of two-address forms, in the work-group's memory. Lanes that are off may hold
/// anything.
#[inline(always)]
fn moved(addresses: &Addresses, by: i64) -> Addresses {
    addresses.map(|address| address.wrapping_add_signed(by) & 0xffff_ffff)
}

/// Counts the access as under way.
fn begin(wave: &mut Wave, reach: &Reach<'_>, instruction: &Instruction, access: &Access) {
    let words = match access.action {
        Action::Load { bytes, .. } => {
            let one = bytes.div_ceil(4);
            if access.second.is_some() {
                2 * one
            } else {
                one
            }
        }
        Action::Atomic {
            bytes,
            returns: true,
            ..
        } => bytes / 4,
        _ => 0,
    };
    let destination = match instruction.destination {
        Operand::Vector(number) if words > 0 => Some((Register::Vector(number), words)),
        _ => None,
    };
    let stores = destination.is_none();
    if stores
        && access.space != Space::Local
        && let Some(list) = &mut wave.stores
    {
        list.begin(wave.slot);
    }
    match access.space {
        Space::Local => wave.waits.begin_local(destination, false),
        Space::Flat => {
            if !(stores && reach.counts_stores) {
                wave.waits.begin_vector(destination);
            }
            // Where stores have a counter of their own, flat accesses end in order too.
            wave.waits.begin_local(destination, !reach.counts_stores);
        }
        _ if stores && reach.counts_stores => {}
        _ => wave.waits.begin_vector(destination),
    }
}

#[expect(clippy::too_many_arguments, reason = "one call of two")]
#[inline(always)]
fn load(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    access: &Access,
    half: usize,
    addresses: &Addresses,
    (bytes, signed, into): (u8, bool, Option<bool>),
    first: u16,
) -> Result<(), Fault> {
    let exec = wave.exec(half);
    let Operand::Vector(number) = instruction.destination else {
        return Err(Fault::Unknown("a load without a vector register".into()));
    };
    let size = usize::from(bytes);
    let words = size.div_ceil(4);
    let place = wave.place(half, number + first, words)?;
    let mut results = [Lanes([0; LANES]); 4];
    let mut defined = [0u32; 4];
    let mut remaining = exec;
    if exec == u32::MAX
        && size >= 4
        && let Some(range) = range(addresses, size)
    {
        // All lanes at once, if what lies between the lowest and the highest address may be read.
        match access.space {
            Space::Global if reach.memory.check(range.0, range.1, false).is_ok() => {
                for (pair, two) in results[..words].chunks_mut(2).enumerate() {
                    let offset = 8 * pair as u64;
                    match two {
                        [low, high] => {
                            let lanes = low.0.iter_mut().zip(&mut high.0).zip(addresses);
                            for ((low, high), address) in lanes {
                                [*low, *high] = read_two(address + offset);
                            }
                        }
                        one => {
                            for (lane, address) in one[0].0.iter_mut().zip(addresses) {
                                *lane = read(address + offset, 4) as u32;
                            }
                        }
                    }
                }
                defined[..words].fill(u32::MAX);
                remaining = 0;
            }
            Space::Local if range.0 + range.1 as u64 <= reach.local.len() as u64 => {
                for (word, result) in results.iter_mut().enumerate().take(words) {
                    defined[word] = reach.local.gather(addresses, 4 * word, result);
                }
                remaining = 0;
            }
            _ => {}
        }
    }
    while remaining != 0 {
        let lane = remaining.trailing_zeros() as usize;
        remaining &= remaining - 1;
        let target = reach.place(
            wave,
            access.space,
            addresses[lane],
            size,
            half * LANES + lane,
            "a load",
        )?;
        if let (Place::Global(address), 2..) = (target, words) {
            read_words(address, words, |word, value| results[word].0[lane] = value);
            for defined in &mut defined[..words] {
                *defined |= 1 << lane;
            }
            continue;
        }
        for word in 0..words {
            let part = if size < 4 { size } else { 4 };
            let (value, is_defined) = match target {
                Place::Global(address) => (read(address, part), true),
                Place::Local(offset) => reach.local.read(offset + 4 * word, part),
                Place::Scratch(offset) => wave.scratch.read(offset + 4 * word, part),
            };
            results[word].0[lane] = value as u32;
            defined[word] |= u32::from(is_defined) << lane;
        }
    }
    if size < 4 {
        let shift = 32 - 8 * size as u32;
        let old = &wave.vectors[place];
        for lane in 0..LANES {
            let value = results[0].0[lane];
            let value = if signed {
                (((value << shift) as i32) >> shift) as u32
            } else {
                value
            };
            results[0].0[lane] = match into {
                None => value,
                Some(false) => (value & 0xffff) | (old.0[lane] & 0xffff_0000),
                Some(true) => (value << 16) | (old.0[lane] & 0xffff),
            };
        }
        if into.is_some() {
            defined[0] |= wave.defined[place];
        }
    }
    for word in 0..words {
        wave.put(place + word, exec, &results[word], defined[word]);
    }
    Ok(())
}

/// The lowest address and the bytes up to the highest one's end, if these are few.
#[inline(always)]
fn range(addresses: &Addresses, size: usize) -> Option<(u64, usize)> {
    let (mut low, mut high) = (u64::MAX, 0);
    for &address in addresses {
        low = low.min(address);
        high = high.max(address);
    }
    (high - low < 1 << 40).then(|| (low, (high - low) as usize + size))
}

#[inline(always)]
fn store(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    data: Operand,
    access: &Access,
    half: usize,
    addresses: &Addresses,
    (bytes, high): (u8, bool),
) -> Result<(), Fault> {
    let size = usize::from(bytes);
    let words = size.div_ceil(4);
    let Operand::Vector(number) = data else {
        return Err(Fault::Unknown(format!("a store of {data:?}")));
    };
    let place = wave.place(half, number, words)?;
    let mut remaining = wave.exec(half);
    if remaining == u32::MAX
        && access.space == Space::Global
        && size >= 4
        && let Some((low, bytes)) = range(addresses, size)
        && reach.memory.check(low, bytes, true).is_ok()
        && !reach.memory.is_control()
    {
        for (pair, two) in wave.vectors[place..place + words].chunks(2).enumerate() {
            let offset = 8 * pair as u64;
            match two {
                [low, high] => {
                    let lanes = low.0.iter().zip(&high.0).zip(addresses);
                    for ((low, high), address) in lanes {
                        write_two(address + offset, [*low, *high]);
                    }
                }
                one => {
                    for (address, &value) in addresses.iter().zip(&one[0].0) {
                        write(address + offset, 4, value.into());
                    }
                }
            }
        }
        remaining = 0;
    }
    while remaining != 0 {
        let lane = remaining.trailing_zeros() as usize;
        remaining &= remaining - 1;
        let target = reach.place(
            wave,
            access.space,
            addresses[lane],
            size,
            half * LANES + lane,
            "a store",
        )?;
        if let (Place::Global(address), 2..) = (target, words) {
            let value = |word: usize| wave.vectors[place + word].0[lane];
            for pair in 0..words / 2 {
                let two = [value(2 * pair), value(2 * pair + 1)];
                write_two(address + 8 * pair as u64, two);
            }
            if words % 2 == 1 {
                let last = words - 1;
                write(address + 4 * last as u64, 4, value(last).into());
            }
            if reach.memory.is_control() {
                wake(address);
            }
            continue;
        }
        for word in 0..words {
            let part = if size < 4 { size } else { 4 };
            let value = wave.vectors[place + word].0[lane];
            let value = u64::from(if high { value >> 16 } else { value });
            let defined = (wave.defined[place + word] >> lane) & 1 == 1;
            match target {
                Place::Global(address) => write(address, part, value),
                Place::Local(offset) => reach.local.write(offset + 4 * word, part, value, defined),
                Place::Scratch(offset) => {
                    wave.scratch.write(offset + 4 * word, part, value, defined)
                }
            }
        }
        if let Place::Global(address) = target
            && reach.memory.is_control()
        {
            wake(address);
        }
    }
    Ok(())
}

/// Loads scalars.
pub fn load_scalars(
    wave: &mut Wave,
    reach: &mut Reach<'_>,
    instruction: &Instruction,
    words: u8,
    offset: i64,
) -> Result<(), Fault> {
    reach.memory.refresh();
    let (base, base_defined) = wave.read(instruction.sources[0], 2);
    let (index, index_defined) = match instruction.sources[1] {
        Operand::None => (0, true),
        operand => wave.read(operand, 1),
    };
    for (operand, defined) in [
        (instruction.sources[0], base_defined),
        (instruction.sources[1], index_defined),
    ] {
        if let Operand::Scalar(number) = operand
            && !defined
        {
            return Err(Fault::Undefined(Register::Scalar(number), "an address"));
        }
    }
    let address = base.wrapping_add(index).wrapping_add(offset as u64);
    let size = 4 * usize::from(words);
    let what = "a load";
    if !address.is_multiple_of(4) {
        return Err(Fault::Misaligned {
            what,
            address,
            size,
            lane: 0,
        });
    }
    if let Err(why) = reach.memory.check(address, size, false) {
        return Err(Fault::Memory {
            what,
            address,
            size,
            lane: 0,
            why,
        });
    }
    let Operand::Scalar(number) = instruction.destination else {
        return Err(Fault::Unknown("a load without a scalar register".into()));
    };
    read_words(address, words.into(), |word, value| {
        wave.set_scalar(number + word as u16, value);
    });
    wave.waits
        .begin_local(Some((Register::Scalar(number), words)), true);
    Ok(())
}
