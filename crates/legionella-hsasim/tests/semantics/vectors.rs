//! Instructions one by one, from tables of text: what registers hold before and after, derived by hand from the ISA documents'
//! definitions. A mnemonic that the decoder knows and no table has is a failure.
//!
//! A line of a table is `text | before | after`. The text has one or more instructions, separated by `;`, and may have
//! alternatives (`alternatives`). `vcc` and `exec` are of as many lanes as
//! the machine has. Before and after are assignments: to `v0`, `v[0:1]`, `s0`, `s[0:1]`, `a0`, `vcc`, `exec`, `scc`, `m0`, to
//! a lane as `v0@3`, to words of the work-group's memory as `lds[8]` and of the machine's as `mem[8]`, whose bytes count from 0 before
//! (`mem` alone is its address). Values are numbers, `1.5` of the register's size, `lane` (the lane's number), `nan` (any), and `-`
//! (undefined); of more than two registers each has the value. `.` is nothing. After `!` stands a part of a fault's text. A line is for all machines whose assembler has the text, or
//! only for one that stands before it, as `gfx942: …`.

use std::collections::BTreeSet;

use legionella_hsasim::decode::{Code, M0, mnemonics};
use legionella_hsasim::error::Fault;
use legionella_hsasim::interpret::access::Reach;
use legionella_hsasim::interpret::fences::Unfenced;
use legionella_hsasim::interpret::local::Bytes;
use legionella_hsasim::interpret::run::{Stop, run};
use legionella_hsasim::interpret::vector::Halves;
use legionella_hsasim::interpret::wave::Wave;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::lanes::LANES;
use legionella_hsasim::machine::memory::{Purpose, View, memory};
use legionella_hsasim::operation::canonical;

use crate::assembler::{assemble, mistakes};

const TABLES: [(&str, &str); 5] = [
    ("scalar", include_str!("vectors/scalar.txt")),
    ("integer", include_str!("vectors/integer.txt")),
    ("float", include_str!("vectors/float.txt")),
    ("lanes", include_str!("vectors/lanes.txt")),
    ("memory", include_str!("vectors/memory.txt")),
];

/// A line of a table.
#[derive(Clone)]
struct Vector {
    place: String,
    only: Option<Isa>,
    text: String,
    before: Vec<(String, String)>,
    after: Vec<(String, String)>,
    fault: Option<String>,
}

fn assignments(text: &str) -> Vec<(String, String)> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{word}"));
        (name.to_owned(), value.to_owned())
    };
    let words = text.split_whitespace().filter(|word| *word != ".");
    words.map(pair).collect()
}

/// The texts that a text with alternatives stands for: `<a|b>` is one or the other, and of `{a|b}` all are the first or all
/// the second.
fn alternatives(text: &str) -> Vec<String> {
    let taken = |open: char, close: char| {
        let (before, rest) = text.split_once(open)?;
        let (list, after) = rest.split_once(close)?;
        Some((before, list.split('|').collect::<Vec<_>>(), after))
    };
    if let Some((before, list, after)) = taken('<', '>') {
        let one = |choice: &&str| alternatives(&format!("{before}{choice}{after}"));
        return list.iter().flat_map(one).collect();
    }
    let Some((_, list, _)) = taken('{', '}') else {
        return vec![text.to_owned()];
    };
    let choose = |number: usize| {
        let mut chosen = String::new();
        for (at, part) in text.split(['{', '}']).enumerate() {
            chosen.push_str(if at % 2 == 0 {
                part
            } else {
                part.split('|').nth(number).unwrap()
            });
        }
        chosen
    };
    (0..list.len()).map(choose).collect()
}

