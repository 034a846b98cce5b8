//! All bitcode that a program is made of, by symbol.
//!
//! Takes bitcode stores and the archives of the sysroot; gives for a symbol the module that defines
//! it, and the bytes of a module.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::bitcode::{Index, archive, map};
use crate::error::Error;

/// A module in a [`Library`]. A lower one comes first where the order is free.
pub(crate) type ModuleId = u32;

/// Which module defines which symbol.
pub(crate) struct Library {
    symbols: HashMap<String, ModuleId>,
    modules: Vec<Module>,
    archives: Vec<Mmap>,
    /// Symbols that were asked for.
    looked_up: RefCell<BTreeSet<String>>,
    /// Modules that were read.
    read: RefCell<BTreeSet<ModuleId>>,
}

enum Module {
    File(PathBuf),
    Member {
        origin: String,
        archive: usize,
        range: Range<usize>,
    },
}

/// Bitcode of a module.
pub(super) enum Bytes<'library> {
    Mapped(Mmap),
    Member(&'library [u8]),
}

impl Bytes<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Member(bytes) => bytes,
        }
    }
}

impl Library {
    /// Reads all symbol tables. Where two modules define a symbol the first counts, and stores come
    /// before the sysroot.
    pub(crate) fn open(stores: &[PathBuf], archives: &[PathBuf]) -> Result<Self, Error> {
        let mut library = Library {
            symbols: HashMap::new(),
            modules: Vec::new(),
            archives: Vec::new(),
            looked_up: RefCell::default(),
            read: RefCell::default(),
        };
        for store in stores {
            library.add_store(store)?;
        }
        let mut archives: Vec<_> = archives.iter().collect();
        archives.sort_by_key(|path| foundation(path));
        for archive in archives {
            library.add_archive(archive)?;
        }
        Ok(library)
    }

    fn add_store(&mut self, store: &Path) -> Result<(), Error> {
        let index = Index::of(store)?;
        let first = self.modules.len() as ModuleId;
        let files = index.files().iter();
        self.modules
            .extend(files.map(|file| Module::File(store.join(file))));
        for (symbol, file) in index.into_entries() {
            self.symbols.entry(symbol).or_insert(first + file);
        }
        Ok(())
    }

    fn add_archive(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = map(path)?;
        let members = archive::members(&bytes).map_err(|error| Error::Bitcode {
            origin: path.display().to_string(),
            reason: error.to_string(),
        })?;
        for member in members {
            let module = self.modules.len() as ModuleId;
            for symbol in member.symbols.iter().filter(|symbol| symbol.defined) {
                if let Entry::Vacant(entry) = self.symbols.entry(symbol.name.to_owned()) {
                    entry.insert(module);
                }
            }
            self.modules.push(Module::Member {
                origin: format!("{}({})", path.display(), member.name),
                archive: self.archives.len(),
                range: member.range,
            });
        }
        self.archives.push(bytes);
        Ok(())
    }

    /// The module that defines a symbol. That it was asked for is on record.
    pub(super) fn find(&self, symbol: &str) -> Option<ModuleId> {
        if !self.looked_up.borrow().contains(symbol) {
            self.looked_up.borrow_mut().insert(symbol.to_owned());
        }
        self.peek(symbol)
    }

    /// The module that defines a symbol, off the record.
    pub(super) fn peek(&self, symbol: &str) -> Option<ModuleId> {
        self.symbols.get(symbol).copied()
    }

    /// The symbols that were asked for, sorted, with what was answered.
    pub(super) fn lookups(&self) -> Vec<(String, Option<ModuleId>)> {
        let looked_up = self.looked_up.borrow();
        let answered = |symbol: &String| (symbol.clone(), self.peek(symbol));
        looked_up.iter().map(answered).collect()
    }

    /// Whether a module's bitcode was asked for.
    pub(super) fn was_read(&self, module: ModuleId) -> bool {
        self.read.borrow().contains(&module)
    }

    /// All modules, by where they come from.
    pub(super) fn origins(&self) -> impl Iterator<Item = (String, ModuleId)> {
        (0..self.modules.len() as ModuleId).map(|module| (self.origin(module), module))
    }

    /// Whether a module is one of a bitcode store, and not of the sysroot.
    pub(super) fn is_in_store(&self, module: ModuleId) -> bool {
        matches!(self.modules[module as usize], Module::File(_))
    }

    /// Where a module comes from, for people.
    pub(super) fn origin(&self, module: ModuleId) -> String {
        match &self.modules[module as usize] {
            Module::File(path) => path.display().to_string(),
            Module::Member { origin, .. } => origin.clone(),
        }
    }

    /// The bitcode of a module. That it was read is on record.
    pub(super) fn bytes(&self, module: ModuleId) -> Result<Bytes<'_>, Error> {
        self.read.borrow_mut().insert(module);
        self.peek_bytes(module)
    }

    /// The bitcode of a module, off the record.
    pub(super) fn peek_bytes(&self, module: ModuleId) -> Result<Bytes<'_>, Error> {
        match &self.modules[module as usize] {
            Module::File(path) => Ok(Bytes::Mapped(map(path)?)),
            Module::Member { archive, range, .. } => {
                let archive = &self.archives[*archive];
                Ok(Bytes::Member(&archive[range.clone()]))
            }
        }
    }
}

/// How far down an archive stands in the sysroot. Linking in this order visits each once or twice.
fn foundation(archive: &Path) -> u32 {
    let name = archive.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| name.strip_prefix("lib")?.split('-').next()) {
        Some("compiler_builtins") => 3,
        Some("core") => 2,
        Some("alloc") => 1,
        _ => 0,
    }
}
