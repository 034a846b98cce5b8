//! Reads scalar arithmetic, and loads of scalars.

use super::build::Builder;
use super::instruction::Kind;
use super::text::number;
use crate::operation::scalar;

/// Loads: what follows `s_load_`, and registers.
const LOADS: [(&str, usize); 10] = [
    ("b32", 1),
    ("dword", 1),
    ("b64", 2),
    ("dwordx2", 2),
    ("b128", 4),
    ("dwordx4", 4),
    ("b256", 8),
    ("dwordx8", 8),
    ("b512", 16),
    ("dwordx16", 16),
];

/// What computes a new execution mask: what follows its name, and whether the new mask is what is kept.
const MASKS: [(&str, bool); 2] = [("_saveexec_b", false), ("_wrexec_b", true)];

/// The mnemonics.
pub fn names() -> Vec<String> {
    let loads = LOADS.iter().map(|(kind, _)| format!("s_load_{kind}"));
    let masks = MASKS.iter().flat_map(|(middle, _)| {
        let names = scalar::MASKS
            .iter()
            .map(move |(name, _)| format!("s_{name}{middle}"));
        names.flat_map(|name| [format!("{name}32"), format!("{name}64")])
    });
    let others = scalar::names().map(str::to_owned);
    loads.chain(masks).chain(others).collect()
}

fn load_words(kind: &str) -> Option<usize> {
    let load = LOADS.iter().find(|(name, _)| *name == kind);
    load.map(|(_, words)| *words)
}

impl Builder<'_> {
    pub(super) fn scalar(&mut self, name: &str) -> Result<(), String> {
        if let Some(words) = name.strip_prefix("s_load_").and_then(load_words) {
            self.destination(0, words)?;
            self.instruction.sources[0] = self.scalar_operand(1, 2)?;
            let mut offset = self.line.value("offset").and_then(number).unwrap_or(0);
            match self.line.operands.get(2).and_then(|text| number(text)) {
                Some(immediate) => offset += immediate,
                None => self.instruction.sources[1] = self.scalar_operand(2, 1)?,
            }
            self.instruction.kind = Kind::ScalarLoad {
                words: words as u8,
                offset,
            };
            return Ok(());
        }
        for (middle, write) in MASKS {
            if let Some((operation, bits)) = name.split_once(middle)
                && let Some(run) = scalar::mask_operation(&operation[2..])
            {
                let words = if bits == "64" { 2 } else { 1 };
                self.destination(0, words)?;
                self.instruction.sources[0] = self.scalar_operand(1, words)?;
                self.instruction.kind = Kind::SaveExec {
                    run,
                    wide: words == 2,
                    write,
                };
                return Ok(());
            }
        }
        let operation = scalar::find(name).ok_or("the mnemonic")?;
        let mut next = 0;
        if operation.output != 0 || operation.reads_destination {
            self.destination(0, operation.output.max(1))?;
            next = 1;
        }
        for (at, &words) in operation.sources.iter().enumerate() {
            self.instruction.sources[at] = self.scalar_operand(next + at, words)?;
        }
        self.instruction.kind = Kind::Scalar(operation);
        Ok(())
    }
}
