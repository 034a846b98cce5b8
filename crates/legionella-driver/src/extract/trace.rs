//! What extraction looked at, so that a later one with the same outcome need not be done.
//!
//! What a closure takes from a library depends on which module each symbol was found in, or that it
//! was found nowhere, and on the bitcode of the modules that were read; on nothing else.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::library::{Library, ModuleId};
use crate::error::Error;

/// The lookups and modules of one extraction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trace {
    /// Modules that symbols were found in: where they are from, and a hash of those that were read.
    modules: Vec<(String, Option<[u8; 32]>)>,
    /// Symbols, with positions in `modules`.
    lookups: Vec<(String, Option<u32>)>,
}

impl Trace {
    /// What was looked at in a library so far.
    pub(crate) fn of(library: &Library) -> Result<Self, Error> {
        let mut modules = Vec::new();
        let mut positions: HashMap<ModuleId, u32> = HashMap::new();
        let mut lookups = Vec::new();
        for (symbol, module) in library.lookups() {
            let position = match module {
                None => None,
                Some(module) => match positions.get(&module) {
                    Some(&position) => Some(position),
                    None => {
                        let position = modules.len() as u32;
                        positions.insert(module, position);
                        let hash = if library.was_read(module) {
                            Some(hash(library, module)?)
                        } else {
                            None
                        };
                        modules.push((library.origin(module), hash));
                        Some(position)
                    }
                },
            };
            lookups.push((symbol, position));
        }
        Ok(Trace { modules, lookups })
    }

    /// Whether extraction from a library would look at the same things.
    pub(crate) fn holds(&self, library: &Library) -> bool {
        let by_origin: HashMap<String, ModuleId> = library.origins().collect();
        let mut modules = Vec::with_capacity(self.modules.len());
        for (origin, expected) in &self.modules {
            let Some(&module) = by_origin.get(origin) else {
                return false;
            };
            modules.push(module);
            if let Some(expected) = expected
                && !hash(library, module).is_ok_and(|found| found == *expected)
            {
                return false;
            }
        }
        self.lookups.iter().all(|(symbol, position)| {
            let expected = position.and_then(|position| modules.get(position as usize).copied());
            library.peek(symbol) == expected && position.is_some() == expected.is_some()
        })
    }
}

fn hash(library: &Library, module: ModuleId) -> Result<[u8; 32], Error> {
    Ok(*blake3::hash(library.peek_bytes(module)?.as_slice()).as_bytes())
}
