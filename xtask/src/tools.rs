//! The repository's own tools: builds `cargo-legionella`, and gives commands that build and run
//! a package through it. Doesn't know what the commands are for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail, ensure};

/// Where the repository and its build products are.
pub struct Tools {
    root: PathBuf,
    target: PathBuf,
}

impl Tools {
    /// The repository that this program was built in.
    pub fn locate() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(target) => root.join(target),
            None => root.join("target"),
        };
        Tools { root, target }
    }

    /// The repository's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where plain builds go.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Builds `cargo-legionella` and the driver beside it.
    pub fn build(&self) -> anyhow::Result<()> {
        let mut build = self.cargo();
        build.args(["build", "--release", "--package", "cargo-legionella"]);
        succeed(&mut build)
    }

    /// The built `cargo-legionella`.
    pub fn cargo_legionella(&self) -> PathBuf {
        self.release("cargo-legionella")
    }

    /// The built driver.
    pub fn driver(&self) -> PathBuf {
        self.release("legionella-driver")
    }

    fn release(&self, name: &str) -> PathBuf {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.target.join("release").join(name)
    }

    /// Builds a program of the workspace through the wrapper and gives its path.
    pub fn executable(&self, package: &str) -> anyhow::Result<PathBuf> {
        succeed(&mut self.build_of(package))?;
        Ok(self.wrapped(package))
    }

    /// Builds the programs of a package through the wrapper.
    pub fn build_of(&self, package: &str) -> Command {
        let mut build = self.legionella("build");
        build.args(["--release", "--package", package]);
        build
    }

    /// Where a program that was built through the wrapper is.
    pub fn wrapped(&self, name: &str) -> PathBuf {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.target.join("wrapped").join("release").join(name)
    }

    /// Plain cargo, in the repository's root.
    pub fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// `cargo legionella SUBCOMMAND`, with a target directory of its own: cargo doesn't tell
    /// artifacts that went through the wrapper from those that didn't.
    pub fn legionella(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.cargo_legionella());
        command.args(["legionella", subcommand]);
        command.current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", self.target.join("wrapped"));
        command
    }

    /// Builds and runs a program of the workspace; what is added to the command are its arguments.
    pub fn program(&self, package: &str, binary: Option<&str>) -> Command {
        let mut command = self.legionella("run");
        command.args(["--release", "--package", package]);
        if let Some(binary) = binary {
            command.args(["--bin", binary]);
        }
        command.arg("--");
        command
    }

    /// Builds the benchmarks' peers for the machine at hand and gives the library.
    pub fn peer(&self) -> anyhow::Result<PathBuf> {
        let target = self.target.join("peer");
        let mut build = self.cargo();
        build.args(["build", "--release", "--package", "peer"]);
        build.env("CARGO_TARGET_DIR", &target);
        build.env("RUSTFLAGS", "-Ctarget-cpu=native");
        succeed(&mut build)?;
        let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        Ok(target.join("release").join(format!("{prefix}peer{suffix}")))
    }

    /// Builds AMD's devices in software and gives the library.
    pub fn simulator(&self) -> anyhow::Result<PathBuf> {
        let mut build = self.cargo();
        build.args(["build", "--release", "--package", "legionella-hsasim"]);
        succeed(&mut build)?;
        let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        let name = format!("{prefix}legionella_hsasim{suffix}");
        Ok(self.target.join("release").join(name))
    }

    /// The demo, which writes its picture to `output`.
    pub fn demo(&self, output: &Path) -> Command {
        let mut demo = self.program("examples", Some("kmeans"));
        demo.arg(self.root.join("examples/data/coffee.jpg"));
        demo.arg("--output").arg(output);
        demo
    }

    /// The benchmarks, with their peers built.
    pub fn benches(&self) -> anyhow::Result<Command> {
        let peer = self.peer()?;
        let mut benches = self.program("benches", None);
        benches.arg("--peer").arg(peer);
        benches
            .arg("--cargo-legionella")
            .arg(self.cargo_legionella());
        Ok(benches)
    }

    /// The benchmarks on NVIDIA's devices, with their peers in CUDA C++ built.
    pub fn nvidia_benches(&self) -> anyhow::Result<Command> {
        let folder = self.target.join("peer");
        fs::create_dir_all(&folder)?;
        let library = folder.join("libpeer_nvidia.so");
        let mut nvcc = Command::new("nvcc");
        nvcc.args(["-O3", "-fmad=false", "-arch=native", "-shared"]);
        nvcc.args(["-Xcompiler", "-fPIC", "-o"]).arg(&library);
        for entry in fs::read_dir(self.root.join("benches/src/cuda"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "cu") {
                nvcc.arg(path);
            }
        }
        succeed(nvcc.arg("-ldl")).context("the peers are compiled by CUDA's `nvcc`, on PATH")?;
        let mut benches = self.program("benches", Some("cuda-benches"));
        benches.arg("--peer").arg(library);
        Ok(benches)
    }

    /// Names of the accelerators of this machine.
    pub fn accelerators(&self) -> anyhow::Result<Vec<String>> {
        let mut list = self.program("examples", Some("accelerators"));
        let output = list
            .stderr(std::process::Stdio::inherit())
            .output()
            .with_context(|| format!("{list:?}"))?;
        ensure!(output.status.success(), "{list:?}: {}", output.status);
        let text = String::from_utf8(output.stdout).context("accelerators' names")?;
        let names = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }
}

/// Runs a command and fails if it does.
pub fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