/// The lines of the tables.
fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (table, text) in TABLES {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{table}.txt:{}", number + 1);
            let parts: Vec<&str> = line.split(" | ").collect();
            let [text, before, after] = *parts else {
                panic!("{place}: {line}");
            };
            let fault = after
                .trim()
                .strip_prefix('!')
                .map(|text| text.trim().to_owned());
            for text in alternatives(text.trim()) {
                let named = |isa: &Isa| text.starts_with(&format!("{}: ", isa.name()));
                let only = Isa::ALL.into_iter().find(named);
                let text = only.map_or(&*text, |isa| &text[isa.name().len() + 2..]);
                vectors.push(Vector {
                    place: place.clone(),
                    only,
                    text: text.to_owned(),
                    before: assignments(before),
                    after: match fault {
                        Some(_) => Vec::new(),
                        None => assignments(after),
                    },
                    fault: fault.clone(),
                });
            }
        }
    }
    vectors.extend(comparisons());
    vectors
}

/// What comparisons give of a smaller and a larger number, of equal ones, of a larger and a smaller, and of one with a NaN
/// (RDNA3 ISA, "Compare Operations").
const CONDITIONS: [(&str, [bool; 4]); 18] = [
    ("f", [false, false, false, false]),
    ("lt", [true, false, false, false]),
    ("eq", [false, true, false, false]),
    ("le", [true, true, false, false]),
    ("gt", [false, false, true, false]),
    ("ne", [true, false, true, true]),
    ("lg", [true, false, true, false]),
    ("ge", [false, true, true, false]),
    ("o", [true, true, true, false]),
    ("u", [false, false, false, true]),
    ("nge", [true, false, false, true]),
    ("nlg", [false, true, false, true]),
    ("ngt", [true, true, false, true]),
    ("nle", [false, false, true, true]),
    ("neq", [true, false, true, true]),
    ("nlt", [false, true, true, true]),
    ("tru", [true, true, true, true]),
    ("t", [true, true, true, true]),
];

/// Of each type a smaller and a larger number, whose order is another as any other type, and a NaN.
const NUMBERS: [(&str, [&str; 2], Option<&str>); 9] = [
    ("u16", ["0x0001", "0x8000"], None),
    ("i16", ["0x8000", "0x0001"], None),
    ("u32", ["0x00000001", "0x80000000"], None),
    ("i32", ["0x80000000", "0x00000001"], None),
    ("u64", ["0x00000001ffffffff", "0x8000000000000000"], None),
    ("i64", ["0x8000000000000001", "0x0000000100000000"], None),
    // The subnormal numbers next to zero, of which the negative one is the smaller.
    ("f16", ["0x8001", "0x0001"], Some("0x7e00")),
    ("f32", ["0x80000001", "0x00000001"], Some("0x7fc00000")),
    (
        "f64",
        ["0x8000000000000001", "0x0000000000000001"],
        Some("0x7ff8000000000000"),
    ),
];

/// A line for each comparison, type and pair of numbers.
fn comparisons() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (kind, [small, large], nan) in NUMBERS {
        for (condition, holds) in CONDITIONS {
            let pairs = [
                Some((small, large)),
                Some((small, small)),
                Some((large, small)),
                nan.map(|nan| (small, nan)),
            ];
            for (pair, holds) in pairs.into_iter().zip(holds) {
                let Some((left, right)) = pair else { continue };
                let (a, b) = if kind.ends_with("64") {
                    ("v[2:3]", "v[4:5]")
                } else {
                    ("v2", "v4")
                };
                let before = vec![
                    (a.to_owned(), left.to_owned()),
                    (b.to_owned(), right.to_owned()),
                ];
                for (prefix, target) in [("v_cmp", "vcc"), ("v_cmpx", "exec")] {
                    let low = |name: &str| {
                        if kind.ends_with("16") {
                            format!("{name}.l")
                        } else {
                            name.to_owned()
                        }
                    };
                    for text in [
                        format!("{prefix}_{condition}_{kind} vcc, {a}, {b}"),
                        format!("{prefix}_{condition}_{kind} {a}, {b}"),
                        format!("{prefix}_{condition}_{kind} vcc, {}, {}", low(a), low(b)),
                        format!("{prefix}_{condition}_{kind} {}, {}", low(a), low(b)),
                    ] {
                        vectors.push(Vector {
                            place: format!("the comparison {condition} of {kind}"),
                            only: None,
                            text,
                            before: before.clone(),
                            after: vec![(
                                target.to_owned(),
                                if holds { "-1" } else { "0" }.to_owned(),
                            )],
                            fault: None,
                        });
                    }
                }
            }
        }
    }
    vectors
}

