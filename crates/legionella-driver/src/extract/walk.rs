//! Following references through the modules of bitcode stores, before anything is linked.
//!
//! The codegen units of a crate refer to each other in circles, so linking them one at a time by
//! need would read each many times. Here each is read once, whole, and stays until it is known what
//! all the others need of it; then each is linked once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::CString;

use llvm_sys::core::*;
use llvm_sys::prelude::*;

use super::ir::{body, constants, is_local, name};
use super::library::{Library, ModuleId};
use super::linker::Gathered;
use super::{cuts, heap, maths};
use crate::error::Error;

/// What has been reached, and the modules that were read for it.
pub(super) struct Walk<'library> {
    library: &'library Library,
    /// Modules that are read and not linked yet, with the symbols that are to be taken from each.
    modules: BTreeMap<ModuleId, (LLVMModuleRef, HashSet<String>)>,
    /// Which module a symbol is taken from; stays when the module is linked.
    taken: HashMap<String, ModuleId>,
    /// Symbols that were referred to and that no store of the library defines.
    outside: BTreeSet<String>,
    seen: HashSet<LLVMValueRef>,
    pending: Vec<(ModuleId, LLVMValueRef)>,
}

impl<'library> Walk<'library> {
    pub(super) fn new(library: &'library Library) -> Self {
        Walk {
            library,
            modules: BTreeMap::new(),
            taken: HashMap::new(),
            outside: BTreeSet::new(),
            seen: HashSet::new(),
            pending: Vec::new(),
        }
    }

    /// Reads what some symbols reach within bitcode stores.
    pub(super) fn follow(
        &mut self,
        gathered: &mut Gathered,
        symbols: impl IntoIterator<Item = String>,
    ) -> Result<(), Error> {
        let mut symbols: Vec<String> = symbols.into_iter().collect();
        while let Some(symbol) = symbols.pop() {
            self.enter(gathered, &symbol)?;
            while let Some((module, value)) = self.pending.pop() {
                self.visit(module, value, &mut symbols);
            }
        }
        Ok(())
    }

    /// The symbols that were referred to so far and that no store of the library defines.
    pub(super) fn outside(&self) -> &BTreeSet<String> {
        &self.outside
    }

    /// Links what has been read.
    pub(super) fn link(&mut self, gathered: &mut Gathered) -> Result<(), Error> {
        self.seen.clear();
        for (module, (source, chosen)) in std::mem::take(&mut self.modules) {
            // SAFETY: the module was read into this context, and is not used after this.
            unsafe { gathered.link(&self.library.origin(module), source, &chosen)? };
        }
        Ok(())
    }

    /// Finds the definition of a symbol, if it is in a store and was not found before.
    fn enter(&mut self, gathered: &mut Gathered, symbol: &str) -> Result<(), Error> {
        if self.taken.contains_key(symbol) || cuts::cut(symbol).is_some() {
            return Ok(());
        }
        let module = self.library.find(symbol);
        let Some(module) = module.filter(|&module| self.library.is_in_store(module)) else {
            self.outside.insert(symbol.to_owned());
            return Ok(());
        };
        let source = match self.modules.get(&module) {
            Some((source, _)) => *source,
            None => {
                let bytes = self.library.bytes(module)?;
                let origin = self.library.origin(module);
                // SAFETY: the module is read whole.
                let source = unsafe { gathered.read(&origin, bytes.as_slice(), false)? };
                self.modules.insert(module, (source, HashSet::new()));
                source
            }
        };
        let Ok(terminated) = CString::new(symbol) else {
            return Ok(());
        };
        // SAFETY: the module is valid and the name terminated.
        let found = unsafe {
            [
                LLVMGetNamedFunction(source, terminated.as_ptr()),
                LLVMGetNamedGlobal(source, terminated.as_ptr()),
                LLVMGetNamedGlobalAlias(source, terminated.as_ptr(), symbol.len()),
            ]
        };
        let value = found.into_iter().find(|value| !value.is_null());
        if let Some(value) = value {
            self.take(module, symbol);
            self.pending.push((module, value));
        }
        Ok(())
    }

    fn take(&mut self, module: ModuleId, symbol: &str) {
        self.taken.insert(symbol.to_owned(), module);
        if let Some((_, chosen)) = self.modules.get_mut(&module) {
            chosen.insert(symbol.to_owned());
        }
    }

    /// Looks at what a value refers to. Symbols that are defined elsewhere go to `symbols`.
    fn visit(&mut self, module: ModuleId, value: LLVMValueRef, symbols: &mut Vec<String>) {
        if !self.seen.insert(value) {
            return;
        }
        // SAFETY: `value` is a constant of a module that is read whole and not linked yet, and so
        // are its operands.
        unsafe {
            if !LLVMIsAGlobalValue(value).is_null() && !self.goes_on(module, value, symbols) {
                return;
            }
            let mut push = |operand| self.pending.push((module, operand));
            if LLVMIsAFunction(value).is_null() {
                constants(value).for_each(&mut push);
            } else {
                for instruction in body(value) {
                    symbols.extend(maths::of_instruction(instruction));
                    constants(instruction).for_each(&mut push);
                }
            }
        }
    }

    /// Whether a global value's own references count: not if it is defined in another module.
    ///
    /// # Safety
    /// `value` must be a valid global value.
    unsafe fn goes_on(
        &mut self,
        module: ModuleId,
        value: LLVMValueRef,
        symbols: &mut Vec<String>,
    ) -> bool {
        // SAFETY: as the caller says.
        let (symbol, declared, local) =
            unsafe { (name(value), LLVMIsDeclaration(value) != 0, is_local(value)) };
        if declared {
            symbols.extend(maths::of_function(symbol));
            symbols.extend(heap::of_function(symbol).map(str::to_owned));
        }
        if symbol.starts_with("llvm.") {
            return false;
        }
        if cuts::cut(symbol).is_some() {
            return false;
        }
        match self.taken.get(symbol) {
            _ if declared => {
                symbols.push(symbol.to_owned());
                false
            }
            _ if local => true,
            Some(&owner) => owner == module && self.modules[&module].1.contains(symbol),
            None => {
                self.take(module, symbol);
                true
            }
        }
    }
}
