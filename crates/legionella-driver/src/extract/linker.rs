//! The module into which a closure is gathered.
//!
//! LLVM's linker does the work. Of a source module it takes over what has external linkage, and of
//! the rest only what is referred to. A source is therefore read lazily, everything in it is made
//! `linkonce_odr`, and linking then reads, copies and keeps the bodies of those functions alone that
//! the gathered module refers to, and of what these refer to in turn.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

use llvm_sys::bit_reader::{LLVMGetBitcodeModuleInContext2, LLVMParseBitcodeInContext2};
use llvm_sys::bit_writer::LLVMWriteBitcodeToMemoryBuffer;
use llvm_sys::comdat::LLVMSetComdat;
use llvm_sys::core::*;
use llvm_sys::error::LLVMConsumeError;
use llvm_sys::linker::LLVMLinkModules2;
use llvm_sys::prelude::*;
use llvm_sys::transforms::pass_builder::*;
use llvm_sys::{LLVMAttributeFunctionIndex, LLVMDiagnosticSeverity, LLVMLinkage, LLVMVisibility};

use super::ir::{body, functions, globals, is_local, name};
use super::{cuts, heap, maths};
use crate::error::Error;
use crate::ir::{Function, Value, debug, list};

/// The gathered module, with the LLVM context that it lives in.
pub(super) struct Gathered {
    context: LLVMContextRef,
    module: LLVMModuleRef,
    /// Errors that LLVM reported since they were last taken: a box to which the context points too.
    errors: *mut Vec<String>,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        // SAFETY: all were made in `new`, and nothing refers to them any more.
        unsafe {
            LLVMDisposeModule(self.module);
            LLVMContextDispose(self.context);
            drop(Box::from_raw(self.errors));
        }
    }
}

/// Takes LLVM's diagnostics: linking warns of module flags that differ, which is no matter here.
extern "C" fn diagnose(info: LLVMDiagnosticInfoRef, errors: *mut c_void) {
    // SAFETY: LLVM passes a valid diagnostic and the pointer that `new` registered, which points to
    // the `errors` of a live `Gathered` to which no reference exists during a call of LLVM.
    unsafe {
        if LLVMGetDiagInfoSeverity(info) != LLVMDiagnosticSeverity::LLVMDSError {
            return;
        }
        let text = LLVMGetDiagInfoDescription(info);
        let errors = &mut *errors.cast::<Vec<String>>();
        errors.push(CStr::from_ptr(text).to_string_lossy().into_owned());
        LLVMDisposeMessage(text);
    }
}

impl Gathered {
    /// An empty module. LLVM must be loaded.
    pub(super) fn new() -> Self {
        // SAFETY: LLVM is loaded, and the errors live as long as the context.
        unsafe {
            let context = LLVMContextCreate();
            let errors = Box::into_raw(Box::<Vec<String>>::default());
            LLVMContextSetDiagnosticHandler(context, Some(diagnose), errors.cast());
            let module = LLVMModuleCreateWithNameInContext(c"legionella".as_ptr(), context);
            Gathered {
                context,
                module,
                errors,
            }
        }
    }

    pub(super) fn module(&self) -> LLVMModuleRef {
        self.module
    }

    /// Puts a module of bitcode in the place of this one, which must be empty. No bitcode is an empty
    /// module.
    pub(super) fn start_from(&mut self, bitcode: &[u8]) -> Result<(), Error> {
        if bitcode.is_empty() {
            return Ok(());
        }
        // SAFETY: the module is read whole; nothing refers to the one that it replaces.
        unsafe {
            let start = self.read("foundation", bitcode, false)?;
            LLVMDisposeModule(std::mem::replace(&mut self.module, start));
        }
        Ok(())
    }

    /// Reads a module of bitcode into this context, whole or, if `lazy`, as needed.
    ///
    /// # Safety
    /// If `lazy`, `bitcode` must outlive the module.
    pub(super) unsafe fn read(
        &mut self,
        origin: &str,
        bitcode: &[u8],
        lazy: bool,
    ) -> Result<LLVMModuleRef, Error> {
        let mut source = std::ptr::null_mut();
        // SAFETY: the buffer refers to `bitcode`. Reading lazily takes it over; see above.
        let failed = unsafe {
            let buffer = LLVMCreateMemoryBufferWithMemoryRange(
                bitcode.as_ptr().cast(),
                bitcode.len(),
                c"bitcode".as_ptr(),
                0,
            );
            if lazy {
                LLVMGetBitcodeModuleInContext2(self.context, buffer, &mut source)
            } else {
                let failed = LLVMParseBitcodeInContext2(self.context, buffer, &mut source);
                LLVMDisposeMemoryBuffer(buffer);
                failed
            }
        };
        if failed != 0 {
            return Err(self.failed(origin));
        }
        Ok(source)
    }

