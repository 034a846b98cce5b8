//! The closure of an image's kernels in the form that the bundle carries, kept between links.
//!
//! Most links of an image during development change nothing that a kernel reaches. The closure is
//! therefore kept in a file with a [`Trace`] of what its extraction looked at, and taken from there
//! as long as all of that is the same; LLVM is not needed then. Where a kernel has changed, what it
//! reaches of other crates mostly has not: that is kept beside, as the closure's [`Foundation`].

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::kept::{self, Key};
use super::{Plan, load_llvm, parts};
use crate::error::Error;
use crate::extract::{self, Closure, Entry, Foundation, Library, Others, Trace};
use crate::parallel;

/// How hard the module is compressed. Bitcode is not made of bytes: higher levels take several times
/// as long and save a tenth.
const COMPRESSION: u32 = 1;

/// The modules of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Packed {
    /// What is known of each entry, in the plan's order.
    pub(super) entries: Vec<Entry>,
    /// The modules. Each has some kernels with all that they reach.
    pub(super) parts: Vec<Part>,
}

/// A module of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// The kernels that it has, by their places in the plan.
    kernels: Vec<usize>,
    /// The bitcode as raw deflate.
    pub(super) compressed: Vec<u8>,
    /// Length of the bitcode in bytes.
    pub(super) bitcode_len: u64,
    /// BLAKE3 hash of the bitcode.
    pub(super) hash: [u8; 32],
}

/// A foundation with what it depends on.
#[derive(Serialize, Deserialize)]
struct Ground {
    /// When the other crates' bitcode was written. As long as that is the same, so is the bitcode.
    stamps: [u8; 32],
    trace: Trace,
    foundation: Foundation,
}

/// The module of an image: the one that is kept if that still holds, or else a new one.
pub(super) fn module(plan: &Plan) -> Result<Packed, Error> {
    let (own, others) = plan.stores.split_at(1.min(plan.stores.len()));
    let own = Library::open(own, &[])?;
    let mut others = Others::new(others, &plan.sysroot_archives);
    // Who asks for the IR wants it written, so the extraction done.
    let kept = plan.kept.as_deref();
    let kept = kept.filter(|_| std::env::var_os("LEGIONELLA_DUMP").is_none());
    let beside = kept.map(|file| file.with_extension("foundation"));
    let compiler = Key::of_compiler(plan);
    // Before any of it is read: what is written meanwhile is then seen the next time.
    let stamps = kept::stamps(plan);
    let foundation = match &beside {
        Some(file) => foundation(file, &compiler, stamps, &mut others)?,
        None => None,
    };
    let before = foundation.as_ref().map(Foundation::digest);
    let key = key_of(&compiler, plan, before);
    let found = kept.and_then(|file| kept::read::<(Trace, Packed)>(file, &key));
    if let Some((_, module)) = found.filter(|(trace, _)| trace.holds(&own)) {
        return Ok(module);
    }

    let llvm = std::thread::scope(|scope| {
        let llvm = scope.spawn(|| load_llvm(plan));
        // Reading all symbols takes as long as loading LLVM.
        let opened = match foundation {
            Some(_) => Ok(()),
            None => others.open().map(drop),
        };
        let llvm = llvm.join();
        let llvm = llvm.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        opened.and(llvm)
    })?;
    let entries: Vec<&str> = plan.records.iter().map(|record| &*record.entry).collect();
    let blocks: Vec<u32> = plan
        .records
        .iter()
        .map(|record| record.block_size)
        .collect();
    let (closure, foundation) =
        extract::closure_of(llvm, &entries, &blocks, &own, &mut others, foundation)?;
    let module = Packed::pack(closure, &entries)?;
    if let (Some(closure), Some(beside)) = (kept, beside) {
        let digest = Some(foundation.digest());
        let key = key_of(&compiler, plan, digest);
        kept::write(closure, &key, &(Trace::of(&own)?, &module));
        if before != digest {
            let ground = Ground {
                stamps,
                trace: Trace::of(others.open()?)?,
                foundation,
            };
            kept::write(&beside, &compiler, &ground);
        }
    }
    Ok(module)
}

/// The foundation that is kept in a file, if it still holds.
fn foundation(
    file: &Path,
    compiler: &Key,
    stamps: [u8; 32],
    others: &mut Others<'_>,
) -> Result<Option<Foundation>, Error> {
    let Some(mut ground) = kept::read::<Ground>(file, compiler) else {
        return Ok(None);
    };
    if ground.stamps != stamps {
        // Something was written anew. It need not be anything that a kernel reaches.
        if !ground.trace.holds(others.open()?) {
            return Ok(None);
        }
        ground.stamps = stamps;
        kept::write(file, compiler, &ground);
    }
    Ok(Some(ground.foundation))
}

/// What a closure depends on beside the bitcode of the program's own crate. `foundation` is the digest
/// of the one that it stands on.
fn key_of(compiler: &Key, plan: &Plan, foundation: Option<[u8; 32]>) -> Key {
    let mut key = compiler.clone();
    for record in &plan.records {
        key.add(record.entry.as_bytes());
        key.add(&record.block_size.to_le_bytes());
    }
    key.add(foundation.as_ref().map_or(&[], <[u8; 32]>::as_slice));
    key
}

impl Packed {
    fn pack(closure: Closure, entries: &[&str]) -> Result<Self, Error> {
        let modules = parts::modules(closure.bitcode, entries, &closure.parts)?;
        let jobs: Vec<_> = closure.parts.into_iter().zip(modules).collect();
        let parts = parallel::map(&jobs, |(kernels, bitcode)| Part::pack(kernels, bitcode));
        Ok(Packed {
            entries: closure.entries,
            parts: parts.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// Which part has a kernel.
    pub(super) fn part_of(&self, kernel: usize) -> usize {
        let found = (self.parts.iter()).position(|part| part.kernels.contains(&kernel));
        let Some(found) = found else {
            unreachable!("extraction gives every kernel a part");
        };
        found
    }
}

impl Part {
    fn pack(kernels: &[usize], bitcode: &[u8]) -> Result<Self, Error> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(COMPRESSION));
        encoder.write_all(bitcode).map_err(failed)?;
        Ok(Part {
            kernels: kernels.to_vec(),
            compressed: encoder.finish().map_err(failed)?,
            bitcode_len: bitcode.len() as u64,
            hash: *blake3::hash(bitcode).as_bytes(),
        })
    }

    /// Length in bytes of what the bundle has of it.
    pub(super) fn len(&self) -> u64 {
        self.compressed.len() as u64
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
