//! Symbol tables of bitcode files, read without LLVM.
//!
//! A bitcode file is a bitstream of blocks. Besides the module itself there is a `STRTAB` block
//! with all names and a `SYMTAB` block with a table made for linkers, which is all that is read
//! here; modules are skipped by their length. See <https://llvm.org/docs/BitCodeFormat.html> for the
//! bitstream and `llvm/include/llvm/Object/IRSymtab.h` for the table.

/// A symbol of a bitcode file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'data> {
    /// Its name, mangled.
    pub name: &'data str,
    /// Whether this file has its definition.
    pub defined: bool,
}

/// Why the symbols of a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not LLVM bitcode.
    #[error("not LLVM bitcode")]
    NotBitcode,
    /// It is cut short, or damaged.
    #[error("damaged bitcode")]
    Damaged,
    /// It has no symbol table.
    #[error("bitcode without symbol table")]
    NoSymbolTable,
}

const MAGIC: [u8; 4] = *b"BC\xc0\xde";

const TOP_LEVEL_ABBREVIATION_WIDTH: u32 = 2;
const ENTER_SUBBLOCK: u64 = 1;
const DEFINE_ABBREVIATION: u64 = 2;
const FIRST_ABBREVIATION: u64 = 4;

const STRTAB_BLOCK: u64 = 23;
const SYMTAB_BLOCK: u64 = 25;

/// What the symbols of all entry shims have in them, however they are mangled.
const ENTRY: &str = "5entry";

/// The symbols of a bitcode file that are visible outside of it, in the module's order, and the entry
/// shims of kernels, which the compiler makes local if it can. Intrinsics and what module-level
/// assembly mentions are left out.
///
/// # Errors
/// If the bytes are not whole bitcode with a symbol table.
pub fn symbols(bytes: &[u8]) -> Result<Vec<Symbol<'_>>, Malformed> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Malformed::NotBitcode);
    }
    let mut names = None;
    let mut table = None;
    let mut bits = Bits::new(bytes);
    bits.position = 32;
    while bits.position / 8 + 4 <= bytes.len() {
        if bits.fixed(TOP_LEVEL_ABBREVIATION_WIDTH)? != ENTER_SUBBLOCK {
            return Err(Malformed::Damaged);
        }
        let block = bits.variable(8)?;
        let width = bits.variable(4)? as u32;
        bits.align();
        let words = bits.fixed(32)? as usize;
        let start = bits.position / 8;
        let end = start
            .checked_add(words.checked_mul(4).ok_or(Malformed::Damaged)?)
            .filter(|&end| end <= bytes.len())
            .ok_or(Malformed::Damaged)?;
        match block {
            STRTAB_BLOCK => names = Some(blob(&bytes[start..end], width)?),
            SYMTAB_BLOCK => table = Some(blob(&bytes[start..end], width)?),
            _ => {}
        }
        bits.position = end * 8;
    }
    let table = table.ok_or(Malformed::NoSymbolTable)?;
    read_table(table, names.ok_or(Malformed::Damaged)?)
}

/// The blob of a block that consists of an abbreviation, and one record by that abbreviation whose
/// operands are literals and then the blob.
fn blob(block: &[u8], width: u32) -> Result<&[u8], Malformed> {
    const ENCODING_BLOB: u64 = 5;
    let mut bits = Bits::new(block);
    if bits.fixed(width)? != DEFINE_ABBREVIATION {
        return Err(Malformed::Damaged);
    }
    let mut has_blob = false;
    for _ in 0..bits.variable(5)? {
        let literal = bits.fixed(1)? == 1;
        if literal {
            bits.variable(8)?;
            continue;
        }
        if bits.fixed(3)? != ENCODING_BLOB {
            return Err(Malformed::Damaged);
        }
        has_blob = true;
    }
    if !has_blob || bits.fixed(width)? != FIRST_ABBREVIATION {
        return Err(Malformed::Damaged);
    }
    let len = bits.variable(6)? as usize;
    bits.align();
    let start = bits.position / 8;
    let end = start.checked_add(len).ok_or(Malformed::Damaged)?;
    block.get(start..end).ok_or(Malformed::Damaged)
}

