//! Which bitcode file defines which symbol.
//!
//! Takes LLVM bitcode and gives symbol tables, without LLVM: the wrapper indexes every crate while
//! it is compiled, and the linker step must find the few modules that a kernel reaches among
//! hundreds. Bitcode comes from two places: a crate's *bitcode store* ([`Index`]), a directory of
//! `.bc` files beside its artifact, and the [archives](archive) of the sysroot, whose members carry
//! bitcode in a section.

use std::fs;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::error::Error;

pub mod archive;
mod symbols;

pub use symbols::{Malformed, Symbol, symbols};

/// Extension of the directories that hold a crate's bitcode.
pub const STORE_EXTENSION: &str = "legionella";

/// Extension of the bitcode files in a store.
pub const EXTENSION: &str = "bc";

/// The symbols that a bitcode store defines, each with the file that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    files: Vec<String>,
    /// Symbol, and index into `files`.
    entries: Vec<(String, u32)>,
}

impl Index {
    /// Name of the index's file within a store.
    pub const FILE: &str = "index";

    /// An index of nothing.
    pub fn new() -> Self {
        Index::default()
    }

    /// Adds a file of the store with the symbols of its bitcode; of these the defined ones count.
    pub fn insert(&mut self, file: &str, symbols: &[Symbol<'_>]) {
        let index = self.files.len() as u32;
        self.files.push(file.to_owned());
        let defined = symbols.iter().filter(|symbol| symbol.defined);
        self.entries
            .extend(defined.map(|symbol| (symbol.name.to_owned(), index)));
    }

    /// Indexes the bitcode files that are in a directory.
    ///
    /// # Errors
    /// If one of them cannot be read or is not bitcode.
    pub fn scan(store: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        for entry in fs::read_dir(store).map_err(|error| Error::file(store, error))? {
            let path = entry.map_err(|error| Error::file(store, error))?.path();
            if path.extension().is_some_and(|found| found == EXTENSION) {
                files.push(path);
            }
        }
        files.sort_unstable();
        let mut index = Index::new();
        for path in files {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let bytes = map(&path)?;
            let symbols = symbols(&bytes).map_err(|error| Error::Bitcode {
                origin: path.display().to_string(),
                reason: error.to_string(),
            })?;
            index.insert(name, &symbols);
        }
        Ok(index)
    }

    /// Symbols with the names of the files that define them.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let file = |&index: &u32| self.files.get(index as usize).map(String::as_str);
        self.entries
            .iter()
            .filter_map(move |(symbol, index)| Some((symbol.as_str(), file(index)?)))
    }

    /// The files, in the order that [`Index::into_entries`] counts.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Symbols with the positions of their files in [`Index::files`].
    pub fn into_entries(self) -> Vec<(String, u32)> {
        self.entries
    }

    /// The index that a store has, or else one of its files.
    ///
    /// # Errors
    /// If neither can be read.
    pub fn of(store: &Path) -> Result<Self, Error> {
        if store.join(Self::FILE).exists() {
            Self::read(store)
        } else {
            Self::scan(store)
        }
    }

    /// Writes the index into its store, replacing a former one at once.
    ///
    /// # Errors
    /// If the directory cannot be written to.
    pub fn write(&self, store: &Path) -> Result<(), Error> {
        let path = store.join(Self::FILE);
        let bytes = postcard::to_allocvec(self).map_err(|error| Error::file(&path, error))?;
        replace(&path, &bytes).map_err(|error| Error::file(&path, error))
    }

    /// Reads the index of a store.
    ///
    /// # Errors
    /// If there is none or it cannot be read.
    pub fn read(store: &Path) -> Result<Self, Error> {
        let path = store.join(Self::FILE);
        let bytes = fs::read(&path).map_err(|error| Error::file(&path, error))?;
        postcard::from_bytes(&bytes).map_err(|error| Error::file(&path, error))
    }
}

/// Writes a file so that readers see the former content or the new one, never a part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let result = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // What could not be written completely is of no use; there may be nothing to remove.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> Result<Mmap, Error> {
    let file = fs::File::open(path).map_err(|error| Error::file(path, error))?;
    // SAFETY: bitcode stores and rlibs are replaced by renaming or after deletion, not written in
    // place, while a build that reads them runs; cargo's own lock sees to that.
    unsafe { Mmap::map(&file) }.map_err(|error| Error::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_round_trips() {
        let store = tempfile::tempdir().unwrap();
        let mut index = Index::new();
        let symbol = |name, defined| Symbol { name, defined };
        index.insert("a.bc", &[symbol("one", true), symbol("two", false)]);
        index.insert("b.bc", &[symbol("two", true)]);
        index.write(store.path()).unwrap();
        let read = Index::read(store.path()).unwrap();
        assert_eq!(read, index);
        let entries: Vec<_> = read.entries().collect();
        assert_eq!(entries, [("one", "a.bc"), ("two", "b.bc")]);
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
    }
}
