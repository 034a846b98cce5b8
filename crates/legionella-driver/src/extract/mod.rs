//! Extraction: from the bitcode of all crates of a program to one module with everything that its
//! kernels reach.
//!
//! Takes the entry symbols, the bitcode stores of the crates and the archives of the sysroot; gives a
//! [`Closure`]. Follows references until nothing is missing that any of them has, loading only the
//! modules that have something that is missing, and stops at the functions of [`cuts`]. Knows no
//! target: what a device can't do is still in there.

use std::collections::HashSet;
use std::path::PathBuf;

use legionella_abi::intrinsic;
use legionella_abi::protocol::Source;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::llvm::Llvm;

pub mod cuts;
mod ir;
mod library;
mod linker;
pub(crate) mod maths;
mod names;
mod summary;
mod trace;
mod walk;

pub(crate) use names::demangle;
pub use names::kernel_name;

use cuts::Cut;
pub(crate) use library::Library;
use library::ModuleId;
use linker::Gathered;
pub(crate) use trace::Trace;
use walk::Walk;

/// All that a set of kernels reaches, in one module.
#[derive(Clone, Debug)]
pub struct Closure {
    /// LLVM bitcode. The entries, [`legionella_abi::intrinsic::ROOTS`] and the mathematical functions
    /// are external, other definitions internal.
    pub bitcode: Vec<u8>,
    /// What is known of each entry, in the order that they were asked for.
    pub entries: Vec<Entry>,
    /// Symbols that the module refers to and no crate defines, sorted.
    pub undefined: Vec<String>,
    /// Symbols at which extraction stopped, sorted by name.
    pub cuts: Vec<(String, Cut)>,
}

/// What is known of an entry and of what it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its symbol.
    pub symbol: String,
    /// Path of the kernel that it calls.
    pub kernel: String,
    /// Where the kernel is defined, if its crate was compiled with line information.
    pub source: Option<Source>,
    /// Number of LLVM instructions in all functions that it reaches.
    pub instructions: u64,
}

/// Extracts the closure of entry symbols.
///
/// # Errors
/// If an entry is in no store, or bitcode cannot be read.
pub fn closure(
    llvm: &Llvm,
    entries: &[&str],
    stores: &[PathBuf],
    sysroot_archives: &[PathBuf],
) -> Result<Closure, Error> {
    closure_of(llvm, entries, &Library::open(stores, sysroot_archives)?)
}

/// Extracts the closure of entry symbols from a library.
pub(crate) fn closure_of(_: &Llvm, entries: &[&str], library: &Library) -> Result<Closure, Error> {
    let missing = entries.iter().find(|entry| library.find(entry).is_none());
    if let Some(entry) = missing {
        return Err(Error::MissingKernel {
            kernel: kernel_name(entry),
        });
    }
    let roots = entries.iter().map(|entry| (*entry).to_owned());
    let mut roots: HashSet<String> = roots.collect();
    roots.extend(known(library, intrinsic::ROOTS.iter().copied()));

    let mut gathered = Gathered::new();
    let mut walk = Walk::new(library);
    let mut hopeless = HashSet::new();
    loop {
        gather(library, &mut gathered, &mut walk, &roots, &mut hopeless)?;
        let maths = gathered.mathematics().into_iter();
        let before = roots.len();
        roots.extend(known(library, maths));
        if roots.len() == before {
            break;
        }
    }
    gathered.close(&roots);
    dump(&gathered);

    let mut cuts = Vec::new();
    let mut undefined = Vec::new();
    for symbol in gathered.undefined() {
        match cuts::cut(&symbol) {
            Some(cut) => cuts.push((symbol, cut)),
            None => undefined.push(symbol),
        }
    }
    cuts.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    undefined.sort_unstable();
    Ok(Closure {
        entries: summary::entries(&gathered, entries),
        bitcode: gathered.bitcode(),
        undefined,
        cuts,
    })
}

/// Writes the closure as text into the folder that `LEGIONELLA_DUMP` names. Dumps are for people, so
/// a failure to write is only logged.
fn dump(gathered: &Gathered) {
    let Some(folder) = std::env::var_os("LEGIONELLA_DUMP").filter(|folder| !folder.is_empty())
    else {
        return;
    };
    let path = PathBuf::from(&folder).join("closure.ll");
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, gathered.text()));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "cannot write IR");
    }
}

/// Those of some symbols that the library defines.
fn known<Name: Into<String> + AsRef<str>>(
    library: &Library,
    symbols: impl Iterator<Item = Name>,
) -> impl Iterator<Item = String> {
    symbols
        .filter(|symbol| library.find(symbol.as_ref()).is_some())
        .map(Into::into)
}

/// Whether a definition is for devices too: not where lowering has another, which for mathematical
/// functions is so unless the program's own crates define them.
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
            walk.link(gathered, wanted.iter().map(|(_, symbol)| symbol.clone()))?;
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
