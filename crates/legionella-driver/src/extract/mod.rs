//! Extraction: from the bitcode of all crates of a program to one module with everything that its
//! kernels reach.
//!
//! Takes the entry symbols, the bitcode stores of the crates and the archives of the sysroot; gives a
//! [`Closure`]. Follows references until nothing is missing that any of them has, loading only the
//! modules that have something that is missing, and stops at the functions of [`cuts`]. What the
//! program's own crate reaches of all the others is gathered first and can be kept: its
//! [`Foundation`]. Knows no target: what a device can't do is still in there.

use std::collections::HashSet;
use std::path::PathBuf;

use legionella_abi::intrinsic;
use legionella_abi::protocol::Source;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::llvm::Llvm;

pub mod cuts;
mod foundation;
pub(crate) mod heap;
mod ir;
mod library;
mod linker;
pub(crate) mod maths;
mod names;
mod reach;
mod summary;
mod trace;
mod walk;

pub(crate) use names::demangle;
pub use names::kernel_name;
pub(crate) use reach::NEEDS;

use cuts::Cut;
pub(crate) use foundation::Foundation;
pub(crate) use library::{Library, Others};
use linker::Gathered;
pub(crate) use trace::Trace;
use walk::Walk;

/// All that a set of kernels reaches, in one module.
#[derive(Clone, Debug)]
pub struct Closure {
    /// LLVM bitcode. The entries, [`legionella_abi::intrinsic::ROOTS`], the heap and the mathematical
    /// functions are external, other definitions internal. Entries have an attribute that names those of
    /// the heap and of the functions that they may need.
    pub bitcode: Vec<u8>,
    /// What is known of each entry, in the order that they were asked for.
    pub entries: Vec<Entry>,
    /// Which entries are to be read together, by their places in that list, each once.
    pub parts: Vec<Vec<usize>>,
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

/// Extracts the closure of entry symbols. The first store is that of the program's own crate.
///
/// # Errors
/// If an entry is in no store, or bitcode cannot be read.
pub fn closure(
    llvm: &Llvm,
    entries: &[&str],
    stores: &[PathBuf],
    sysroot_archives: &[PathBuf],
) -> Result<Closure, Error> {
    let (own, others) = stores.split_at(1.min(stores.len()));
    let own = Library::open(own, &[])?;
    let mut others = Others::new(others, sysroot_archives);
    let (closure, _) = closure_of(llvm, entries, &[], &own, &mut others, None)?;
    Ok(closure)
}

/// Extracts the closure of entry symbols from a program's own crate and from `others`, which are
/// opened only if the foundation that was kept does not serve. Gives the one that does as well. `blocks` are the sizes
/// of the entries' argument blocks, as far as they are known.
pub(crate) fn closure_of(
    _: &Llvm,
    entries: &[&str],
    blocks: &[u32],
    own: &Library,
    others: &mut Others<'_>,
    kept: Option<Foundation>,
) -> Result<(Closure, Foundation), Error> {
    let mut gathered = Gathered::new();
    let mut walk = Walk::new(own);
    let roots = entries.iter().chain(&intrinsic::ROOTS);
    walk.follow(&mut gathered, roots.map(|root| (*root).to_owned()))?;
    let mut foundation = kept.unwrap_or_default();
    loop {
        // What other crates refer to by a plain name may be the program's own.
        walk.follow(&mut gathered, foundation.missing().iter().cloned())?;
        if foundation.serves(walk.outside()) {
            break;
        }
        foundation = foundation.extended(walk.outside(), others.open()?)?;
    }
    gathered.start_from(foundation.bitcode())?;
    walk.link(&mut gathered)?;
    let missing = entries.iter().find(|entry| !gathered.defines(entry));
    if let Some(entry) = missing {
        return Err(Error::MissingKernel {
            kernel: kernel_name(entry),
        });
    }

    for (entry, size) in entries.iter().zip(blocks) {
        gathered.describe_block(entry, *size);
    }
    let roots = roots_of(&gathered, entries);
    gathered.close(&roots);
    // What was kept of other crates may allocate where this program doesn't get.
    let needed = gathered.replacements();
    let needless = |name: &&str| roots.contains(*name) && !needed.iter().any(|one| one == name);
    let needless: Vec<&str> = intrinsic::HEAP.into_iter().filter(needless).collect();
    gathered.drop_unless_reached(&needless);
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
    let (reaches, parts) = reach::reaches(&gathered, entries);
    let closure = Closure {
        entries: summary::entries(&gathered, entries, &reaches),
        parts,
        bitcode: gathered.bitcode(),
        undefined,
        cuts,
    };
    Ok((closure, foundation))
}

/// The definitions that lowering looks for by name.
fn roots_of(gathered: &Gathered, entries: &[&str]) -> HashSet<String> {
    let named = entries.iter().chain(&intrinsic::ROOTS);
    let named = named.map(|symbol| (*symbol).to_owned());
    named
        .chain(gathered.replacements())
        .filter(|symbol| gathered.defines(symbol))
        .collect()
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
