//! The object file that carries bundle and cells, for ELF.
//!
//! Takes the bundle's bytes and the kernels and gives an object file: the bundle in a read-only
//! section of its own that the linker keeps, and in writable data one cell a kernel, under the
//! names by which launch sites refer to it.

use anyhow::Context as _;
use legionella_abi::bundle;
use legionella_abi::record::{
    CELL_BUNDLE_LEN_OFFSET, CELL_BUNDLE_OFFSET, CELL_KERNEL_OFFSET, CELL_PREFIX, CELL_SIZE,
};
use object::elf;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    BinaryFormat, Endianness, FileFlags, RelocationEncoding, RelocationFlags, RelocationKind,
    SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use super::records::{Kernel, Machine};

/// Symbol of the bundle's first byte. It is local to the object file.
const BUNDLE: &str = "legionella_bundle";

/// Section of the cells.
const CELLS: &str = ".data.legionella";

/// The bundle and a cell for each kernel, in this order.
pub(super) fn object(
    machine: Machine,
    bundle: &[u8],
    kernels: &[Kernel],
) -> anyhow::Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, machine.architecture, machine.endianness);
    // Linkers heed SHF_GNU_RETAIN in files of this ABI.
    object.flags = FileFlags::Elf {
        os_abi: elf::ELFOSABI_GNU,
        abi_version: 0,
        e_flags: elf::FileFlags(0),
    };
    let start = add_bundle(&mut object, bundle);
    let cells = object.add_section(vec![], CELLS.into(), SectionKind::Data);
    for (index, kernel) in kernels.iter().enumerate() {
        let bundle = (start, bundle.len() as u64);
        add_cell(
            &mut object,
            cells,
            bundle,
            index,
            machine.endianness,
            kernel,
        )?;
    }
    // Without this section a linker takes the file to want an executable stack.
    object.add_section(vec![], b".note.GNU-stack".into(), SectionKind::Other);
    object
        .write()
        .context("writing the object file of the kernels")
}

fn add_bundle(object: &mut Object<'_>, bundle: &[u8]) -> SymbolId {
    let section = object.add_section(vec![], bundle::SECTION.into(), SectionKind::ReadOnlyData);
    object.section_mut(section).flags = SectionFlags::Elf {
        sh_type: elf::SHT_PROGBITS,
        sh_flags: elf::SHF_ALLOC | elf::SHF_GNU_RETAIN,
    };
    object.append_section_data(section, bundle, 16);
    object.add_symbol(Symbol {
        name: BUNDLE.into(),
        value: 0,
        size: bundle.len() as u64,
        kind: SymbolKind::Data,
        scope: SymbolScope::Compilation,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

/// Adds the cell of the kernel that the bundle's manifest has at `index`.
fn add_cell(
    object: &mut Object<'_>,
    section: SectionId,
    bundle: (SymbolId, u64),
    index: usize,
    endianness: Endianness,
    kernel: &Kernel,
) -> anyhow::Result<()> {
    let (start, len) = bundle;
    let mut cell = [0; CELL_SIZE];
    let mut put = |offset: usize, value: u64| {
        let bytes = match endianness {
            Endianness::Little => value.to_le_bytes(),
            Endianness::Big => value.to_be_bytes(),
        };
        cell[offset..offset + 8].copy_from_slice(&bytes);
    };
    put(CELL_BUNDLE_LEN_OFFSET, len);
    put(CELL_KERNEL_OFFSET, index as u64);
    let offset = object.append_section_data(section, &cell, 16);
    object
        .add_relocation(
            section,
            Relocation {
                offset: offset + CELL_BUNDLE_OFFSET as u64,
                symbol: start,
                addend: 0,
                flags: RelocationFlags::Generic {
                    kind: RelocationKind::Absolute,
                    encoding: RelocationEncoding::Generic,
                    size: 64,
                },
            },
        )
        .context("referring from a cell to the bundle")?;
    for entry in &kernel.entries {
        object.add_symbol(Symbol {
            name: format!("{CELL_PREFIX}{entry}").into_bytes(),
            value: offset,
            size: CELL_SIZE as u64,
            kind: SymbolKind::Data,
            // Launch sites of other objects in the same image see it, other images don't.
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Architecture, Object as _, ObjectSection as _, ObjectSymbol as _};

    use crate::linker::records::Block;

    #[test]
    fn cells_refer_to_the_bundle_and_share_symbols() {
        let kernel = |entries: &[&str]| Kernel {
            entries: entries.iter().map(|&entry| entry.to_owned()).collect(),
            block: Block {
                size: 8,
                align: 8,
                arguments: vec![],
            },
        };
        for architecture in [Architecture::X86_64, Architecture::Aarch64] {
            let machine = Machine {
                architecture,
                endianness: Endianness::Little,
            };
            let kernels = [kernel(&["_Ra"]), kernel(&["_Rb", "_Rc"])];
            let bytes = object(machine, b"BUNDLE", &kernels).unwrap();
            let file = object::File::parse(&*bytes).unwrap();
            let bundle = file.section_by_name(bundle::SECTION).unwrap();
            assert_eq!(bundle.data().unwrap(), b"BUNDLE");
            let cells = file.section_by_name(CELLS).unwrap();
            let data = cells.data().unwrap();
            assert_eq!(data[CELL_SIZE + CELL_KERNEL_OFFSET], 1);
            assert_eq!(data[CELL_BUNDLE_LEN_OFFSET], 6);
            let offsets: Vec<u64> = cells.relocations().map(|(offset, _)| offset).collect();
            assert_eq!(offsets, [0, CELL_SIZE as u64]);
            let address = |name: &str| {
                let symbol = file
                    .symbol_by_name(&format!("{CELL_PREFIX}{name}"))
                    .unwrap();
                assert!(symbol.is_global() && symbol.scope() == SymbolScope::Linkage);
                symbol.address()
            };
            assert_eq!(address("_Rb"), address("_Rc"));
            assert_ne!(address("_Ra"), address("_Rb"));
        }
    }
}
