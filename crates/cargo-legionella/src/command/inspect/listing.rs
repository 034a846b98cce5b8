//! What a bundle says of its kernels, as text for people and as JSON.

use std::fmt;
use std::path::Path;

use legionella_abi::bundle::{Bundle, Kernel};
use legionella_abi::protocol::TargetSpec;
use legionella_driver::inspect;
use serde::Serialize;

/// The listing of a file.
#[derive(Serialize)]
pub(super) struct Listing {
    file: String,
    rustc: String,
    sysroot: String,
    triple: String,
    driver: String,
    bitcode_bytes: u64,
    compressed_bytes: u64,
    kernels: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    index: usize,
    name: String,
    source: Option<String>,
    block_size: u32,
    block_align: u32,
    arguments: Vec<Argument>,
    ir_instructions: u64,
    prebuilt: Vec<Prebuilt>,
    entry_symbol: String,
}

#[derive(Serialize)]
struct Argument {
    /// As the kernel declares it, if the image's symbols tell.
    #[serde(rename = "type")]
    ty: Option<String>,
    offset: u32,
    size: u32,
    align: u32,
}

#[derive(Serialize)]
struct Prebuilt {
    target: String,
    requires: Vec<String>,
    bytes: u64,
}

impl Listing {
    /// The listing of some of a bundle's kernels.
    pub fn of(file: &Path, bundle: &Bundle<'_>, kernels: &[usize]) -> Self {
        let manifest = &bundle.manifest;
        let entry = |&index: &usize| Entry::of(bundle, index, &manifest.kernels[index]);
        Listing {
            file: file.display().to_string(),
            rustc: manifest.toolchain.rustc.clone(),
            sysroot: manifest.toolchain.sysroot.clone(),
            triple: manifest.toolchain.triple.clone(),
            driver: manifest.driver.clone(),
            bitcode_bytes: manifest
                .modules
                .iter()
                .map(|module| module.bitcode_len)
                .sum(),
            compressed_bytes: bundle.header.modules_len,
            kernels: kernels.iter().map(entry).collect(),
        }
    }
}

impl Entry {
    fn of(bundle: &Bundle<'_>, index: usize, kernel: &Kernel) -> Self {
        let types = inspect::parameters(&kernel.entry)
            .filter(|types| types.len() == kernel.arguments.len());
        let argument = |(at, layout): (usize, &legionella_abi::record::ArgumentLayout)| Argument {
            ty: types.as_ref().map(|types| types[at].clone()),
            offset: layout.offset,
            size: layout.size,
            align: layout.align,
        };
        let prebuilt = bundle.manifest.prebuilt.iter();
        Entry {
            index,
            name: kernel.name.clone(),
            source: kernel.source.as_ref().map(ToString::to_string),
            block_size: kernel.block_size,
            block_align: kernel.block_align,
            arguments: kernel.arguments.iter().enumerate().map(argument).collect(),
            ir_instructions: kernel.instructions,
            prebuilt: prebuilt
                .filter(|entry| entry.kernel as usize == index)
                .map(|entry| Prebuilt {
                    target: target_name(&entry.target),
                    requires: entry.requires.clone(),
                    bytes: entry.len,
                })
                .collect(),
            entry_symbol: kernel.entry.clone(),
        }
    }
}

/// A target as people write it.
pub(super) fn target_name(target: &TargetSpec) -> String {
    match target.cpu.as_str() {
        "" => target.kind.clone(),
        cpu => format!("{}:{cpu}", target.kind),
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.file)?;
        writeln!(f, "  built by    {} for {}", self.rustc, self.triple)?;
        writeln!(f, "  driver      {}", self.driver)?;
        writeln!(
            f,
            "  device IR   {}, {} in the file",
            size(self.bitcode_bytes),
            size(self.compressed_bytes)
        )?;
        for kernel in &self.kernels {
            write!(f, "\n{kernel}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {}: {}", self.index, self.name)?;
        writeln!(
            f,
            "  source      {}",
            self.source.as_deref().unwrap_or("not known")
        )?;
        writeln!(
            f,
            "  arguments   {} in a block of {} bytes, aligned to {}",
            self.arguments.len(),
            self.block_size,
            self.block_align
        )?;
        let name = |argument: &Argument| argument.ty.clone().unwrap_or_else(|| "?".to_owned());
        let widest = self
            .arguments
            .iter()
            .map(|argument| name(argument).chars().count())
            .max();
        let width = widest.unwrap_or_default().min(40);
        for argument in &self.arguments {
            writeln!(
                f,
                "    {:width$}  offset {:3}  size {:3}  align {:2}",
                name(argument),
                argument.offset,
                argument.size,
                argument.align
            )?;
        }
        writeln!(f, "  IR          {} instructions", self.ir_instructions)?;
        for prebuilt in &self.prebuilt {
            writeln!(
                f,
                "  prebuilt    {}, {}",
                prebuilt.target,
                size(prebuilt.bytes)
            )?;
        }
        Ok(())
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}
