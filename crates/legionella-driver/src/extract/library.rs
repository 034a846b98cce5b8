//! All bitcode that a program is made of, by symbol.
//!
//! Takes bitcode stores and the archives of the sysroot; gives for a symbol the module that defines
//! it, and the bytes of a module.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rustc_hash::FxHashMap;

use crate::bitcode::{Index, archive, map};
use crate::error::Error;
use crate::parallel;

/// A module in a [`Library`]. A lower one comes first where the order is free.
pub(crate) type ModuleId = u32;

/// Which module defines which symbol.
pub(crate) struct Library {
    symbols: FxHashMap<String, ModuleId>,
    modules: Vec<Module>,
    archives: Vec<Mmap>,
    /// Symbols that were asked for.
    looked_up: RefCell<BTreeSet<String>>,
    /// Modules that were read.
    read: RefCell<BTreeSet<ModuleId>>,
}

/// The crates below a program's own, opened when something asks for them.
pub(crate) struct Others<'a> {
    stores: &'a [PathBuf],
    archives: &'a [PathBuf],
    opened: Option<Library>,
}

impl<'a> Others<'a> {
    pub(crate) fn new(stores: &'a [PathBuf], archives: &'a [PathBuf]) -> Self {
        Others {
            stores,
            archives,
            opened: None,
        }
    }

    pub(crate) fn open(&mut self) -> Result<&Library, Error> {
        let opened = match self.opened.take() {
            Some(library) => library,
            None => Library::open(self.stores, self.archives)?,
        };
        Ok(self.opened.insert(opened))
    }
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
            symbols: FxHashMap::default(),
            modules: Vec::new(),
            archives: Vec::new(),
            looked_up: RefCell::default(),
            read: RefCell::default(),
        };
        let mut archives: Vec<_> = archives.iter().collect();
        archives.sort_by_key(|path| foundation(path));
        let indices = parallel::map(stores, |store| Index::of(store));
        let contents = parallel::map(&archives, |path| Contents::of(path));
        for (store, index) in stores.iter().zip(indices) {
            library.add_store(store, index?);
        }
        for (path, contents) in archives.into_iter().zip(contents) {
            library.add_archive(path, contents?);
        }
        Ok(library)
    }

    fn add_store(&mut self, store: &Path, index: Index) {
        let first = self.modules.len() as ModuleId;
        let files = index.files().iter();
        self.modules
            .extend(files.map(|file| Module::File(store.join(file))));
        for (symbol, file) in index.into_entries() {
            self.symbols.entry(symbol).or_insert(first + file);
        }
    }

    fn add_archive(&mut self, path: &Path, contents: Contents) {
        for member in contents.members {
            let module = self.modules.len() as ModuleId;
            for symbol in member.defined {
                self.symbols.entry(symbol).or_insert(module);
            }
            self.modules.push(Module::Member {
                origin: format!("{}({})", path.display(), member.name),
                archive: self.archives.len(),
                range: member.range,
            });
        }
        self.archives.push(contents.bytes);
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

/// An archive of the sysroot, with its symbol tables read.
struct Contents {
    bytes: Mmap,
    members: Vec<Member>,
}

struct Member {
    name: String,
    range: Range<usize>,
    defined: Vec<String>,
}

impl Contents {
    fn of(path: &Path) -> Result<Self, Error> {
        let bytes = map(path)?;
        let members = archive::members(&bytes).map_err(|error| Error::Bitcode {
            origin: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let members = (members.into_iter())
            .map(|member| Member {
                name: member.name,
                range: member.range,
                defined: (member.symbols.iter())
                    .filter(|symbol| symbol.defined)
                    .map(|symbol| symbol.name.to_owned())
                    .collect(),
            })
            .collect();
        Ok(Contents { bytes, members })
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
