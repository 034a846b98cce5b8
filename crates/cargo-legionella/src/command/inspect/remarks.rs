//! LLVM's remarks on a kernel, as text for people and as JSON.

use legionella::code;
use legionella_abi::bundle::Kernel;
use legionella_driver::remarks::Remark;
use serde_json::{Value, json};

/// All remarks, each at its line of the source.
pub(super) fn text(kernel: &Kernel, remarks: &[Remark], styled: bool) -> String {
    let definition = kernel.source.as_ref();
    let render = |remark: &Remark| {
        let said = match &remark.subject {
            Some(subject) => format!("{subject}: {}", remark.text),
            None => remark.text.clone(),
        };
        code::remark(&said, &kernel.name, definition, &remark.chain, styled)
    };
    let mut text: Vec<_> = remarks.iter().map(render).collect();
    text.push(match remarks.len() {
        1 => format!("one remark on kernel `{}`\n", kernel.name),
        count => format!("{count} remarks on kernel `{}`\n", kernel.name),
    });
    text.join("\n\n")
}

/// The same for programs.
pub(super) fn values(remarks: &[Remark]) -> Vec<Value> {
    let value = |remark: &Remark| {
        json!({
            "subject": remark.subject,
            "text": remark.text,
            "chain": remark.chain,
        })
    };
    remarks.iter().map(value).collect()
}
