//! `cargo xtask amdgpu`: whether there is code of every kernel for AMD's devices, for several
//! processors, and the code objects have what the runtime looks for in them. Needs no GPU.

use anyhow::ensure;
use legionella_abi::{amdgpu, gpu};
use object::{Object as _, ObjectSymbol as _};

use crate::kernels::{Check, Generated};
use crate::tools::Tools;

/// Processors that code is generated for: with wavefronts of 32 and of 64 lanes, of five generations.
pub const PROCESSORS: [&str; 5] = ["gfx1100", "gfx942", "gfx90a", "gfx1030", "gfx1201"];

/// Checks every kernel whose name contains `filter`.
pub fn run(tools: &Tools, filter: &str, processors: &[String]) -> anyhow::Result<()> {
    let look =
        |generated: &Generated<'_>| Ok(wrong(generated.code).err().map(|why| why.to_string()));
    Check {
        target: "amdgpu",
        filter,
        machines: processors,
        features: processors
            .iter()
            .cloned()
            .chain(FAMILIES.map(str::to_owned))
            .collect(),
        look: &look,
    }
    .run(tools)
}

/// Processors that stand for several, of which a device offers one beside its own name.
const FAMILIES: [&str; 6] = [
    "gfx9-generic",
    "gfx9-4-generic",
    "gfx10-1-generic",
    "gfx10-3-generic",
    "gfx11-generic",
    "gfx12-generic",
];

/// What is wrong with the code of a kernel.
fn wrong(code: &[u8]) -> anyhow::Result<()> {
    let (work, panic) = amdgpu::Header::split(code)
        .ok_or_else(|| anyhow::anyhow!("the code is not what its header says"))?;
    // The descriptor of a kernel has its name with this ending.
    check(work, &[&format!("{}.kd", gpu::KERNEL), gpu::NEEDS])?;
    if !panic.is_empty() {
        check(panic, &[&format!("{}.kd", gpu::PANIC)])?;
    }
    Ok(())
}

/// Checks that a code object defines symbols, and needs none.
fn check(object: &[u8], wanted: &[&str]) -> anyhow::Result<()> {
    let file = object::File::parse(object)?;
    for symbol in file.dynamic_symbols() {
        ensure!(
            !symbol.is_undefined(),
            "`{}` is not defined",
            symbol.name()?
        );
    }
    for wanted in wanted {
        let mut symbols = file.dynamic_symbols();
        ensure!(
            symbols.any(|symbol| symbol.name() == Ok(wanted)),
            "`{wanted}` is missing"
        );
    }
    Ok(())
}
