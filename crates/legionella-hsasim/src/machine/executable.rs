//! Loaded code objects.
//!
//! A code object is an ELF shared object (LLVM, "User Guide for AMDGPU Backend", "Code Object"): its
//! segments are copied to memory that the agent may reach, its relocations applied, its kernels found by
//! their descriptors.

use std::sync::Arc;

use object::elf::{PF_W, PF_X, PT_LOAD, STT_FUNC, STT_OBJECT};
use object::read::elf::{
    FileHeader as _, ProgramHeader as _, Rela as _, SectionHeader as _, Sym as _,
};
use object::{LittleEndian, elf};

use crate::decode::Code;
use crate::error::Error;
use crate::isa::Isa;

use super::memory::{Purpose, memory};

/// Bits of a header's flags that tell the machine.
const MACHINE: u32 = 0xff;

/// A kernel descriptor (64 bytes).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Descriptor {
    /// Bytes of a work-group's memory that are known at compile time.
    pub group_size: u32,
    /// Bytes of a work-item's memory.
    pub private_size: u32,
    /// Bytes of arguments.
    pub arguments_size: u32,
    reserved0: u32,
    /// Where the code begins, from the descriptor.
    pub entry: i64,
    reserved1: [u32; 5],
    /// `COMPUTE_PGM_RSRC3`.
    pub resources3: u32,
    /// `COMPUTE_PGM_RSRC1`.
    pub resources1: u32,
    /// `COMPUTE_PGM_RSRC2`.
    pub resources2: u32,
    /// Which registers are set up.
    pub properties: u16,
    /// Arguments that are loaded in advance.
    pub preload: u16,
    reserved3: u32,
}

const _: () = assert!(size_of::<Descriptor>() == 64);

impl Descriptor {
    /// Whether waves have 32 lanes.
    pub fn is_wave32(&self) -> bool {
        self.properties & (1 << 10) != 0
    }

    /// Whether the size of the stack is not known at compile time.
    pub fn has_dynamic_stack(&self) -> bool {
        self.properties & (1 << 11) != 0
    }
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// A kernel, by its descriptor.
    Kernel,
    /// A variable.
    Variable,
}

/// A symbol of a loaded code object.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its name; of kernels the descriptor's.
    pub name: String,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Its address.
    pub address: u64,
    /// Its size.
    pub size: u64,
}

/// A code object in an agent's memory.
#[derive(Debug)]
pub struct Loaded {
    /// The agent's number.
    pub agent: u32,
    /// The instruction set.
    pub isa: Isa,
    /// Kernels and variables.
    pub symbols: Vec<Symbol>,
    /// Functions: address, size, name.
    pub functions: Vec<(u64, u64, String)>,
    /// The instructions.
    pub code: Code,
    /// The file, for its debug information.
    pub file: Arc<[u8]>,
    /// Where the file's address zero is.
    pub base: u64,
    /// The regions that it has.
    regions: Vec<u64>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        for &region in &self.regions {
            memory().remove(region, |purpose| matches!(purpose, Purpose::Code(_)));
        }
    }
}

impl Loaded {
    /// The descriptor at an address, if a kernel of this code object has it.
    pub fn descriptor(&self, address: u64) -> Option<(&Symbol, Descriptor)> {
        let symbol = self
            .symbols
            .iter()
            .find(|symbol| symbol.kind == SymbolKind::Kernel && symbol.address == address)?;
        // SAFETY: the symbol lies in a segment of this code object, which is mapped as long as it.
        Some((symbol, unsafe {
            (address as *const Descriptor).read_unaligned()
        }))
    }

    /// Copies a code object to memory of an agent.
    ///
    /// # Errors
    /// If it is not one, or not for the instruction set.
    pub fn load(file: &[u8], isa: Isa, agent: u32) -> Result<Loaded, Error> {
        load(file, isa, agent).map_err(|failure| match failure {
            Failure::Format(reason) => Error::CodeObject { reason },
            Failure::Other(error) => error,
        })
    }
}

/// Why loading failed.
enum Failure {
    Format(String),
    Other(Error),
}

