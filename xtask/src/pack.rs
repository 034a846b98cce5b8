//! `cargo xtask pack`: the conformance suite and the benchmarks for a machine without Rust.
//!
//! Takes a folder to make; puts in the programs, the driver, the LLVM that it opens and the linker that it starts for
//! the CPU's code, where they find each other, the programs once more with code that is generated here, and a script that runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::tools::{Tools, succeed};

const SCRIPT: &str = include_str!("pack/run.sh");

/// As the driver looks for it beside itself.
const LINKER: &str = "rust-lld";

/// The programs, and the packages that they are in.
const PROGRAMS: [&str; 3] = ["conformance", "cuda-benches", "benches"];
const PACKAGES: [&str; 2] = ["conformance", "benches"];

/// Makes the folder, with code of all kernels for the targets in `prebuild` in a second set of programs.
pub fn run(tools: &Tools, folder: &Path, prebuild: Option<&str>) -> anyhow::Result<()> {
    ensure!(!folder.exists(), "{} is there already", folder.display());
    programs(tools, &folder.join("bin"), None)?;
    copy(&tools.driver(), &folder.join("bin"))?;
    let sysroot = sysroot()?;
    copy(&linker(&sysroot)?, &folder.join("bin"))?;
    if let Some(targets) = prebuild {
        programs(tools, &folder.join("prebuilt"), Some(targets))?;
    }
    copy(&llvm(&sysroot)?, &folder.join("lib"))?;
    for peer in fs::read_dir(tools.root().join("benches/src/cuda"))? {
        let peer = peer?.path();
        if matches!(
            peer.extension().and_then(|name| name.to_str()),
            Some("cu" | "h")
        ) {
            copy(&peer, &folder.join("peers"))?;
        }
    }
    let script = folder.join("run.sh");
    fs::write(&script, SCRIPT)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    println!("run {} on the other machine", script.display());
    Ok(())
}

/// Builds the programs and puts them into a folder, without what only debuggers need.
fn programs(tools: &Tools, folder: &Path, prebuild: Option<&str>) -> anyhow::Result<()> {
    for package in PACKAGES {
        let mut build = tools.build_of(package);
        build.args(prebuild.iter().flat_map(|targets| ["--prebuild", targets]));
        succeed(&mut build)?;
    }
    for name in PROGRAMS {
        copy(&tools.wrapped(name), folder)?;
        succeed(Command::new("strip").arg(folder.join(name)))?;
    }
    Ok(())
}

fn copy(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::copy(file, folder.join(name)).with_context(|| file.display().to_string())?;
    Ok(())
}

/// Where the toolchain is.
fn sysroot() -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = String::from_utf8(output.stdout)?;
    Ok(PathBuf::from(sysroot.trim_end()))
}

/// The toolchain's `rust-lld`.
fn linker(sysroot: &Path) -> anyhow::Result<PathBuf> {
    let triples = fs::read_dir(sysroot.join("lib/rustlib"))?;
    let mut linkers =
        triples.filter_map(|triple| Some(triple.ok()?.path().join("bin").join(LINKER)));
    let linker = linkers.find(|path| path.is_file());
    linker.with_context(|| format!("no {LINKER} in the toolchain"))
}

/// The toolchain's `libLLVM`: the largest of the files of that name.
fn llvm(sysroot: &Path) -> anyhow::Result<PathBuf> {
    let files = fs::read_dir(sysroot.join("lib"))?;
    let libraries = files.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().to_string_lossy().into_owned();
        let size = file.metadata().ok()?.len();
        (name.starts_with("libLLVM") && name.contains(".so")).then_some((size, file.path()))
    });
    let largest = libraries.max().context("no libLLVM in the toolchain")?;
    Ok(largest.1)
}
