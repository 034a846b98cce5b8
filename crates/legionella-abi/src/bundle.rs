//! What the linker step embeds into an executable or shared library: the device IR of all its
//! kernels, and code that was generated ahead of time.
//!
//! A bundle is a [`Header`] ([`Header::SIZE`] bytes), the [`Manifest`] in `postcard` form, the
//! modules one after the other (LLVM bitcode with the closure of some kernels each, compressed as raw
//! deflate), and the prebuilt code images one after the other.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::protocol::{Source, TargetSpec};
use crate::record::ArgumentLayout;

/// Section that carries bundle and cells in an executable or shared library.
pub const SECTION: &str = ".legionella";

/// First bytes of a bundle.
pub const MAGIC: [u8; 8] = *b"LGNELLA\x01";

/// Fixed-size start of a bundle. All integers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`crate::VERSION`] of the linker step that wrote it.
    pub version: u32,
    /// Length of the manifest in bytes.
    pub manifest_len: u64,
    /// Length of all compressed modules together in bytes.
    pub modules_len: u64,
}

impl Header {
    /// Size of an encoded header in bytes.
    pub const SIZE: usize = 8 + 8 + 8 + 8;

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.manifest_len.to_le_bytes());
        bytes[24..].copy_from_slice(&self.modules_len.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if these bytes don't start a bundle.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::SIZE)?;
        let word = |at: usize| Some(u64::from_le_bytes(*bytes[at..].first_chunk::<8>()?));
        if bytes[..8] != MAGIC {
            return None;
        }
        Some(Header {
            version: u32::from_le_bytes(*bytes[8..].first_chunk::<4>()?),
            manifest_len: word(16)?,
            modules_len: word(24)?,
        })
    }
}

/// The compiler that built the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// First line of `rustc --version`.
    pub rustc: String,
    /// Path of its sysroot, which holds the `libLLVM` that reads the bundle's bitcode.
    pub sysroot: String,
    /// Target triple of the image.
    pub triple: String,
}

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The compiler that built the image.
    pub toolchain: Toolchain,
    /// Path of the driver that the linker step used.
    pub driver: String,
    /// All kernels of the image, in the order that [`crate::record::Cell::kernel`] counts.
    pub kernels: Vec<Kernel>,
    /// The modules that these are in.
    pub modules: Vec<Module>,
    /// Code generated ahead of time.
    pub prebuilt: Vec<Prebuilt>,
}

/// One kernel of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Symbol of the entry shim in the module.
    pub entry: String,
    /// Index into [`Manifest::modules`].
    pub module: u32,
    /// Demangled path of the kernel function.
    pub name: String,
    /// Where the kernel function is defined, if the image was built with line information.
    pub source: Option<Source>,
    /// Size of the argument block in bytes.
    pub block_size: u32,
    /// Alignment of the argument block in bytes.
    pub block_align: u32,
    /// Layout of each argument in the block.
    pub arguments: Vec<ArgumentLayout>,
    /// Number of LLVM instructions in the kernel's closure.
    pub instructions: u64,
}

/// Bitcode with all that some kernels reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Where the compressed module starts, counted from the first byte of the bundle's modules.
    pub offset: u64,
    /// Length of the compressed module in bytes.
    pub len: u64,
    /// Length of its bitcode in bytes.
    pub bitcode_len: u64,
    /// BLAKE3 hash of its bitcode: what generated code depends on.
    pub hash: [u8; 32],
}

/// Code of one kernel for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prebuilt {
    /// Index into [`Manifest::kernels`].
    pub kernel: u32,
    /// What the code was generated for.
    pub target: TargetSpec,
    /// Machine features that must be present to run it, in LLVM's names.
    pub requires: Vec<String>,
    /// Where the code starts, counted from the first prebuilt byte of the bundle.
    pub offset: u64,
    /// Length of the code in bytes.
    pub len: u64,
}

/// A bundle, taken apart without copying or decompressing.
#[derive(Clone, Debug)]
pub struct Bundle<'data> {
    /// The fixed-size start.
    pub header: Header,
    /// What it holds.
    pub manifest: Manifest,
    modules: &'data [u8],
    prebuilt: &'data [u8],
}

/// Why bytes could not be read as a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They do not start with [`MAGIC`] or are too short.
    NotABundle,
    /// They were written by a linker step with another [`crate::VERSION`].
    Version(u32),
    /// The manifest cannot be read.
    Manifest(crate::frame::Malformed),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Malformed::NotABundle => write!(f, "not a Legionella bundle"),
            Malformed::Version(found) => write!(
                f,
                "bundle has format {found}, this program reads {}: rebuild it with the \
                 cargo-legionella of the same release as the `legionella` crate",
                crate::VERSION
            ),
            Malformed::Manifest(error) => write!(f, "bundle manifest: {error}"),
        }
    }
}

impl core::error::Error for Malformed {}

impl<'data> Bundle<'data> {
    /// Takes a bundle apart.
    ///
    /// # Errors
    /// If the bytes are not a whole bundle of this version.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, Malformed> {
        let header = Header::decode(bytes).ok_or(Malformed::NotABundle)?;
        if header.version != crate::VERSION {
            return Err(Malformed::Version(header.version));
        }
        let rest = &bytes[Header::SIZE..];
        let split = |bytes: &'data [u8], len: u64| {
            let len = usize::try_from(len).map_err(|_| Malformed::NotABundle)?;
            bytes.split_at_checked(len).ok_or(Malformed::NotABundle)
        };
        let (manifest, rest) = split(rest, header.manifest_len)?;
        let (modules, prebuilt) = split(rest, header.modules_len)?;
        let manifest = crate::frame::decode(manifest).map_err(Malformed::Manifest)?;
        Ok(Bundle {
            header,
            manifest,
            modules,
            prebuilt,
        })
    }

    /// The module that a kernel of [`Manifest::kernels`] is in, and its compressed bitcode; `None` if the
    /// bundle is damaged.
    pub fn module(&self, kernel: &Kernel) -> Option<(&Module, &'data [u8])> {
        let module = self.manifest.modules.get(kernel.module as usize)?;
        Some((module, part(self.modules, module.offset, module.len)?))
    }

    /// The code of an entry of [`Manifest::prebuilt`]; `None` if the bundle is cut short.
    pub fn code(&self, entry: &Prebuilt) -> Option<&'data [u8]> {
        part(self.prebuilt, entry.offset, entry.len)
    }
}

/// A part of some bytes; `None` if they have none such.
fn part(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let len = usize::try_from(len).ok()?;
    bytes.get(start..start.checked_add(len)?)
}