    /// Links what is needed of a module: the definitions that are `chosen`, those of symbols that are
    /// declared but not defined here, and what they refer to. Consumes the module.
    ///
    /// # Safety
    /// `source` must be a module of this context.
    pub(super) unsafe fn link(
        &mut self,
        origin: &str,
        source: LLVMModuleRef,
        chosen: &HashSet<String>,
    ) -> Result<(), Error> {
        // SAFETY: as the caller says.
        unsafe {
            self.prepare(source, chosen);
            if LLVMLinkModules2(self.module, source) != 0 {
                return Err(self.failed(origin));
            }
        }
        Ok(())
    }

    fn failed(&mut self, origin: &str) -> Error {
        // SAFETY: the box lives as long as this, and no call of LLVM is under way.
        let errors = std::mem::take(unsafe { &mut *self.errors });
        Error::Bitcode {
            origin: origin.to_owned(),
            reason: errors.join("; "),
        }
    }

    /// Makes everything in a source module available but nothing compulsory, except what is
    /// `chosen`.
    ///
    /// # Safety
    /// `source` must be a module of this context.
    unsafe fn prepare(&self, source: LLVMModuleRef, chosen: &HashSet<String>) {
        // SAFETY: as the caller says.
        unsafe {
            LLVMSetModuleInlineAsm2(source, c"".as_ptr(), 0);
            for global in globals(source) {
                if LLVMGetLinkage(global) == LLVMLinkage::LLVMAppendingLinkage {
                    // Lists such as `llvm.used`, which would take over all that they mention.
                    LLVMDeleteGlobal(global);
                } else {
                    self.release(global, chosen);
                }
            }
            for alias in list(LLVMGetFirstGlobalAlias(source), LLVMGetNextGlobalAlias) {
                self.release(alias, chosen);
            }
            for function in functions(source) {
                if LLVMIsDeclaration(function) == 0 && cuts::cut(name(function)).is_some() {
                    hollow(source, function);
                } else {
                    self.release(function, chosen);
                }
            }
        }
    }

    /// # Safety
    /// `global` must be a global value of this context.
    unsafe fn release(&self, global: LLVMValueRef, chosen: &HashSet<String>) {
        // SAFETY: as the caller says.
        unsafe {
            let name = name(global);
            if LLVMIsDeclaration(global) != 0 || (is_local(global) && !chosen.contains(name)) {
                return;
            }
            if LLVMIsAGlobalAlias(global).is_null() {
                LLVMSetComdat(global, std::ptr::null_mut());
            }
            let linkage = if chosen.contains(name) && !self.defines(name) {
                LLVMLinkage::LLVMExternalLinkage
            } else {
                LLVMLinkage::LLVMLinkOnceODRLinkage
            };
            LLVMSetLinkage(global, linkage);
            LLVMSetVisibility(global, LLVMVisibility::LLVMDefaultVisibility);
        }
    }

    /// Whether a symbol is defined here.
    pub(super) fn defines(&self, symbol: &str) -> bool {
        let Ok(symbol) = CString::new(symbol) else {
            return false;
        };
        // SAFETY: the name is terminated and the values belong to this module.
        unsafe {
            let function = LLVMGetNamedFunction(self.module, symbol.as_ptr());
            let global = LLVMGetNamedGlobal(self.module, symbol.as_ptr());
            let value = NonNull::new(function).or(NonNull::new(global));
            value.is_some_and(|value| LLVMIsDeclaration(value.as_ptr()) == 0)
        }
    }

    /// Says of an entry shim's argument block how many bytes it has, which the compiler says only where it optimises.
    pub(super) fn describe_block(&mut self, entry: &str, size: u32) {
        const SIZE: &str = "dereferenceable";
        let Ok(symbol) = CString::new(entry) else {
            return;
        };
        // SAFETY: the name is terminated, and the module belongs to this.
        let function = unsafe { LLVMGetNamedFunction(self.module, symbol.as_ptr()) };
        if function.is_null() || size == 0 {
            return;
        }
        let function = Function::from_raw(function);
        if !function.parameters().is_empty() && function.parameter_attribute(0, SIZE).is_none() {
            function.add_parameter_attribute(0, SIZE, size.into());
        }
    }

    /// Symbols that are declared and not defined here, LLVM's own left out, in the module's order.
    pub(super) fn undefined(&self) -> Vec<String> {
        self.declared(|name| !name.starts_with("llvm."))
    }

    /// What the device library may have in place of operations here: symbols of its functions.
    pub(super) fn replacements(&self) -> Vec<String> {
        let declared = self.declared(|_| true);
        let heap = declared.iter().filter_map(|name| heap::of_function(name));
        let mut symbols: Vec<String> = heap.map(str::to_owned).collect();
        symbols.extend(declared.iter().filter_map(|name| maths::of_function(name)));
        // SAFETY: the module belongs to this and is not changed here.
        unsafe {
            let instructions = functions(self.module).flat_map(|function| body(function));
            symbols
                .extend(instructions.filter_map(|instruction| maths::of_instruction(instruction)));
        }
        symbols
    }