/// The text as the machine's assembler has it.
fn written(isa: Isa, text: &str) -> String {
    let lines = text.replace(';', "\n");
    if isa != Isa::Gfx1100 {
        return lines;
    }
    // Masks are of 32 lanes.
    lines
        .split_inclusive(|character: char| !(character.is_alphanumeric() || character == '_'))
        .map(|word| {
            let name = word.trim_end_matches(|character: char| {
                !(character.is_alphanumeric() || character == '_')
            });
            match name {
                "vcc" | "exec" => word.replacen(name, &format!("{name}_lo"), 1),
                _ => word.to_owned(),
            }
        })
        .collect()
}

/// Of texts, those that the machine's assembler takes.
fn accepted(isa: Isa, texts: &[String]) -> Vec<bool> {
    let mut starts = Vec::new();
    let (mut all, mut line) = (String::new(), 1);
    for text in texts {
        starts.push(line);
        all.push_str(text);
        all.push('\n');
        line += text.matches('\n').count() + 1;
    }
    let wrong = mistakes(isa.name(), &all);
    let mut accepted = vec![true; texts.len()];
    for (line, _) in wrong {
        let at = starts.partition_point(|&start| start <= line) - 1;
        accepted[at] = false;
    }
    accepted
}

/// Bytes of the machine's memory that a line may use.
const BYTES: usize = 1024;