impl From<object::Error> for Failure {
    fn from(error: object::Error) -> Self {
        Failure::Format(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Format(reason)
    }
}

fn load(file: &[u8], isa: Isa, agent: u32) -> Result<Loaded, Failure> {
    let endian = LittleEndian;
    let header = elf::FileHeader64::<LittleEndian>::parse(file)?;
    if header.e_machine.get(endian) != elf::EM_AMDGPU {
        return Err("it is not for AMD's GPUs".to_owned().into());
    }
    let machine = header.e_flags.get(endian).0 & MACHINE;
    if machine != isa.machine() {
        return Err(format!(
            "it is for the machine {machine:#x}, the agent is {} ({:#x})",
            isa.name(),
            isa.machine()
        )
        .into());
    }
    let segments = header.program_headers(endian, file)?;
    let loads = || {
        segments
            .iter()
            .filter(|segment| segment.p_type(endian) == PT_LOAD)
    };
    let end = loads()
        .map(|segment| {
            segment
                .p_vaddr(endian)
                .saturating_add(segment.p_memsz(endian))
        })
        .max()
        .ok_or_else(|| "it has nothing to load".to_owned())?;
    let bit = 1 << agent;
    let size = usize::try_from(end).map_err(|_| "it is too large".to_owned())?;
    let base = memory()
        .allocate(size, Purpose::Code(false), bit)
        .ok_or_else(|| "there is no memory for it".to_owned())?
        .as_ptr() as u64;
    let mut regions = vec![base];
    let mut text = None;
    for segment in loads() {
        let bytes = segment
            .data(endian, file)
            .map_err(|()| "a segment lies outside of the file".to_owned())?;
        let address = segment.p_vaddr(endian);
        if bytes.len() as u64 > segment.p_memsz(endian) {
            return Err("a segment is larger than its memory".to_owned().into());
        }
        // SAFETY: the segment lies within the allocation, whose size covers all segments.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (base + address) as *mut u8, bytes.len());
        }
        let flags = segment.p_flags(endian);
        if flags.0 & PF_X.0 != 0 {
            text = Some((address, bytes));
        }
        if flags.0 & PF_W.0 != 0 && address != 0 {
            let start = base + address;
            super::memory::lock_code(start, segment.p_memsz(endian) as usize, bit);
            regions.insert(0, start);
        }
    }
    let sections = header.sections(endian, file)?;
    let symbols = sections.symbols(endian, file, elf::SHT_DYNSYM)?;
    for section in sections.iter() {
        let Some((relocations, _)) = section.rela(endian, file)? else {
            continue;
        };
        for relocation in relocations {
            relocate(relocation, &symbols, endian, base, size)?;
        }
    }
    let mut found = Vec::new();
    for symbol in symbols.iter() {
        let name = String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
        if symbol.st_type() != STT_OBJECT || symbol.is_undefined(endian) {
            continue;
        }
        let (value, length) = (symbol.st_value(endian), symbol.st_size(endian));
        if value.checked_add(length).is_none_or(|last| last > end) {
            return Err(format!("the symbol {name} lies outside of all segments").into());
        }
        let kernel = name.ends_with(".kd") && length == 64;
        found.push(Symbol {
            name,
            kind: if kernel {
                SymbolKind::Kernel
            } else {
                SymbolKind::Variable
            },
            address: base + value,
            size: length,
        });
    }
    let mut functions = Vec::new();
    for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        let table = sections.symbols(endian, file, kind)?;
        for symbol in table.iter().filter(|symbol| symbol.st_type() == STT_FUNC) {
            let name = String::from_utf8_lossy(symbol.name(endian, table.strings())?).into_owned();
            functions.push((base + symbol.st_value(endian), symbol.st_size(endian), name));
        }
    }
    functions.sort();
    functions.dedup();
    let (address, bytes) = text.ok_or_else(|| "it has no code".to_owned())?;
    // SAFETY: descriptors lie within the allocation, as all symbols.
    let wave32 = found
        .iter()
        .filter(|symbol| symbol.kind == SymbolKind::Kernel)
        .map(|symbol| unsafe { (symbol.address as *const Descriptor).read_unaligned() }.is_wave32())
        .collect::<Vec<bool>>();
    if wave32.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("it has kernels for waves of 32 and for waves of 64"
            .to_owned()
            .into());
    }
    let wave = match wave32.first() {
        Some(true) => 32,
        Some(false) => 64,
        None => isa.wave(),
    };
    let code = Code::decode(isa, wave, bytes, base + address).map_err(Failure::Other)?;
    Ok(Loaded {
        agent,
        isa,
        symbols: found,
        functions,
        code,
        file: file.into(),
        base,
        regions,
    })
}

fn relocate(
    relocation: &elf::Rela64<LittleEndian>,
    symbols: &object::read::elf::SymbolTable<'_, elf::FileHeader64<LittleEndian>>,
    endian: LittleEndian,
    base: u64,
    size: usize,
) -> Result<(), Failure> {
    let place = relocation.r_offset(endian);
    let kind = relocation.r_type(endian, false);
    let addend = relocation.r_addend(endian) as u64;
    let index = relocation.symbol(endian, false);
    let symbol = match index {
        Some(index) => {
            let symbol = symbols.symbol(index)?;
            if symbol.is_undefined(endian) {
                let name =
                    String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
                return Err(format!("the symbol {name} is not defined").into());
            }
            base + symbol.st_value(endian)
        }
        None => 0,
    };
    // LLVM, AMDGPU usage, "Relocation Records".
    let (value, bytes) = match kind.0 {
        0 => return Ok(()),
        1 => (symbol.wrapping_add(addend) & 0xffff_ffff, 4),
        2 => (symbol.wrapping_add(addend) >> 32, 4),
        3 => (symbol.wrapping_add(addend), 8),
        4 => (symbol.wrapping_add(addend).wrapping_sub(base + place), 4),
        5 => (symbol.wrapping_add(addend).wrapping_sub(base + place), 8),
        6 => (symbol.wrapping_add(addend), 4),
        13 => (base.wrapping_add(addend), 8),
        _ => return Err(format!("a relocation of the kind {}", kind.0).into()),
    };
    if place
        .checked_add(bytes as u64)
        .is_none_or(|end| end > size as u64)
    {
        return Err("a relocation lies outside of all segments"
            .to_owned()
            .into());
    }
    crate::interpret::access::write(base + place, bytes, value);
    Ok(())
}
