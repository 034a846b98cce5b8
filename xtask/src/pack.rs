//! `cargo xtask pack`: the conformance suite and the benchmarks for a machine without Rust.
//!
//! Takes a folder to make; puts in the programs, the driver and the LLVM that it opens, where they
//! find each other, and a script that runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::tools::{Tools, succeed};

const SCRIPT: &str = include_str!("pack/run.sh");

/// Makes the folder, with code of all kernels for the targets in `prebuild` in the programs.
pub fn run(tools: &Tools, folder: &Path, prebuild: Option<&str>) -> anyhow::Result<()> {
    ensure!(!folder.exists(), "{} is there already", folder.display());
    let (programs, library) = (folder.join("bin"), folder.join("lib"));
    for new in [&programs, &library] {
        fs::create_dir_all(new).with_context(|| new.display().to_string())?;
    }
    for package in ["conformance", "benches", "examples"] {
        let mut build = tools.legionella("build");
        build.args(["--release", "--package", package]);
        build.args(prebuild.iter().flat_map(|targets| ["--prebuild", targets]));
        succeed(&mut build)?;
    }
    for name in ["conformance", "cuda-benches", "accelerators"] {
        copy(&tools.wrapped(name), &programs)?;
    }
    copy(&tools.driver(), &programs)?;
    copy(&llvm()?, &library)?;
    for peers in ["peer.h", "peer.cu", "peer_blocks.cu", "peer_matrices.cu"] {
        copy(
            &tools.root().join("benches/src/cuda").join(peers),
            &programs,
        )?;
    }
    let script = programs.join("run.sh");
    fs::write(&script, SCRIPT)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    println!("run {} on the other machine", script.display());
    Ok(())
}

fn copy(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, folder.join(name)).with_context(|| file.display().to_string())?;
    Ok(())
}

/// The toolchain's `libLLVM`: the largest of the files of that name.
fn llvm() -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = String::from_utf8(output.stdout)?;
    let files = fs::read_dir(Path::new(sysroot.trim_end()).join("lib"))?;
    let libraries = files.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().to_string_lossy().into_owned();
        let size = file.metadata().ok()?.len();
        (name.starts_with("libLLVM") && name.contains(".so")).then_some((size, file.path()))
    });
    let largest = libraries.max().context("no libLLVM in the toolchain")?;
    Ok(largest.1)
}
