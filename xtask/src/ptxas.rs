//! `cargo xtask ptxas`: whether NVIDIA's assembler takes the code of every kernel, for several
//! architectures. Needs no GPU: `ptxas` is in the package `nvidia-cuda-nvcc` of PyPI.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::kernels::Check;
use crate::tools::Tools;

/// Architectures that this `ptxas` and the driver both know; of the first, what panics is checked as
/// well.
pub const ARCHITECTURES: [&str; 4] = ["sm_90", "sm_75", "sm_80", "sm_120"];

/// Variable with the assembler's path, for where it is not on `PATH`.
const VARIABLE: &str = "PTXAS";

/// How to get the assembler.
pub const ADVICE: &str =
    "no ptxas found: `pip install nvidia-cuda-nvcc`, and put its ptxas on PATH or name it in PTXAS";

/// The assembler, if it is installed: where `PTXAS` says, or on `PATH`.
pub fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut on_path = env::split_paths(&path).map(|folder| folder.join("ptxas"));
    on_path.find(|file| file.is_file())
}

/// Checks every kernel whose name contains `filter`.
pub fn run(tools: &Tools, filter: &str, architectures: &[String]) -> anyhow::Result<()> {
    let Some(assembler) = find() else {
        bail!(ADVICE);
    };
    let folder = tempfile::tempdir()?;
    // What panics is much code, and the same for all.
    let first = architectures.first();
    let look = |code: &[u8], architecture: &str, worker: usize| {
        let file = folder.path().join(format!("{worker}.ptx"));
        let texts = if first.is_some_and(|first| first == architecture) {
            usize::MAX
        } else {
            1
        };
        for text in code.split(|&byte| byte == 0).take(texts) {
            fs::write(&file, text)?;
            let output = Command::new(&assembler)
                .args(["--gpu-name", architecture, "--output-file", "/dev/null"])
                .arg(&file)
                .output()
                .with_context(|| assembler.display().to_string())?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                return Ok(Some(String::from_utf8_lossy(&said).into_owned()));
            }
        }
        Ok(None)
    };
    Check {
        target: "nvptx",
        filter,
        machines: architectures,
        features: (0..200).map(|number| format!("sm_{number}")).collect(),
        look: &look,
    }
    .run(tools)
}
