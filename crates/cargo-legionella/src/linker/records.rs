//! Kernel records in the files that are linked.
//!
//! Takes the linker's input files and gives the kernels that they launch. Only headers and record
//! sections are touched: most inputs have no records, and this runs at every link.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use legionella_abi::record::{self, ArgumentLayout};
use memmap2::Mmap;
use object::read::archive::ArchiveFile;
use object::{Architecture, Endianness, Object as _, ObjectSection as _};

use super::symbol;

/// First bytes of LLVM bitcode, plain and wrapped.
const BITCODE: [[u8; 4]; 2] = [*b"BC\xc0\xde", [0xde, 0xc0, 0x17, 0x0b]];

/// A kernel record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Symbol of the entry shim.
    pub entry: String,
    /// The argument block's layout.
    pub block: Block,
}

/// Layout of an argument block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Size in bytes.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
    /// Layout of each argument.
    pub arguments: Vec<ArgumentLayout>,
}

/// One kernel of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Symbols of its entry shim, which is instantiated once in each crate that launches it.
    pub entries: Vec<String>,
    /// The argument block's layout.
    pub block: Block,
}

/// What object files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Instruction set.
    pub architecture: Architecture,
    /// Byte order.
    pub endianness: Endianness,
}

/// What the inputs of a link hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// All records, some of them several times.
    pub records: Vec<Record>,
    /// What the objects are for; `None` if there is no object.
    pub machine: Option<Machine>,
    /// Whether some inputs are bitcode, whose records only the linker can find.
    pub opaque: bool,
}

/// Looks through object files, and through Rust libraries other than the toolchain's own.
pub(super) fn find(
    objects: &[PathBuf],
    archives: &[PathBuf],
    sysroot: &Path,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in objects {
        found
            .add_object(&map(path)?)
            .with_context(|| format!("reading {}", path.display()))?;
    }
    for path in archives.iter().filter(|path| !path.starts_with(sysroot)) {
        found
            .add_archive(&map(path)?)
            .with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(found)
}

/// The records in a linked image.
pub(super) fn of_image(path: &Path) -> anyhow::Result<Vec<Record>> {
    let mut found = Found::default();
    found
        .add_object(&map(path)?)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(found.records)
}

impl Found {
    fn add_archive(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        for member in ArchiveFile::parse(bytes)?.members() {
            let member = member?;
            if member.is_thin() || !member.name().ends_with(b".o") {
                continue;
            }
            let name = || String::from_utf8_lossy(member.name()).into_owned();
            self.add_object(member.data(bytes)?).with_context(name)?;
        }
        Ok(())
    }

    fn add_object(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if BITCODE.iter().any(|magic| bytes.starts_with(magic)) {
            self.opaque = true;
            return Ok(());
        }
        // Objects of foreign libraries may be of kinds that this crate doesn't read.
        let Ok(file) = object::File::parse(bytes) else {
            return Ok(());
        };
        self.machine.get_or_insert(Machine {
            architecture: file.architecture(),
            endianness: file.endianness(),
        });
        // Members of section groups can make this several sections of one name.
        for section in file.sections() {
            if section.name_bytes() != Ok(record::SECTION.as_bytes()) {
                continue;
            }
            for record in record::parse(section.data()?)? {
                self.records.push(Record {
                    entry: record.entry.to_owned(),
                    block: Block {
                        size: record.block_size,
                        align: record.block_align,
                        arguments: record.arguments,
                    },
                });
            }
        }
        Ok(())
    }
}

/// The kernels that records stand for, in the order of their symbols.
pub(super) fn kernels(records: &[Record]) -> anyhow::Result<Vec<Kernel>> {
    let mut kernels: BTreeMap<&str, Kernel> = BTreeMap::new();
    for record in records {
        match kernels.entry(symbol::without_instantiating_crate(&record.entry)) {
            Entry::Vacant(place) => {
                place.insert(Kernel {
                    entries: vec![record.entry.clone()],
                    block: record.block.clone(),
                });
            }
            Entry::Occupied(mut place) => {
                let kernel = place.get_mut();
                if kernel.block != record.block {
                    bail!(
                        "kernel `{:#}` has two different argument layouts in this image",
                        rustc_demangle::demangle(&record.entry)
                    );
                }
                if !kernel.entries.contains(&record.entry) {
                    kernel.entries.push(record.entry.clone());
                }
            }
        }
    }
    let mut kernels: Vec<Kernel> = kernels.into_values().collect();
    for kernel in &mut kernels {
        kernel.entries.sort();
    }
    Ok(kernels)
}

/// Maps a file into memory.
fn map(path: &Path) -> anyhow::Result<Mmap> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // SAFETY: inputs of a link are not written to while it runs; whoever does so breaks the real
    // linker as well.
    unsafe { Mmap::map(&file) }.with_context(|| format!("mapping {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(entry: &str, size: u32) -> Record {
        Record {
            entry: entry.to_owned(),
            block: Block {
                size,
                align: 8,
                arguments: vec![],
            },
        }
    }

    #[test]
    fn one_kernel_for_all_crates_that_instantiate_it() {
        let a = "_RINvCs1_3lib5entryNCNvCs2_3app4main0EBW_";
        let b = "_RINvCs1_3lib5entryNCNvCs2_3app4main0ECs9_5other";
        let c = "_RINvCs1_3lib5entryNCNvCs2_3app4mains_0EBW_";
        let kernels = kernels(&[record(a, 8), record(c, 8), record(b, 8), record(a, 8)]).unwrap();
        assert_eq!(kernels.len(), 2);
        assert_eq!(kernels[0].entries, [a, b]);
        assert_eq!(kernels[1].entries, [c]);
    }

    #[test]
    fn contradicting_layouts_are_refused() {
        let a = "_RNvCs2_3app4main";
        assert!(kernels(&[record(a, 8), record(a, 16)]).is_err());
    }
}
