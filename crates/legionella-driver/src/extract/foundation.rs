//! What a program's own crate reaches of the crates below it: dependencies and standard library.
//!
//! Most of a closure is this, and it seldom changes while a program is worked on. It is therefore a
//! module of its own, which can be kept between links; then only the program's own bitcode is read.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::library::{Library, ModuleId};
use super::linker::Gathered;
use super::walk::Walk;
use super::{cuts, maths};
use crate::error::Error;

/// The closure of some symbols in all crates but the program's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Foundation {
    /// Symbols that it was made for, whether or not a crate defines them.
    wanted: BTreeSet<String>,
    /// Symbols that its module refers to or could use and does not define.
    missing: Vec<String>,
    /// The module. Definitions of wanted symbols are external, others internal. Empty if nothing
    /// was wanted yet.
    bitcode: Vec<u8>,
}

impl Foundation {
    /// Whether this has all that the other crates have of some symbols.
    pub(super) fn serves(&self, wanted: &BTreeSet<String>) -> bool {
        wanted.is_subset(&self.wanted)
    }

    /// Symbols that its module refers to or could use and does not define.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(super) fn bitcode(&self) -> &[u8] {
        &self.bitcode
    }

    /// Hash of what it serves and of its bitcode.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for symbol in &self.wanted {
            hasher.update(symbol.as_bytes()).update(&[0]);
        }
        *hasher.update(&self.bitcode).finalize().as_bytes()
    }

    /// One that serves more symbols than this one.
    pub(super) fn extended(
        mut self,
        wanted: &BTreeSet<String>,
        library: &Library,
    ) -> Result<Self, Error> {
        self.wanted.extend(wanted.iter().cloned());
        let mut roots: HashSet<String> = self.wanted.iter().cloned().collect();
        roots.retain(|symbol| is_for_devices(library, symbol));

        let mut gathered = Gathered::new();
        let mut walk = Walk::new(library);
        let mut hopeless = HashSet::new();
        loop {
            gather(library, &mut gathered, &mut walk, &roots, &mut hopeless)?;
            let before = roots.len();
            let ours = gathered.replacements().into_iter();
            roots.extend(ours.filter(|symbol| is_for_devices(library, symbol)));
            if roots.len() == before {
                break;
            }
        }
        gathered.close(&roots);
        self.missing = gathered.undefined();
        let ours = gathered.replacements().into_iter();
        self.missing
            .extend(ours.filter(|symbol| !gathered.defines(symbol)));
        self.bitcode = gathered.bitcode();
        Ok(self)
    }
}

fn is_for_devices(library: &Library, symbol: &str) -> bool {
    let module = library.find(symbol);
    module.is_some_and(|module| stays(library, module, symbol))
}

/// Whether a definition is for devices too: not where lowering has another, which for mathematical
/// functions is so unless crates of the program define them.
fn stays(library: &Library, module: ModuleId, symbol: &str) -> bool {
    let mathematical = || {
        let ours = maths::of_function(symbol);
        !library.is_in_store(module) && ours.is_some_and(|ours| library.find(&ours).is_some())
    };
    cuts::cut(symbol).is_none() && !mathematical()
}

/// Links modules until all that is missing is missing everywhere: first what stores have, then the
/// archives of the sysroot, each time the one that stands highest. `hopeless` are the symbols for
/// which nothing more can be done.
fn gather(
    library: &Library,
    gathered: &mut Gathered,
    walk: &mut Walk<'_>,
    roots: &HashSet<String>,
    hopeless: &mut HashSet<String>,
) -> Result<(), Error> {
    loop {
        let roots_missing = roots.iter().filter(|root| !gathered.defines(root)).cloned();
        let mut wanted = Vec::new();
        for symbol in gathered.undefined().into_iter().chain(roots_missing) {
            if hopeless.contains(&symbol) {
                continue;
            }
            match library.find(&symbol) {
                Some(module) if stays(library, module, &symbol) => wanted.push((module, symbol)),
                _ => {
                    hopeless.insert(symbol);
                }
            }
        }
        let Some(&(first, _)) = wanted.iter().min_by_key(|(module, _)| *module) else {
            return Ok(());
        };
        if library.is_in_store(first) {
            wanted.retain(|&(module, _)| library.is_in_store(module));
            walk.follow(gathered, wanted.iter().map(|(_, symbol)| symbol.clone()))?;
            walk.link(gathered)?;
        } else {
            wanted.retain(|&(module, _)| module == first);
            let bytes = library.bytes(first)?;
            let origin = library.origin(first);
            // SAFETY: the module is consumed at once, before the bitcode that it refers to goes.
            unsafe {
                let source = gathered.read(&origin, bytes.as_slice(), true)?;
                gathered.link(&origin, source, roots)?;
            }
        }
        hopeless.extend(wanted.into_iter().map(|(_, symbol)| symbol));
    }
}
