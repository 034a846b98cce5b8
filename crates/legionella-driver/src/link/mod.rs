//! Assembly of the bundle that the linker step embeds into an image.
//!
//! Takes what the linker step found in the object files, a [`Plan`]; gives the bytes of a
//! [`legionella_abi::bundle`]: the closure of all kernels, what is known of each of them, and the
//! code that was asked for ahead of time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use legionella_abi::bundle::{Header, Kernel, Manifest, Prebuilt, Toolchain};
use legionella_abi::frame;
use legionella_abi::protocol::{Diagnostic, MathsLibrary, Options, TargetSpec};
use legionella_abi::record::ArgumentLayout;

use crate::error::Error;
use crate::extract;
use crate::generate::{Failure, generate};
use crate::llvm::{self, Llvm};
use crate::parallel;
use crate::target::Toolbox;

mod kept;
mod packed;

pub use crate::extract::kernel_name;

use packed::Packed;

/// A kernel that launch sites of an image ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Symbol of the entry shim.
    pub entry: String,
    /// Size of the argument block in bytes.
    pub block_size: u32,
    /// Alignment of the argument block in bytes.
    pub block_align: u32,
    /// Layout of each argument in the block.
    pub arguments: Vec<ArgumentLayout>,
}

/// What a bundle is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kernels, each once, in the order that cells count.
    pub records: Vec<Record>,
    /// Bitcode stores of all crates of the image.
    pub stores: Vec<PathBuf>,
    /// Archives of the toolchain's own crates.
    pub sysroot_archives: Vec<PathBuf>,
    /// The compiler that builds the image.
    pub toolchain: Toolchain,
    /// Path of the driver, for the application to find.
    pub driver: String,
    /// What to generate code for ahead of time.
    pub prebuild: Vec<TargetSpec>,
    /// Libraries of mathematical functions for that, by the names of targets.
    pub maths: BTreeMap<String, MathsLibrary>,
    /// File in which the closure is kept for the next link of the image, which often has the same.
    /// What the closure has of other crates is kept beside it, with the extension `foundation`.
    pub kept: Option<PathBuf>,
}

/// What became of a [`Plan`].
#[derive(Clone, Debug)]
pub struct Linked {
    /// The bundle.
    pub bytes: Vec<u8>,
    /// Code that was to be generated ahead of time and can't be.
    pub refused: Vec<Refused>,
}

/// A kernel that a target can't run, which is a matter for the launch that asks for it, if any does.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Path of the kernel.
    pub kernel: String,
    /// The target.
    pub target: TargetSpec,
    /// Why: all reasons.
    pub problems: Vec<Diagnostic>,
}

/// Makes the bundle of an image. LLVM is needed if a closure has to be extracted or code to be
/// generated.
///
/// # Errors
/// If there is no LLVM, if a kernel's bitcode is missing or cannot be read, or code generation itself fails.
pub fn bundle(plan: &Plan) -> Result<Linked, Error> {
    let module = packed::module(plan)?;
    let ahead = prebuild(plan, &module)?;
    let manifest = Manifest {
        toolchain: plan.toolchain.clone(),
        driver: plan.driver.clone(),
        kernels: kernels(plan, &module),
        prebuilt: ahead.prebuilt,
    };
    Ok(Linked {
        bytes: encode(&manifest, &module, &ahead.code),
        refused: ahead.refused,
    })
}

/// Loads the LLVM of the toolchain that builds the image.
fn load_llvm(plan: &Plan) -> Result<&'static Llvm, Error> {
    llvm::load(&llvm::find(Some(Path::new(&plan.toolchain.sysroot)))?)
}

/// Code that was generated ahead of time.
#[derive(Default)]
struct Ahead {
    prebuilt: Vec<Prebuilt>,
    code: Vec<u8>,
    refused: Vec<Refused>,
}

/// Generates code of all kernels for all targets of the plan, on all processors.
fn prebuild(plan: &Plan, module: &Packed) -> Result<Ahead, Error> {
    if plan.prebuild.is_empty() {
        return Ok(Ahead::default());
    }
    load_llvm(plan)?;
    let bitcode = module.bitcode()?;
    let toolbox = Toolbox {
        sysroot: Some(PathBuf::from(&plan.toolchain.sysroot)),
        ..Toolbox::default()
    };
    let kernels = 0..plan.records.len();
    let jobs: Vec<(usize, &TargetSpec)> = kernels
        .flat_map(|kernel| plan.prebuild.iter().map(move |target| (kernel, target)))
        .collect();
    let results = parallel::map(&jobs, |&(kernel, target)| {
        let entry = &plan.records[kernel].entry;
        let options = Options {
            maths: plan.maths.get(&target.kind).cloned(),
            ..Options::default()
        };
        generate(&bitcode, entry, target, &options, &toolbox)
    });

    let mut ahead = Ahead::default();
    for ((kernel, target), result) in jobs.into_iter().zip(results) {
        match result {
            Ok(generated) => {
                ahead.prebuilt.push(Prebuilt {
                    kernel: kernel as u32,
                    target: target.clone(),
                    requires: generated.requires,
                    offset: ahead.code.len() as u64,
                    len: generated.bytes.len() as u64,
                });
                ahead.code.extend(generated.bytes);
            }
            Err(Failure::Refused(problems)) => ahead.refused.push(Refused {
                kernel: module.entries[kernel].kernel.clone(),
                target: target.clone(),
                problems,
            }),
            Err(Failure::Error(error)) => return Err(error),
        }
    }
    Ok(ahead)
}

fn kernels(plan: &Plan, module: &Packed) -> Vec<Kernel> {
    let described = plan.records.iter().zip(&module.entries);
    let kernel = |(record, entry): (&Record, &extract::Entry)| Kernel {
        entry: record.entry.clone(),
        name: entry.kernel.clone(),
        source: entry.source.clone(),
        block_size: record.block_size,
        block_align: record.block_align,
        arguments: record.arguments.clone(),
        instructions: entry.instructions,
    };
    described.map(kernel).collect()
}

/// Puts the parts of a bundle together. `code` is all prebuilt code, as the manifest counts it.
fn encode(manifest: &Manifest, module: &Packed, code: &[u8]) -> Vec<u8> {
    let frame = frame::encode(manifest);
    let manifest = frame.get(frame::HEADER..).unwrap_or_default();
    let header = Header {
        version: legionella_abi::VERSION,
        manifest_len: manifest.len() as u64,
        module_len: module.compressed.len() as u64,
        bitcode_len: module.bitcode_len,
        module_hash: module.hash,
    };
    [&header.encode()[..], manifest, &module.compressed, code].concat()
}
