//! Running LLVM's own passes.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::error::{LLVMDisposeErrorMessage, LLVMGetErrorMessage};
use llvm_sys::target_machine::LLVMTargetMachineRef;
use llvm_sys::transforms::pass_builder as passes;
use std::ffi::CStr;

use super::{c_name, llvm};
use crate::error::Error;

/// A run of LLVM passes over a module.
#[derive(Clone, Copy)]
pub(crate) struct Pipeline<'a> {
    /// What LLVM's `opt -passes=` takes.
    pub(crate) text: &'a str,
    /// Whether loops and straight-line code are vectorised.
    pub(crate) vectorise: bool,
    /// Whether loops are unrolled.
    pub(crate) unroll: bool,
    /// Largest cost of a call to be inlined; kernels can afford more than whole programs.
    pub(crate) inline_threshold: i32,
}

impl Pipeline<'_> {
    /// Runs the passes.
    pub(crate) fn run(self, module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
        self.run_on(module, machine.as_mut_ptr())
    }

    /// Runs the passes with nothing known of the machine but the module's data layout.
    pub(crate) fn run_for_any_machine(self, module: &Module<'_>) -> Result<(), Error> {
        self.run_on(module, std::ptr::null_mut())
    }

    fn run_on(self, module: &Module<'_>, machine: LLVMTargetMachineRef) -> Result<(), Error> {
        let text = c_name(self.text);
        let flag = |on: bool| i32::from(on);
        let options = llvm!(passes::LLVMCreatePassBuilderOptions());
        llvm!({
            passes::LLVMPassBuilderOptionsSetLoopVectorization(options, flag(self.vectorise));
            passes::LLVMPassBuilderOptionsSetSLPVectorization(options, flag(self.vectorise));
            passes::LLVMPassBuilderOptionsSetLoopInterleaving(options, flag(self.vectorise));
            passes::LLVMPassBuilderOptionsSetLoopUnrolling(options, flag(self.unroll));
            passes::LLVMPassBuilderOptionsSetInlinerThreshold(options, self.inline_threshold);
        });
        let error = llvm!(passes::LLVMRunPasses(
            module.as_mut_ptr(),
            text.as_ptr(),
            machine,
            options
        ));
        llvm!(passes::LLVMDisposePassBuilderOptions(options));
        if error.is_null() {
            return Ok(());
        }
        let message = llvm!(LLVMGetErrorMessage(error));
        let reason = llvm!(CStr::from_ptr(message))
            .to_string_lossy()
            .into_owned();
        llvm!(LLVMDisposeErrorMessage(message));
        Err(Error::Internal {
            stage: "pass pipeline",
            reason,
        })
    }
}
