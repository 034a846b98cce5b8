//! What LLVM's loop vectoriser remarks on a kernel, at lines of its source.
//!
//! Takes a module that is about to be optimised; gives what LLVM says of its loops meanwhile: which
//! became vector code, which didn't, and why.

use inkwell::context::Context;
use inkwell::module::Module;
use legionella_abi::protocol::Call;

use crate::ir::debug::{Copies, Place};
use crate::llvm::diagnostics;
use crate::validate::chain::starting_with;

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Which of the target's own loops it is on, if it is on one of these.
    pub subject: Option<String>,
    /// What LLVM says, in its words.
    pub text: String,
    /// From the kernel to the place, outermost first.
    pub chain: Vec<Call>,
}

/// How the texts of the loop vectoriser begin. LLVM's C interface doesn't tell the pass that a remark is
/// of, and remarks of all passes come.
const VECTORISER: [&str; 4] = [
    "vectorized loop",
    "interleaved loop",
    "loop not vectorized",
    "the cost-model indicates that vectorization",
];

/// Runs what optimises the module of a kernel, and gives the remarks that LLVM makes on places that are known, each
/// once. Leaves debug information that is of no use for code.
pub(crate) fn on<T>(
    context: &Context,
    module: &Module<'_>,
    kernel: &str,
    optimise: impl FnOnce() -> T,
) -> (T, Vec<Remark>) {
    diagnostics::ask_for_remarks();
    let copies = Copies::number(module);
    let (result, texts) = diagnostics::hear(context, optimise);
    let mut remarks = Vec::new();
    let placed = texts.iter().filter_map(|text| copies.place(text));
    let is_wanted = |text: &str| VECTORISER.iter().any(|begin| text.starts_with(begin));
    for (place, text) in placed.filter(|(_, text)| is_wanted(text)) {
        let Place { name, chain } = place;
        let remark = Remark {
            subject: name,
            text: text.to_owned(),
            chain: starting_with(kernel, chain),
        };
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    (result, remarks)
}