struct Machine {
    wave: Wave,
    local: Bytes,
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

impl Machine {
    fn new(isa: Isa, base: u64) -> Machine {
        let mut wave = Wave::new(isa.wave() / LANES, 512, 256, 0);
        wave.set_mask(126, u64::MAX);
        for at in 0..BYTES {
            // SAFETY: within the allocation.
            unsafe { (base as *mut u8).add(at).write(at as u8) };
        }
        Machine {
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

    fn set(&mut self, name: &str, value: &str) {
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
    fn differs(&self, name: &str, value: &str) -> Option<String> {
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

/// Executes a line from a slot on; what is wrong.
fn wrong(isa: Isa, vector: &Vector, code: &Code, slot: u32, base: u64) -> Option<String> {
    let mut machine = Machine::new(isa, base);
    for (name, value) in &vector.before {
        machine.set(name, value);
    }
    machine.wave.slot = slot;
    let mut view = View::new(1);
    let mut reach = Reach {
        memory: &mut view,
        local: &mut machine.local,
        counts_stores: isa.counts_stores(),
        unfenced: &Unfenced::default(),
        order: None,
        wave: 0,
        buffer_scale: 64,
    };
    let halves = Halves {
        keep: isa.keeps_halves(),
    };
    let mut end = Ok(Stop::Turn);
    // Barriers and sleeps stop a wave, which goes on.
    for _ in 0..8 {
        end = run(&mut machine.wave, code, &mut reach, halves, 1000);
        if matches!(end, Err(_) | Ok(Stop::End)) {
            break;
        }
    }
    let end: Result<Stop, Fault> = end;
    match (end, &vector.fault) {
        (Err(fault), Some(part)) if fault.to_string().contains(part) => None,
        (Err(fault), _) => Some(fault.to_string()),
        (Ok(_), Some(part)) => Some(format!("there is no fault: {part}")),
        (Ok(Stop::End), None) => {
            let mut after = vector.after.iter();
            after.find_map(|(name, value)| {
                let found = machine.differs(name, value)?;
                Some(format!("{found}, not {value}"))
            })
        }
        (Ok(stop), None) => Some(format!("{stop:?}")),
    }
}

/// The mnemonics of a text, and what modifiers make of them.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.split([';', '\n']).flat_map(|line| line.split("::")) {
        let mnemonic = line.split_whitespace().next().unwrap_or_default();
        let name = mnemonic.replace("v_dual_", "v_");
        let canonical = canonical(&name).to_owned();
        if line.contains("clamp") {
            names.push(format!("{canonical}.clamp"));
        }
        let bare = ["_e32", "_e64", "_dpp", "_sdwa"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        names.push(bare.unwrap_or(&name).to_owned());
        names.push(canonical);
    }
    names
}

#[test]
fn every_instruction_has_its_vectors() {
    let vectors = vectors();
    let base = memory()
        .allocate(BYTES, Purpose::Pool(0), 1)
        .unwrap()
        .as_ptr() as u64;
    let (mut failures, mut tested) = (Vec::new(), BTreeSet::from(["s_endpgm".to_owned()]));
    let mut has_run = vec![false; vectors.len()];
    for isa in Isa::ALL {
        let texts: Vec<String> = vectors
            .iter()
            .map(|vector| written(isa, &vector.text))
            .collect();
        let accepted = accepted(isa, &texts);
        let fits = |at: &usize| accepted[*at] && vectors[*at].only.is_none_or(|only| only == isa);
        let chosen: Vec<usize> = (0..vectors.len()).filter(fits).collect();
        let whole: String = chosen
            .iter()
            .map(|&at| format!("{}\ns_endpgm\n", texts[at]))
            .collect();
        let code = Code::decode(isa, isa.wave(), &assemble(isa.name(), &whole), 0x1000).unwrap();
        let mut slot = 0;
        for at in chosen {
            let vector = &vectors[at];
            if let Some(wrong) = wrong(isa, vector, &code, slot, base) {
                failures.push(format!(
                    "{} on {}: {}: {wrong}",
                    vector.place,
                    isa.name(),
                    vector.text
                ));
            }
            has_run[at] = true;
            tested.extend(names(&vector.text));
            // The next line begins behind the end of this one.
            while !code.text(slot).contains("s_endpgm") {
                slot = code.slot(slot).unwrap().next;
            }
            slot = code.slot(slot).unwrap().next;
        }
    }
    let ran: BTreeSet<&str> = vectors
        .iter()
        .zip(&has_run)
        .filter(|(_, ran)| **ran)
        .map(|(vector, _)| &*vector.place)
        .collect();
    for vector in vectors
        .iter()
        .filter(|vector| !vector.place.starts_with("the comparison"))
    {
        if !ran.contains(&*vector.place) {
            failures.push(format!(
                "{}: no assembler has {}",
                vector.place, vector.text
            ));
        }
    }
    for name in known() {
        if !tested.contains(&name) {
            failures.push(format!("no line is about {name}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{} failures",
        failures.join("\n"),
        failures.len()
    );
}

/// The mnemonics that the decoder knows and a machine has.
fn known() -> BTreeSet<String> {
    let all: BTreeSet<String> = mnemonics().into_iter().collect();
    let base = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut known = BTreeSet::new();
    for isa in Isa::ALL {
        let names: Vec<&String> = all.iter().collect();
        let texts: Vec<String> = names.iter().map(|name| base(name)).collect();
        let joined = texts.join("\n") + "\n";
        let wrong = mistakes(isa.name(), &joined);
        let mut has = vec![true; names.len()];
        for (line, why) in wrong {
            // Others are about operands, which are missing.
            if ["invalid instruction", "not supported on this GPU"]
                .iter()
                .any(|part| why.contains(part))
            {
                has[line - 1] = false;
            }
        }
        for (name, _) in names.into_iter().zip(has).filter(|(_, has)| *has) {
            // A second result is part of the instruction.
            let is_form = name.ends_with(".clamp");
            known.insert(if is_form { name.clone() } else { base(name) });
        }
    }
    known
}