/// Reads the table of `llvm::irsymtab`: little-endian words, strings and ranges as offset and size.
fn read_table<'data>(
    table: &'data [u8],
    names: &'data [u8],
) -> Result<Vec<Symbol<'data>>, Malformed> {
    // Header: version, producer (string), modules, comdats, symbols (ranges), …
    const SYMBOLS_AT: usize = 4 + 8 + 8 + 8;
    // Symbol: name, name in the IR (strings), index of its comdat, flags.
    const SYMBOL_SIZE: usize = 8 + 8 + 4 + 4;
    const FLAG_UNDEFINED: u32 = 1 << 3;
    const FLAG_GLOBAL: u32 = 1 << 10;
    const FLAG_FORMAT_SPECIFIC: u32 = 1 << 11;

    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes
            .map(|word| u32::from_le_bytes(*word))
            .ok_or(Malformed::Damaged)
    };
    let start = word(table, SYMBOLS_AT)? as usize;
    let count = word(table, SYMBOLS_AT + 4)? as usize;
    let records = table
        .get(start..)
        .and_then(|rest| rest.get(..count.checked_mul(SYMBOL_SIZE)?))
        .ok_or(Malformed::Damaged)?;
    let mut symbols = Vec::with_capacity(count);
    for record in records.chunks_exact(SYMBOL_SIZE) {
        let flags = word(record, 20)?;
        let in_ir = word(record, 12)? != 0;
        if flags & FLAG_FORMAT_SPECIFIC != 0 || !in_ir {
            continue;
        }
        let (offset, len) = (word(record, 0)? as usize, word(record, 4)? as usize);
        let name = names
            .get(offset..)
            .and_then(|rest| rest.get(..len))
            .and_then(|name| str::from_utf8(name).ok())
            .ok_or(Malformed::Damaged)?;
        if flags & FLAG_GLOBAL == 0 && !name.contains(ENTRY) {
            continue;
        }
        symbols.push(Symbol {
            name,
            defined: flags & FLAG_UNDEFINED == 0,
        });
    }
    Ok(symbols)
}

/// Reads integers of any width from a bitstream, least significant bit first.
struct Bits<'data> {
    bytes: &'data [u8],
    /// In bits.
    position: usize,
}

impl<'data> Bits<'data> {
    fn new(bytes: &'data [u8]) -> Self {
        Bits { bytes, position: 0 }
    }

    fn fixed(&mut self, width: u32) -> Result<u64, Malformed> {
        let mut value = 0;
        for bit in 0..width {
            let byte = self
                .bytes
                .get(self.position / 8)
                .ok_or(Malformed::Damaged)?;
            value |= u64::from(byte >> (self.position % 8) & 1) << bit;
            self.position += 1;
        }
        Ok(value)
    }

    /// Chunks of `width` bits, whose highest bit says whether another follows.
    fn variable(&mut self, width: u32) -> Result<u64, Malformed> {
        let more = 1 << (width - 1);
        let mut value = 0;
        let mut shift = 0;
        loop {
            let chunk = self.fixed(width)?;
            value |= (chunk & (more - 1))
                .checked_shl(shift)
                .ok_or(Malformed::Damaged)?;
            if chunk & more == 0 {
                return Ok(value);
            }
            shift += width - 1;
        }
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Bitcode of a small crate, made by the compiler at hand.
    fn bitcode(source: &str) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sample.rs");
        std::fs::write(&file, source).unwrap();
        let output = directory.path().join("sample.bc");
        let status = Command::new("rustc")
            .args(["--crate-type=lib", "--emit=llvm-bc", "--edition=2024", "-o"])
            .args([&output, &file])
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(output).unwrap()
    }

    const SOURCE: &str = "
        unsafe extern \"C\" { fn elsewhere() -> u32; static DATA: u32; }
        #[unsafe(no_mangle)] pub static TABLE: [u32; 2] = [1, 2];
        #[inline(never)] fn local() -> u32 { unsafe { elsewhere() + DATA } }
        #[inline(never)] fn entry<T>() {}
        #[unsafe(no_mangle)] pub fn here(x: f32) -> f32 { entry::<u8>(); x.sqrt() + local() as f32 }";

    #[test]
    fn tells_definitions_from_references() {
        let bytes = bitcode(SOURCE);
        let symbols = symbols(&bytes).unwrap();
        let find = |name: &str| {
            let found = symbols.iter().find(|symbol| symbol.name == name);
            found.map(|symbol| symbol.defined)
        };
        assert_eq!(find("here"), Some(true));
        assert_eq!(find("TABLE"), Some(true));
        assert_eq!(find("elsewhere"), Some(false));
        assert_eq!(find("DATA"), Some(false));
        assert!(
            symbols
                .iter()
                .all(|symbol| !symbol.name.starts_with("llvm."))
        );
        assert!(!symbols.iter().any(|symbol| symbol.name.contains("local")));
        assert!(
            symbols
                .iter()
                .any(|symbol| symbol.name.contains("entry") && symbol.defined)
        );
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        let bytes = bitcode(SOURCE);
        assert_eq!(symbols(b"\x7fELF"), Err(Malformed::NotBitcode));
        assert_eq!(symbols(&[]), Err(Malformed::NotBitcode));
        for end in (4..bytes.len()).step_by(4) {
            assert!(symbols(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in (4..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            // Most damage lies in the module, which is not looked at: no panic is all there is.
            let _ = symbols(&damaged);
        }
    }
}
