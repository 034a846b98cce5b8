//! What LLVM says of the code that it is given: errors, warnings, remarks.
//!
//! All of it goes to the log instead of standard error. Remarks are what LLVM says only if asked, for
//! the whole process ([`ask_for_remarks`]); who wants to read them gets them by [`hear`].

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_void};
use std::sync::Once;

use inkwell::context::{AsContextRef as _, Context};
use llvm_sys::LLVMDiagnosticSeverity::{self, LLVMDSError, LLVMDSRemark, LLVMDSWarning};
use llvm_sys::core as c;
use llvm_sys::prelude::{LLVMContextRef, LLVMDiagnosticInfoRef};

use super::parse_options;

/// Passes whose remarks are asked for: a regular expression.
const REMARKING: &str = "^(loop-vectorize|slp-vectorizer)$";

/// Has LLVM remark on what its vectorisers do and don't, from now on, in all contexts. Passes that are
/// asked nothing remark as well then.
pub(crate) fn ask_for_remarks() {
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        let options = ["", "-missed", "-analysis"]
            .map(|kind| CString::new(format!("-pass-remarks{kind}={REMARKING}")));
        let mut arguments = vec![c"legionella-driver"];
        arguments.extend(options.iter().flatten().map(CString::as_c_str));
        parse_options(&arguments);
    });
}

/// Sends what LLVM says of a context's code to the log.
pub(crate) fn log(context: &Context) {
    // SAFETY: the context is valid; the handler takes a null for its state.
    unsafe { set(context.as_ctx_ref(), std::ptr::null_mut()) };
}

/// Gives what LLVM remarks on a context's code while something runs.
pub(crate) fn hear<T>(context: &Context, run: impl FnOnce() -> T) -> (T, Vec<String>) {
    /// Ends the hearing, also if what runs panics.
    struct End(LLVMContextRef);
    impl Drop for End {
        fn drop(&mut self) {
            // SAFETY: the context outlives the call that this belongs to.
            unsafe { set(self.0, std::ptr::null_mut()) };
        }
    }
    let heard = RefCell::new(Vec::new());
    let end = End(context.as_ctx_ref());
    // SAFETY: `heard` stays where it is until `end` is dropped.
    unsafe { set(end.0, (&raw const heard).cast_mut().cast()) };
    let result = run();
    drop(end);
    (result, heard.into_inner())
}

/// Has diagnostics handled.
///
/// # Safety
/// The context must be valid, and `heard` be null or a `RefCell<Vec<String>>` for as long as it is
/// set.
unsafe fn set(context: LLVMContextRef, heard: *mut c_void) {
    // SAFETY: as the caller says.
    unsafe { c::LLVMContextSetDiagnosticHandler(context, Some(handle), heard) };
}

extern "C" fn handle(diagnostic: LLVMDiagnosticInfoRef, heard: *mut c_void) {
    // SAFETY: LLVM passes a valid diagnostic.
    let (severity, text) = unsafe { read(diagnostic) };
    match severity {
        LLVMDSError => tracing::error!(%text, "LLVM"),
        LLVMDSWarning => tracing::warn!(%text, "LLVM"),
        _ => tracing::debug!(%text, "LLVM"),
    }
    if severity == LLVMDSRemark && !heard.is_null() {
        // SAFETY: that is what is set if anything is, and nothing else has it while LLVM runs.
        let heard = unsafe { &*heard.cast::<RefCell<Vec<String>>>() };
        heard.borrow_mut().push(text);
    }
}

/// What a diagnostic says, and how grave it is.
///
/// # Safety
/// It must be valid.
unsafe fn read(diagnostic: LLVMDiagnosticInfoRef) -> (LLVMDiagnosticSeverity, String) {
    // SAFETY: as the caller says; the description is a terminated string that is the caller's to
    // dispose of.
    unsafe {
        let description = c::LLVMGetDiagInfoDescription(diagnostic);
        let text = CStr::from_ptr(description).to_string_lossy().into_owned();
        c::LLVMDisposeMessage(description);
        (c::LLVMGetDiagInfoSeverity(diagnostic), text)
    }
}
