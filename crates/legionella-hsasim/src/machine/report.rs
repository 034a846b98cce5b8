//! What is said of a kernel that was stopped: what, in which kernel, at which instruction, in which line of
//! source.

use std::fmt::Write as _;

use crate::error::Fault;

use super::executable::Loaded;
use super::lines;

/// HSA's code for what stopped a kernel (`hsa_status_t`).
pub fn status(fault: &Fault) -> u32 {
    match fault {
        Fault::Trap(_) => 0x1016,
        Fault::Memory { .. }
        | Fault::Undefined(..)
        | Fault::MissingWait(..)
        | Fault::MissingFence { .. }
        | Fault::MissingOrder { .. } => 43,
        Fault::Aperture { .. } | Fault::Misaligned { .. } => 41,
        Fault::Unknown(_)
        | Fault::NoCode(_)
        | Fault::NoRegister(_)
        | Fault::Mode(_)
        | Fault::Endless(_)
        | Fault::LanesOff
        | Fault::Halves(_) => 42,
    }
}

/// The text for a fault at a slot of code.
pub fn text(
    loaded: &Loaded,
    kernel: &str,
    group: [u32; 3],
    wave: usize,
    slot: u32,
    fault: &Fault,
) -> String {
    let kernel = kernel.strip_suffix(".kd").unwrap_or(kernel);
    let mut text = format!("kernel {kernel} on {}: {fault}", loaded.isa.name());
    place(&mut text, loaded, slot, "at");
    let _ = write!(text, "\n  in work-group {group:?}, wave {wave}");
    source(&mut text, loaded, slot);
    if let Fault::MissingFence { slot, .. } | Fault::MissingOrder { slot, .. } = *fault {
        place(&mut text, loaded, slot, "stored at");
        source(&mut text, loaded, slot);
    }
    text
}

/// Adds the instruction of a slot, and where it is.
fn place(text: &mut String, loaded: &Loaded, slot: u32, how: &str) {
    let address = loaded.code.address_of(slot);
    let function = loaded
        .functions
        .iter()
        .rfind(|(start, size, _)| *start <= address && address < start + (*size).max(1));
    let place = match function {
        Some((start, _, name)) => format!("{name}+{:#x}", address - start),
        None => format!("{:#x}", address - loaded.base),
    };
    let _ = write!(text, "\n  {how} {place}: {}", loaded.code.text(slot));
}

/// Adds the lines of source that the instruction of a slot comes from.
fn source(text: &mut String, loaded: &Loaded, slot: u32) {
    let address = loaded.code.address_of(slot);
    for (at, frame) in lines::frames(&loaded.file, address - loaded.base)
        .iter()
        .enumerate()
    {
        let _ = write!(
            text,
            "\n  {}{frame}",
            if at == 0 { "" } else { "inlined into " }
        );
    }
}
