//! The bundle of an image, by way of the driver's library.
//!
//! Takes the image's kernels and where bitcode lies; gives the bundle's bytes. Nothing before this
//! point needs LLVM, and the driver's library needs it only if the kernels' code has changed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use legionella::code::maths;
use legionella_abi::bundle::Toolchain;
use legionella_abi::protocol::TargetSpec;
use legionella_driver::bitcode::Index;
use legionella_driver::link::{self, Linked};

use super::PREBUILD;
use super::plan::Plan;
use super::records::Kernel;

/// The bundle of `kernels`, whose code is in `stores` and in the toolchain's own crates.
pub(super) fn make(
    plan: &Plan,
    kernels: &[Kernel],
    stores: Vec<PathBuf>,
    sysroot: &Path,
) -> anyhow::Result<Linked> {
    for store in &stores {
        keep_index(store);
    }
    let toolchain = toolchain(plan, sysroot)?;
    let libraries = sysroot
        .join("lib/rustlib")
        .join(&toolchain.triple)
        .join("lib");
    let records = kernels.iter().map(|kernel| link::Record {
        // All entries of a kernel have the same code.
        entry: kernel.entries.first().cloned().unwrap_or_default(),
        block_size: kernel.block.size,
        block_align: kernel.block.align,
        arguments: kernel.block.arguments.clone(),
    });
    // Beside the image's own store, which is replaced as a whole.
    let kept = stores.first().map(|own| own.with_extension("closure"));
    let plan = link::Plan {
        records: records.collect(),
        stores,
        kept,
        sysroot_archives: archives_in(&libraries)?,
        toolchain,
        driver: driver()?,
        prebuild: targets(env::var(PREBUILD).ok().as_deref().unwrap_or_default())?,
        maths: maths::libraries(env::var_os)?,
    };
    Ok(link::bundle(&plan)?)
}

/// Writes the index of a store, for this link and later ones.
fn keep_index(store: &Path) {
    if store.join(Index::FILE).exists() {
        return;
    }
    let kept = Index::scan(store).and_then(|index| index.write(store));
    if let Err(error) = kept {
        // Without an index the store itself is read, and what is wrong with it reported.
        tracing::warn!(%error, store = %store.display(), "no index");
    }
}

fn toolchain(plan: &Plan, sysroot: &Path) -> anyhow::Result<Toolchain> {
    let version = plan.compiler_version()?;
    let mut lines = version.lines();
    let rustc = lines.next().unwrap_or_default().to_owned();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    let Some(triple) = plan.target.as_deref().or(host) else {
        bail!("the compiler names no host: {version}");
    };
    Ok(Toolchain {
        rustc,
        sysroot: text(sysroot)?,
        triple: triple.to_owned(),
    })
}

fn archives_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("reading the toolchain's libraries in {}", folder.display());
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension() == Some(OsStr::new("rlib")) {
            archives.push(path);
        }
    }
    archives.sort();
    Ok(archives)
}

/// The driver is installed beside this program.
fn driver() -> anyhow::Result<String> {
    let program = env::current_exe().context("finding this program")?;
    let name = format!("legionella-driver{}", env::consts::EXE_SUFFIX);
    text(&program.with_file_name(name))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("the path {} is not valid Unicode", path.display()))
}

/// Reads `TARGET[:CPU],…`.
pub(crate) fn targets(list: &str) -> anyhow::Result<Vec<TargetSpec>> {
    let named = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    named
        .map(|name| {
            let (kind, cpu) = name.split_once(':').unwrap_or((name, ""));
            if kind.is_empty() {
                bail!("`{name}` in {PREBUILD} names no target; it is a list of TARGET[:CPU]");
            }
            Ok(TargetSpec {
                kind: kind.to_owned(),
                cpu: cpu.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_targets() {
        let target = |kind: &str, cpu: &str| TargetSpec {
            kind: kind.to_owned(),
            cpu: cpu.to_owned(),
        };
        assert_eq!(targets("").unwrap(), []);
        let expected = [target("cpu", ""), target("amdgpu", "gfx942")];
        assert_eq!(targets("cpu, amdgpu:gfx942").unwrap(), expected);
        assert!(targets(":x").is_err());
    }
}