    fn declared(&self, choose: impl Fn(&str) -> bool) -> Vec<String> {
        // SAFETY: the module belongs to this.
        let all = unsafe { functions(self.module).chain(globals(self.module)) };
        all.filter_map(|value| {
            // SAFETY: as above.
            let (declared, name) = unsafe { (LLVMIsDeclaration(value) != 0, name(value)) };
            (declared && choose(name)).then(|| name.to_owned())
        })
        .collect()
    }

    /// Makes all but `roots` internal, once everything is linked, drops what they don't reach, and
    /// leaves of debug information what tells lines: types and variables would be most of the bitcode.
    pub(super) fn close(&mut self, roots: &HashSet<String>) {
        self.keep_symbols_of_inlined();
        // SAFETY: the module belongs to this.
        unsafe {
            let aliases = list(LLVMGetFirstGlobalAlias(self.module), LLVMGetNextGlobalAlias);
            let all = functions(self.module).chain(globals(self.module));
            for value in all.chain(aliases) {
                if LLVMIsDeclaration(value) != 0 || is_local(value) {
                    continue;
                }
                let linkage = if roots.contains(name(value)) {
                    LLVMLinkage::LLVMExternalLinkage
                } else {
                    LLVMLinkage::LLVMInternalLinkage
                };
                LLVMSetLinkage(value, linkage);
            }
        }
        self.run(c"globaldce,strip-nonlinetable-debuginfo");
    }

    /// Drops functions that were roots, unless something reaches them.
    pub(super) fn drop_unless_reached(&mut self, symbols: &[&str]) {
        if symbols.is_empty() {
            return;
        }
        // SAFETY: the module belongs to this.
        for function in unsafe { functions(self.module) } {
            // SAFETY: as above.
            unsafe {
                if symbols.contains(&name(function)) {
                    LLVMSetLinkage(function, LLVMLinkage::LLVMInternalLinkage);
                }
            }
        }
        self.run(c"globaldce");
    }

    /// Runs passes that need no target.
    fn run(&mut self, passes: &std::ffi::CStr) {
        // SAFETY: the module belongs to this.
        unsafe {
            let options = LLVMCreatePassBuilderOptions();
            let error = LLVMRunPasses(self.module, passes.as_ptr(), std::ptr::null_mut(), options);
            LLVMDisposePassBuilderOptions(options);
            // Larger bitcode is no reason to fail.
            LLVMConsumeError(error);
        }
    }

    /// Saves the symbols of inlined functions from what [`Gathered::close`] strips: call chains have
    /// nothing else to name them by.
    fn keep_symbols_of_inlined(&self) {
        // SAFETY: the module belongs to this.
        let all = unsafe { functions(self.module) };
        let mut seen = HashSet::new();
        for function in all {
            // SAFETY: as above; what changes is metadata.
            for instruction in unsafe { body(function) } {
                for subprogram in debug::subprograms(Value::from_raw(instruction)) {
                    if seen.insert(subprogram) {
                        subprogram.name_by_symbol();
                    }
                }
            }
        }
    }

    /// The module's bitcode.
    pub(super) fn bitcode(&self) -> Vec<u8> {
        // SAFETY: the module belongs to this, and the buffer to this function.
        unsafe {
            let buffer = LLVMWriteBitcodeToMemoryBuffer(self.module);
            let start = LLVMGetBufferStart(buffer).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, LLVMGetBufferSize(buffer)).to_vec();
            LLVMDisposeMemoryBuffer(buffer);
            bytes
        }
    }

    /// The module as text.
    pub(super) fn text(&self) -> String {
        // SAFETY: the module belongs to this, and the message to this function.
        unsafe {
            let message = LLVMPrintModuleToString(self.module);
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            LLVMDisposeMessage(message);
            text
        }
    }
}

/// Puts a declaration in the place of a function whose body has not been read yet. Bodies that are
/// read later refer to the declaration as well.
///
/// # Safety
/// `function` must be a function of `module`.
unsafe fn hollow(module: LLVMModuleRef, function: LLVMValueRef) {
    // SAFETY: as the caller says; attributes are copied within one context.
    unsafe {
        let symbol = name(function).to_owned();
        LLVMSetValueName2(function, c"".as_ptr(), 0);
        LLVMSetLinkage(function, LLVMLinkage::LLVMInternalLinkage);
        let Ok(symbol) = CString::new(symbol) else {
            return;
        };
        let declaration =
            LLVMAddFunction(module, symbol.as_ptr(), LLVMGlobalGetValueType(function));
        LLVMSetFunctionCallConv(declaration, LLVMGetFunctionCallConv(function));
        let last = LLVMCountParams(function);
        for index in (0..=last).chain([LLVMAttributeFunctionIndex]) {
            let count = LLVMGetAttributeCountAtIndex(function, index) as usize;
            let mut attributes = vec![std::ptr::null_mut(); count];
            LLVMGetAttributesAtIndex(function, index, attributes.as_mut_ptr());
            for attribute in attributes {
                LLVMAddAttributeAtIndex(declaration, index, attribute);
            }
        }
        LLVMReplaceAllUsesWith(function, declaration);
    }
}
