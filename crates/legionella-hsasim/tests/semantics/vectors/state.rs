//! What a line's names stand for: registers, masks and memory of a wave.

use legionella_hsasim::decode::M0;
use legionella_hsasim::interpret::local::Bytes;
use legionella_hsasim::interpret::wave::Wave;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::lanes::LANES;

/// Bytes of the machine's memory that a line may use.
pub const BYTES: usize = 1024;

/// A wave, with memory.
pub struct State {
    pub wave: Wave,
    pub local: Bytes,
    base: u64,
}

/// A register's name: its kind, number, and how many.
fn register(name: &str) -> (char, u16, usize) {
    match name {
        "vcc" => return ('m', 106, 1),
        "exec" => return ('m', 126, 1),
        "m0" => return ('s', M0, 1),
        _ => {}
    }
    let kind = name.chars().next().unwrap();
    let rest = &name[1..];
    match rest.strip_prefix('[') {
        Some(range) => {
            let (first, last) = range.trim_end_matches(']').split_once(':').unwrap();
            let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
            (kind, first, usize::from(last - first) + 1)
        }
        None => (
            kind,
            rest.parse()
                .unwrap_or_else(|_| panic!("the register {name}")),
            1,
        ),
    }
}

impl State {
    pub fn new(isa: Isa, base: u64) -> State {
        let mut wave = Wave::new(isa.wave() / LANES, 512, 256, 0);
        wave.set_mask(126, u64::MAX);
        for at in 0..BYTES {
            // SAFETY: within the allocation.
            unsafe { (base as *mut u8).add(at).write(at as u8) };
        }
        State {
            wave,
            local: Bytes::new(BYTES),
            base,
        }
    }

