//! A module's code in this process, by LLVM's just-in-time linker.

use std::ffi::CStr;
use std::ptr::null_mut;

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::targets::{FileType, TargetMachine};
use llvm_sys::error::{LLVMErrorRef, LLVMGetErrorMessage};
use llvm_sys::orc2::lljit::*;
use llvm_sys::orc2::*;

pub(super) struct Linked(LLVMOrcLLJITRef);

impl Drop for Linked {
    fn drop(&mut self) {
        // SAFETY: it is disposed of once, and no code of it runs.
        succeed(unsafe { LLVMOrcDisposeLLJIT(self.0) });
    }
}

/// Asserts that there was no error.
fn succeed(error: LLVMErrorRef) {
    if !error.is_null() {
        // SAFETY: the error is valid, and this takes it.
        let message = unsafe { CStr::from_ptr(LLVMGetErrorMessage(error)) };
        panic!("{}", message.to_string_lossy());
    }
}

impl Linked {
    /// Generates the code of a module, and of the frame to call it in.
    pub(super) fn new(module: &Module<'_>, machine: &TargetMachine) -> Self {
        let context = Context::create();
        let text = MemoryBuffer::create_from_memory_range_copy(super::ENTER.as_bytes(), "enter");
        let enter = context.create_module_from_ir(text).unwrap();
        enter.set_triple(&machine.get_triple());
        enter.set_data_layout(&machine.get_target_data().get_data_layout());
        let mut jit = null_mut();
        // SAFETY: all handles were just given out; buffers and generators are taken over.
        unsafe {
            succeed(LLVMOrcCreateLLJIT(&mut jit, null_mut()));
            let library = LLVMOrcLLJITGetMainJITDylib(jit);
            let mut process = null_mut();
            succeed(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                &mut process,
                LLVMOrcLLJITGetGlobalPrefix(jit),
                None,
                null_mut(),
            ));
            LLVMOrcJITDylibAddGenerator(library, process);
            let object = |module: &Module<'_>| {
                machine
                    .write_to_memory_buffer(module, FileType::Object)
                    .unwrap()
            };
            for object in [object(module), object(&enter)] {
                let copy = llvm_sys::core::LLVMCreateMemoryBufferWithMemoryRangeCopy(
                    object.as_slice().as_ptr().cast(),
                    object.as_slice().len(),
                    c"kernel".as_ptr(),
                );
                succeed(LLVMOrcLLJITAddObjectFile(jit, library, copy));
            }
        }
        Linked(jit)
    }

    /// The address of a symbol.
    pub(super) fn address<T>(&self, name: &CStr) -> *mut T {
        let mut address = 0;
        // SAFETY: the linker is alive.
        succeed(unsafe { LLVMOrcLLJITLookup(self.0, &mut address, name.as_ptr()) });
        address as *mut T
    }

    /// A function, whose type has to be `F`.
    pub(super) fn function<F: Copy>(&self, name: &CStr) -> F {
        assert_eq!(size_of::<F>(), size_of::<*mut u8>());
        let address: *mut u8 = self.address(name);
        // SAFETY: `F` is a function pointer, as its size tells and the caller says.
        unsafe { std::mem::transmute_copy(&address) }
    }
}
