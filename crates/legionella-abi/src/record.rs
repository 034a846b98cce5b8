//! Kernel records and kernel cells.
//!
//! A launch site is monomorphised once per kernel type. It leaves a *record* in section
//! [`SECTION`] of its object file and takes the address of a *cell*, a weak hidden symbol named
//! [`CELL_PREFIX`] + entry symbol. The linker step reads the records, and defines the cells
//! beside the bundle; several entry symbols that stand for one kernel (instantiated in several
//! crates) are given one cell. Where no linker step ran, the weak symbol is null, which is how an
//! application knows that it was built without the wrapper.
//!
//! A record is, without padding and in the target's byte order:
//!
//! | field | type |
//! | --- | --- |
//! | [`MAGIC`] | `u32` |
//! | size of the argument block in bytes | `u32` |
//! | alignment of the argument block in bytes | `u32` |
//! | number of arguments | `u32` |
//! | per argument: offset, size, alignment within the block | 3 × `u32` |
//! | symbol of the entry shim | bytes, terminated by zero |

use core::sync::atomic::AtomicPtr;

use serde::{Deserialize, Serialize};

/// Section of an object file that holds kernel records. It is not loaded at run time.
pub const SECTION: &str = ".legionella.kernels";

/// First word of a record: its format and version.
pub const MAGIC: u32 = 0x4c47_0001;

/// What a cell's symbol is called: this, then the symbol of the entry shim.
pub const CELL_PREFIX: &str = "legionella_cell.";

/// Most arguments that one kernel takes.
pub const MAX_ARGUMENTS: usize = 12;

/// Where one argument lies in the argument block. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentLayout {
    /// Distance from the start of the block.
    pub offset: u32,
    /// Size of the argument's device form.
    pub size: u32,
    /// Alignment of the argument's device form.
    pub align: u32,
}

/// The statically allocated state of one kernel in one image.
///
/// The linker step lays cells out in a writable section of the object file that carries the
/// bundle; the application only ever sees `&'static Cell`.
#[repr(C)]
#[derive(Debug)]
pub struct Cell {
    /// First byte of the image's bundle.
    pub bundle: *const u8,
    /// Length of the bundle in bytes.
    pub bundle_len: u64,
    /// Index of the kernel in the bundle's manifest.
    pub kernel: u64,
    /// Head of the list of loaded code, one node an accelerator; null until the first launch.
    /// Its type belongs to the application.
    pub loaded: AtomicPtr<()>,
}

// SAFETY: `bundle` points to immutable static data and `loaded` is atomic.
unsafe impl Send for Cell {}
// SAFETY: as above.
unsafe impl Sync for Cell {}

/// Size of a [`Cell`] on 64-bit targets, for the linker step that lays it out.
pub const CELL_SIZE: usize = 32;
/// Offset of [`Cell::bundle`].
pub const CELL_BUNDLE_OFFSET: usize = 0;
/// Offset of [`Cell::bundle_len`].
pub const CELL_BUNDLE_LEN_OFFSET: usize = 8;
/// Offset of [`Cell::kernel`].
pub const CELL_KERNEL_OFFSET: usize = 16;

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Cell>() == CELL_SIZE);
    assert!(core::mem::offset_of!(Cell, bundle) == CELL_BUNDLE_OFFSET);
    assert!(core::mem::offset_of!(Cell, bundle_len) == CELL_BUNDLE_LEN_OFFSET);
    assert!(core::mem::offset_of!(Cell, kernel) == CELL_KERNEL_OFFSET);
};

/// A parsed kernel record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'data> {
    /// Symbol of the entry shim.
    pub entry: &'data str,
    /// Size of the argument block in bytes.
    pub block_size: u32,
    /// Alignment of the argument block in bytes.
    pub block_align: u32,
    /// Layout of each argument.
    pub arguments: alloc::vec::Vec<ArgumentLayout>,
}

/// Why a record section could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRecord {
    /// Where in the section the record starts that could not be read.
    pub offset: usize,
}

impl core::fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "malformed kernel record at offset {} of section {SECTION}",
            self.offset
        )
    }
}

impl core::error::Error for MalformedRecord {}

/// Reads all records of a section.
///
/// # Errors
/// If the section is not a sequence of whole records of this version.
pub fn parse(section: &[u8]) -> Result<alloc::vec::Vec<Record<'_>>, MalformedRecord> {
    let mut records = alloc::vec::Vec::new();
    let mut rest = section;
    while !rest.is_empty() {
        let offset = section.len() - rest.len();
        let (record, after) = parse_one(rest).ok_or(MalformedRecord { offset })?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn parse_one(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    fn word(bytes: &mut &[u8]) -> Option<u32> {
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_ne_bytes(*first))
    }
    let mut rest = bytes;
    if word(&mut rest)? != MAGIC {
        return None;
    }
    let block_size = word(&mut rest)?;
    let block_align = word(&mut rest)?;
    let count = word(&mut rest)? as usize;
    if count > MAX_ARGUMENTS {
        return None;
    }
    let mut arguments = alloc::vec::Vec::with_capacity(count);
    for _ in 0..MAX_ARGUMENTS {
        let argument = ArgumentLayout {
            offset: word(&mut rest)?,
            size: word(&mut rest)?,
            align: word(&mut rest)?,
        };
        if arguments.len() < count {
            arguments.push(argument);
        }
    }
    let end = rest.iter().position(|&byte| byte == 0)?;
    let entry = core::str::from_utf8(&rest[..end]).ok()?;
    let record = Record {
        entry,
        block_size,
        block_align,
        arguments,
    };
    Some((record, &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn record(entry: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC, 24, 8, 2, 0, 4, 4, 8, 16, 8] {
            bytes.extend_from_slice(&u32::to_ne_bytes(word));
        }
        bytes.extend_from_slice(&[0; 12 * (MAX_ARGUMENTS - 2)]);
        bytes.extend_from_slice(entry.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn reads_consecutive_records() {
        let mut section = record("_RNv1a");
        section.extend(record("_RNv1b"));
        let records = parse(&section).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].entry, "_RNv1b");
        assert_eq!(records[0].arguments.len(), 2);
        assert_eq!(records[0].arguments[1].offset, 8);
    }

    #[test]
    fn says_where_a_record_is_cut_off() {
        let mut section = record("_RNv1a");
        let second = section.len();
        section.extend(record("_RNv1b"));
        section.pop();
        assert_eq!(parse(&section), Err(MalformedRecord { offset: second }));
    }
}
