//! `cargo xtask simulated`: the conformance suite on AMD's devices in software. Builds the simulator and
//! runs the suite on it, each processor in a process of its own. Needs no GPU.

use crate::tools::{Tools, succeed};

/// Processors that the simulator knows, with wavefronts of 32 and of 64 lanes.
pub const PROCESSORS: [&str; 2] = ["gfx1100", "gfx942"];

/// What of the suite `cargo xtask test` runs: parts of the names of cases. All of it takes too long
/// for that, most of the time in code generation.
pub const PART: [&str; 13] = [
    "grids/",
    "arguments/",
    "outputs/",
    "integers/u32/",
    "groups/barriers",
    "panics/bounds",
    // What LLVM gets wrong, and the target keeps it from: registers of recursion, loads into halves of
    // registers, and these themselves.
    "panics/slice_end",
    "crates/crc32fast",
    "groups/together_i16",
    "panels/u8",
    "channels/",
    "printing/formats",
    "faults/",
];

/// Runs the cases whose name contains a text of `filters`.
pub fn run(tools: &Tools, filters: &[&str], processor: &str) -> anyhow::Result<()> {
    let simulator = tools.simulator()?;
    for filter in filters {
        let mut suite = tools.program("conformance", None);
        suite.env(
            "LEGIONELLA_HSA",
            format!("sim:{processor}@{}", simulator.display()),
        );
        succeed(suite.args(["--accelerator", "hsa:0", "--filter", filter]))?;
    }
    Ok(())
}
