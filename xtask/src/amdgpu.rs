//! `cargo xtask amdgpu`: whether there is code of every kernel for AMD's devices, for several
//! processors, and the code objects have what the runtime looks for in them. Needs no GPU.

use legionella_abi::{amdgpu, gpu};
use object::elf::{ELFOSABI_AMDGPU_HSA, EM_AMDGPU, FileHeader64};
use object::read::elf::{FileHeader as _, Sym as _};
use object::{Endianness, SectionIndex};

use crate::kernels::Check;
use crate::tools::Tools;

/// Processors that code is generated for: with wavefronts of 32 and of 64 lanes, of five generations.
pub const PROCESSORS: [&str; 5] = ["gfx1100", "gfx942", "gfx90a", "gfx1030", "gfx1201"];

/// Checks every kernel whose name contains `filter`.
pub fn run(tools: &Tools, filter: &str, processors: &[String]) -> anyhow::Result<()> {
    let look = |code: &[u8], _: &str, _: usize| Ok(wrong(code).err().map(|why| why.to_string()));
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

/// Checks that a code object is one, defines symbols, and needs none.
fn check(object: &[u8], wanted: &[&str]) -> anyhow::Result<()> {
    let header = FileHeader64::<Endianness>::parse(object)?;
    let endian = header.endian()?;
    anyhow::ensure!(
        header.e_machine(endian) == EM_AMDGPU && header.e_ident().os_abi == ELFOSABI_AMDGPU_HSA,
        "not a code object for HSA"
    );
    let sections = header.sections(endian, object)?;
    let symbols = sections.symbols(endian, object, object::elf::SHT_DYNSYM)?;
    let mut defined = Vec::new();
    for symbol in symbols.iter().skip(1) {
        let name = String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
        anyhow::ensure!(
            symbol.st_shndx(endian) != SectionIndex(0).0 as u16,
            "`{name}` is not defined"
        );
        defined.push(name);
    }
    for wanted in wanted {
        anyhow::ensure!(
            defined.iter().any(|name| name == wanted),
            "`{wanted}` is missing"
        );
    }
    Ok(())
}
