//! The closure of an image's kernels in the form that the bundle carries, kept between links.
//!
//! Most links of an image during development change nothing that a kernel reaches. The closure is
//! therefore kept in a file with a [`Trace`] of what its extraction looked at, and taken from there
//! as long as all of that is the same; LLVM is not needed then.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::{Plan, load_llvm};
use crate::bitcode;
use crate::error::Error;
use crate::extract::{self, Closure, Entry, Library, Trace};

/// How hard the module is compressed. Bitcode is not made of bytes: higher levels take several times
/// as long and save a tenth.
const COMPRESSION: u32 = 1;

/// The module of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Packed {
    /// What is known of each entry, in the plan's order.
    pub(super) entries: Vec<Entry>,
    /// The bitcode as raw deflate.
    pub(super) compressed: Vec<u8>,
    /// Length of the bitcode in bytes.
    pub(super) bitcode_len: u64,
    /// BLAKE3 hash of the bitcode.
    pub(super) hash: [u8; 32],
}

/// A module with what it depends on.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: [u8; 32],
    trace: Trace,
    module: Packed,
}

/// The module of an image: the one that is kept if that still holds, or else a new one.
pub(super) fn module(plan: &Plan) -> Result<Packed, Error> {
    // A changed program mostly has changed kernels and needs LLVM, which takes as long to load as
    // all symbols take to read. Where it does not, nothing waits for LLVM but the end of this scope.
    let (library, llvm) = std::thread::scope(|scope| {
        let llvm = scope.spawn(|| load_llvm(plan));
        (
            Library::open(&plan.stores, &plan.sysroot_archives),
            llvm.join(),
        )
    });
    let library = library?;
    let key = key(plan);
    // Who asks for the IR wants it written, so the extraction done.
    let kept = plan
        .kept
        .as_deref()
        .filter(|_| std::env::var_os("LEGIONELLA_DUMP").is_none());
    if let Some(module) = kept.and_then(|file| read(file, key, &library)) {
        return Ok(module);
    }
    let entries: Vec<&str> = plan.records.iter().map(|record| &*record.entry).collect();
    let llvm = llvm.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let closure = extract::closure_of(llvm, &entries, &library)?;
    let module = Packed::pack(closure)?;
    if let Some(file) = kept {
        let trace = Trace::of(&library)?;
        let kept = Kept { key, trace, module };
        write(file, &kept);
        return Ok(kept.module);
    }
    Ok(module)
}

/// What the closure depends on beside bitcode: the kernels, the compiler and this program.
fn key(plan: &Plan) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for record in &plan.records {
        add(record.entry.as_bytes());
    }
    add(plan.toolchain.rustc.as_bytes());
    add(plan.toolchain.sysroot.as_bytes());
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(&legionella_abi::VERSION.to_le_bytes());
    let program = std::env::current_exe().and_then(fs::metadata);
    if let Ok(program) = program {
        add(&program.len().to_le_bytes());
        let changed = program.modified().ok();
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        add(&changed.unwrap_or_default().as_nanos().to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// What is kept in a file. One that is missing, damaged or from another version is no use.
fn read(file: &Path, key: [u8; 32], library: &Library) -> Option<Packed> {
    let bytes = fs::read(file).ok()?;
    let (hash, bytes) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(bytes) != *hash {
        return None;
    }
    let kept: Kept = postcard::from_bytes(bytes).ok()?;
    (kept.key == key && kept.trace.holds(library)).then_some(kept.module)
}

/// Keeps a module. The next link is slower if that fails, and nothing else.
fn write(file: &Path, kept: &Kept) {
    let written = postcard::to_allocvec(kept)
        .map_err(std::io::Error::other)
        .and_then(|bytes| {
            let hash = blake3::hash(&bytes);
            bitcode::replace(file, &[hash.as_bytes(), &bytes[..]].concat())
        });
    if let Err(error) = written {
        tracing::debug!(file = %file.display(), %error, "closure is not kept");
    }
}

impl Packed {
    fn pack(closure: Closure) -> Result<Self, Error> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(COMPRESSION));
        encoder.write_all(&closure.bitcode).map_err(failed)?;
        Ok(Packed {
            entries: closure.entries,
            compressed: encoder.finish().map_err(failed)?,
            bitcode_len: closure.bitcode.len() as u64,
            hash: *blake3::hash(&closure.bitcode).as_bytes(),
        })
    }

    /// The bitcode.
    pub(super) fn bitcode(&self) -> Result<Vec<u8>, Error> {
        let mut bitcode = Vec::new();
        let mut decoder = DeflateDecoder::new(&self.compressed[..]);
        decoder.read_to_end(&mut bitcode).map_err(failed)?;
        Ok(bitcode)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Internal {
        stage: "compression",
        reason: error.to_string(),
    }
}