    /// A value's bits, for a lane, as a register of so many words has them.
    fn bits(&self, value: &str, words: usize, lane: usize) -> u64 {
        let (negative, digits) = match value.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, value),
        };
        if let Some(digits) = digits.strip_prefix("0x") {
            let number = u64::from_str_radix(digits, 16).unwrap();
            return if words > 2 {
                number | number << 32
            } else {
                number
            };
        }
        if value == "lane" {
            return lane as u64;
        }
        if let Some(offset) = value.strip_prefix("mem") {
            return self.base + offset.trim_start_matches('+').parse::<u64>().unwrap_or(0);
        }
        if digits.contains('.') || digits == "inf" || digits == "nan" {
            let number: f64 = value.parse().unwrap();
            return match words {
                1 => u64::from((number as f32).to_bits()),
                _ => number.to_bits(),
            };
        }
        if words > 2 && !negative {
            // Each word is the same.
            let word: u64 = digits.parse().unwrap();
            return word | word << 32;
        }
        let number: u64 = digits
            .parse()
            .unwrap_or_else(|_| panic!("the value {value}"));
        if negative {
            number.wrapping_neg()
        } else {
            number
        }
    }

    fn lanes(&self) -> usize {
        self.wave.halves * LANES
    }

    pub fn set(&mut self, name: &str, value: &str) {
        if let Some(at) = name.strip_prefix("lds[") {
            let at: usize = at.trim_end_matches(']').parse().unwrap();
            let bits = self.bits(value, 1, 0);
            self.local.write(at, 4, bits, true);
            return;
        }
        if let Some(at) = name.strip_prefix("mem[") {
            let at: usize = at.trim_end_matches(']').parse().unwrap();
            let bits = self.bits(value, 1, 0) as u32;
            // SAFETY: within the allocation.
            unsafe { ((self.base + at as u64) as *mut u32).write_unaligned(bits) };
            return;
        }
        if name == "scc" {
            self.wave.scc = value == "1";
            return;
        }
        let (name, only) = match name.split_once('@') {
            Some((name, lane)) => (name, Some(lane.parse::<usize>().unwrap())),
            None => (name, None),
        };
        let (kind, number, words) = register(name);
        match kind {
            'm' => {
                let bits = self.bits(value, 2, 0);
                self.wave.set_mask(number, bits);
            }
            's' => {
                let bits = self.bits(value, words, 0);
                for word in 0..words {
                    (self.wave)
                        .set_scalar(number + word as u16, (bits >> (32 * (word % 2))) as u32);
                }
            }
            _ => {
                let number = if kind == 'a' { 256 + number } else { number };
                for lane in 0..self.lanes() {
                    if only.is_some_and(|only| only != lane) {
                        continue;
                    }
                    let bits = self.bits(value, words, lane);
                    for word in 0..words {
                        let place = self.wave.place(lane / LANES, number, words).unwrap() + word;
                        self.wave.vectors[place].0[lane % LANES] =
                            (bits >> (32 * (word % 2))) as u32;
                        self.wave.defined[place] |= 1 << (lane % LANES);
                    }
                }
            }
        }
    }

    /// What a name holds in a lane: words and bits, if it is defined.
    fn get(&self, kind: char, number: u16, words: usize, lane: usize) -> Option<u64> {
        let mut bits = 0;
        for word in 0..words {
            let value = if kind == 's' {
                if !self.wave.is_defined(number + word as u16) {
                    return None;
                }
                self.wave.scalars[usize::from(number) + word]
            } else {
                let number = if kind == 'a' { 256 + number } else { number };
                let place = self.wave.place(lane / LANES, number, words).unwrap() + word;
                if (self.wave.defined[place] >> (lane % LANES)) & 1 == 0 {
                    return None;
                }
                self.wave.vectors[place].0[lane % LANES]
            };
            bits |= u64::from(value) << (32 * (word % 2));
        }
        Some(bits)
    }

    /// What is other than it should be.
    pub fn differs(&self, name: &str, value: &str) -> Option<String> {
        if let Some(at) = name.strip_prefix("lds[") {
            let at: usize = at.trim_end_matches(']').parse().unwrap();
            let (found, is_defined) = self.local.read(at, 4);
            let expected = self.bits(value, 1, 0) & 0xffff_ffff;
            return (found != expected || !is_defined).then(|| format!("{name} is {found:#x}"));
        }
        if let Some(at) = name.strip_prefix("mem[") {
            let at: usize = at.trim_end_matches(']').parse().unwrap();
            // SAFETY: within the allocation.
            let found = unsafe { ((self.base + at as u64) as *const u32).read_unaligned() };
            let expected = self.bits(value, 1, 0) as u32;
            return (found != expected).then(|| format!("{name} is {found:#x}"));
        }
        if name == "scc" {
            return (self.wave.scc != (value == "1")).then(|| format!("scc is {}", self.wave.scc));
        }
        let (name, only) = match name.split_once('@') {
            Some((name, lane)) => (name, Some(lane.parse::<usize>().unwrap())),
            None => (name, None),
        };
        let (kind, number, words) = register(name);
        if kind == 'm' {
            let all = u64::MAX >> (64 - self.lanes());
            let (found, expected) = (self.wave.mask(number) & all, self.bits(value, 2, 0) & all);
            return (found != expected).then(|| format!("{name} is {found:#x}"));
        }
        let lanes = if kind == 's' {
            0..1
        } else {
            only.map_or(0..self.lanes(), |lane| lane..lane + 1)
        };
        for lane in lanes {
            let found = self.get(kind, number, words, lane);
            let is_right = match (value, found) {
                ("-", found) => found.is_none(),
                (_, None) => false,
                ("nan", Some(bits)) if words == 1 => f32::from_bits(bits as u32).is_nan(),
                ("nan", Some(bits)) => f64::from_bits(bits).is_nan(),
                (_, Some(bits)) => {
                    let mask = u64::MAX >> (64 - 32 * words.min(2));
                    bits == self.bits(value, words, lane) & mask
                }
            };
            if !is_right {
                return Some(match found {
                    Some(bits) => format!("{name} is {bits:#x} in lane {lane}"),
                    None => format!("{name} is undefined in lane {lane}"),
                });
            }
        }
        None
    }
}
