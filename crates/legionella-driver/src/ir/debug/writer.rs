//! Building debug information: one compile unit, functions and locations in them.

use std::collections::HashMap;
use std::ffi::{c_char, c_uint};
use std::marker::PhantomData;

use inkwell::module::Module;
use llvm_sys::LLVMModuleFlagBehavior;
use llvm_sys::core as c;
use llvm_sys::debuginfo as d;
use llvm_sys::prelude::{
    LLVMBool, LLVMContextRef, LLVMDIBuilderRef, LLVMMetadataRef, LLVMModuleRef,
};

use crate::ir::{Function, Value, llvm};

unsafe extern "C" {
    /// As in `llvm-sys`, whose enumeration has not all kinds of [`Emission`].
    fn LLVMDIBuilderCreateCompileUnit(
        builder: LLVMDIBuilderRef,
        language: d::LLVMDWARFSourceLanguage,
        file: LLVMMetadataRef,
        producer: *const c_char,
        producer_len: usize,
        is_optimised: LLVMBool,
        flags: *const c_char,
        flags_len: usize,
        runtime_version: c_uint,
        split_name: *const c_char,
        split_name_len: usize,
        kind: c_uint,
        id: c_uint,
        split_inlining: LLVMBool,
        for_profiling: LLVMBool,
        sysroot: *const c_char,
        sysroot_len: usize,
        sdk: *const c_char,
        sdk_len: usize,
    ) -> LLVMMetadataRef;
}

/// What code generators emit of a unit (LLVM's `DICompileUnit::DebugEmissionKind`).
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Emission {
    None = 0,
    Tables = 2,
    Directives = 3,
}

/// Version of DWARF: what all readers of line tables know.
const DWARF: u64 = 4;

/// Who made the unit.
const PRODUCER: &str = "legionella";

/// Builds the debug information of a module that has none.
pub(super) struct Writer<'m> {
    context: LLVMContextRef,
    builder: LLVMDIBuilderRef,
    /// Functions have a type; of no interest here is which.
    signature: LLVMMetadataRef,
    files: HashMap<String, LLVMMetadataRef>,
    module: PhantomData<&'m ()>,
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        llvm!({
            d::LLVMDIBuilderFinalize(self.builder);
            d::LLVMDisposeDIBuilder(self.builder);
        });
    }
}

impl<'m> Writer<'m> {
    /// Strips a module, and begins anew.
    pub(super) fn begin(module: &'m Module<'_>, emission: Emission) -> Self {
        module.strip_debug_info();
        let raw = module.as_mut_ptr();
        flag(
            raw,
            "Debug Info Version",
            llvm!(d::LLVMDebugMetadataVersion()).into(),
        );
        flag(raw, "Dwarf Version", DWARF);
        let empty = c"".as_ptr();
        llvm!({
            let builder = d::LLVMCreateDIBuilder(raw);
            let file = create_file(builder, "kernel", "");
            LLVMDIBuilderCreateCompileUnit(
                builder,
                d::LLVMDWARFSourceLanguage::LLVMDWARFSourceLanguageRust,
                file,
                PRODUCER.as_ptr().cast(),
                PRODUCER.len(),
                1,
                empty,
                0,
                0,
                empty,
                0,
                emission as c_uint,
                0,
                1,
                0,
                empty,
                0,
                empty,
                0,
            );
            let signature =
                d::LLVMDIBuilderCreateSubroutineType(builder, file, std::ptr::null_mut(), 0, 0);
            Writer {
                context: c::LLVMGetModuleContext(raw),
                builder,
                signature,
                files: HashMap::new(),
                module: PhantomData,
            }
        })
    }

    pub(super) fn context(&self) -> LLVMContextRef {
        self.context
    }

    /// The file of that path.
    pub(super) fn file(&mut self, path: &str) -> LLVMMetadataRef {
        if let Some(known) = self.files.get(path) {
            return *known;
        }
        let file = create_file(self.builder, path, "");
        self.files.insert(path.to_owned(), file);
        file
    }

    /// A file by its two parts.
    pub(super) fn file_in(&self, name: &str, directory: &str) -> LLVMMetadataRef {
        create_file(self.builder, name, directory)
    }

    /// A function that begins on a line of a file.
    pub(super) fn function(&self, name: &str, file: LLVMMetadataRef, line: u32) -> LLVMMetadataRef {
        llvm!(d::LLVMDIBuilderCreateFunction(
            self.builder,
            file,
            name.as_ptr().cast(),
            name.len(),
            c"".as_ptr(),
            0,
            file,
            line,
            self.signature,
            1,
            1,
            line,
            0,
            1,
        ))
    }

    /// A part of a function that was written in another file.
    pub(super) fn part_in(
        &self,
        function: LLVMMetadataRef,
        file: LLVMMetadataRef,
    ) -> LLVMMetadataRef {
        llvm!(d::LLVMDIBuilderCreateLexicalBlockFile(
            self.builder,
            function,
            file,
            0
        ))
    }

    /// A place in a function, which itself was inlined at `outer`, if that isn't null.
    pub(super) fn location(
        &self,
        (line, column): (u32, u32),
        scope: LLVMMetadataRef,
        outer: LLVMMetadataRef,
    ) -> LLVMMetadataRef {
        llvm!(d::LLVMDIBuilderCreateDebugLocation(
            self.context,
            line,
            column,
            scope,
            outer
        ))
    }

    /// Says where an instruction comes from.
    pub(super) fn locate(&self, instruction: Value<'m>, location: LLVMMetadataRef) {
        llvm!(d::LLVMInstructionSetDebugLoc(instruction.raw(), location));
    }

    /// Says what a function is.
    pub(super) fn describe(&self, function: Function<'m>, subprogram: LLVMMetadataRef) {
        llvm!(d::LLVMSetSubprogram(function.raw(), subprogram));
    }
}

fn create_file(builder: LLVMDIBuilderRef, name: &str, directory: &str) -> LLVMMetadataRef {
    llvm!(d::LLVMDIBuilderCreateFile(
        builder,
        name.as_ptr().cast(),
        name.len(),
        directory.as_ptr().cast(),
        directory.len()
    ))
}

/// Sets a flag of a module that it may have already, of another value.
fn flag(module: LLVMModuleRef, name: &str, value: u64) {
    let present = llvm!(c::LLVMGetModuleFlag(
        module,
        name.as_ptr().cast(),
        name.len()
    ));
    if !present.is_null() {
        return;
    }
    llvm!({
        let context = c::LLVMGetModuleContext(module);
        let value = c::LLVMConstInt(c::LLVMInt32TypeInContext(context), value, 0);
        c::LLVMAddModuleFlag(
            module,
            LLVMModuleFlagBehavior::LLVMModuleFlagBehaviorWarning,
            name.as_ptr().cast(),
            name.len(),
            c::LLVMValueAsMetadata(value),
        );
    });
}
