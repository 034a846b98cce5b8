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

use legionella_hsasim::decode::{Code, mnemonics};
use legionella_hsasim::error::Fault;
use legionella_hsasim::interpret::access::Reach;
use legionella_hsasim::interpret::fences::Unfenced;
use legionella_hsasim::interpret::run::{Stop, run};
use legionella_hsasim::interpret::vector::Halves;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::machine::memory::{Purpose, View, memory};
use legionella_hsasim::operation::canonical;

use crate::assembler::{assemble, mistakes};

mod comparisons;
mod lines;
mod state;

use lines::{Vector, vectors};
use state::{BYTES, State};

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

/// Executes a line from a slot on; what is wrong.
fn wrong(isa: Isa, vector: &Vector, code: &Code, slot: u32, base: u64) -> Option<String> {
    let mut machine = State::new(isa, base);
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
