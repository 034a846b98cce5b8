//! `bundle`: a program with all it needs to run on a machine without Rust, in one archive.
//!
//! Builds the program, and packs it with the driver and the parts of the toolchain that the driver
//! uses, laid out so that each finds the next beside it:
//!
//! | file | found by |
//! | --- | --- |
//! | `NAME/bin/PROGRAM` | |
//! | `NAME/bin/legionella-driver` | the program, beside itself |
//! | `NAME/bin/rust-lld` | the driver, beside itself |
//! | `NAME/lib/libLLVM…` | the driver in `../lib`, and `rust-lld` by its run path `$ORIGIN/../lib` |
//! | `NAME/licenses/…` | |

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use legionella_driver::llvm;

use super::image::Image;
use super::{build, cargo};

mod archive;

use archive::{Format, Member};

/// Pack a program with all it needs to run on a machine without Rust
///
/// Builds the program, and packs it with driver, LLVM and linker into one archive. Unpacked anywhere
/// on a Linux of the same architecture with a C library as new, `NAME/bin/PROGRAM` runs.
#[derive(Args)]
#[command(
    disable_help_flag = true,
    after_help = "Everything else is passed on to `cargo build`: `--release`, `--bin NAME`, \
                  `--example NAME`, `--package NAME`, `--features …`.\n\n\
                  With `--prebuild`, code that fits the other machine is there already."
)]
pub(super) struct Arguments {
    /// Where to write the archive; the ending says how it is compressed: .tar.xz (smallest),
    /// .tar.gz (fastest) or .tar. Without it: PROGRAM.tar.xz
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Generate code while building: see `cargo legionella build --help`
    #[arg(long, value_name = "TARGET[:CPU],…")]
    prebuild: Option<String>,
    /// Print help
    #[arg(short, long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Arguments of `cargo build`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    rest: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut rest: Vec<OsString> = (arguments.prebuild.iter())
        .map(|list| format!("--prebuild={list}").into())
        .chain(arguments.rest.iter().cloned())
        .collect();
    let later = build::take_option(&mut rest, &["-o", "--output"])?;
    let output = later
        .last()
        .map(PathBuf::from)
        .or_else(|| arguments.output.clone());
    // Before the build, which takes long.
    let format = output.as_deref().map_or(Ok(Format::Xz), Format::of)?;
    let prebuild = build::take_prebuild(&mut rest)?;
    let program = match build_program(&rest, prebuild.as_deref())? {
        Ok(program) => program,
        Err(status) => return Ok(status),
    };
    let name = program
        .file_name()
        .context("the program has no name")?
        .to_owned();
    let output = output.unwrap_or_else(|| {
        let mut name = name.clone();
        name.push(".tar.xz");
        name.into()
    });
    let members = members(&program, &name)?;
    let start = Instant::now();
    let unpacked: u64 = members.iter().map(|member| member.size).sum();
    let packed = archive::write(&output, format, &members)?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "Packed {} files, {:.1} MB, into {} of {:.1} MB in {:.1} s.",
        members.len(),
        megabytes(unpacked),
        output.display(),
        megabytes(packed),
        start.elapsed().as_secs_f64()
    );
    println!(
        "On the other machine: tar xf {} && {name}/bin/{name}",
        output.file_name().unwrap_or_default().display(),
        name = name.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Builds, and gives the one executable that was built, or the status that cargo failed with.
fn build_program(
    args: &[OsString],
    prebuild: Option<&str>,
) -> anyhow::Result<Result<PathBuf, ExitCode>> {
    let mut args = args.to_vec();
    args.push("--message-format=json-render-diagnostics".into());
    let mut command = cargo::command("build".as_ref(), &args, prebuild)?;
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo; `cargo legionella doctor` tells what is missing")?;
    let messages = child.stdout.take().context("cargo has no output")?;
    let mut built: Vec<(String, PathBuf)> = Vec::new();
    for message in serde_json::Deserializer::from_reader(BufReader::new(messages)).into_iter() {
        let message: serde_json::Value = message.context("reading cargo's messages")?;
        if let Some(executable) = message["executable"].as_str() {
            let target = &message["target"];
            let kind = target["kind"][0].as_str().unwrap_or("bin");
            let name = target["name"].as_str().unwrap_or_default();
            built.push((format!("--{kind} {name}"), executable.into()));
        }
    }
    let status = child.wait().context("waiting for cargo")?;
    if !status.success() {
        return Ok(Err(crate::wrapper::exit_code(status)));
    }
    match built.as_slice() {
        [(_, program)] => Ok(Ok(program.clone())),
        [] => bail!("cargo built no executable: only programs can be packed"),
        several => {
            let options: Vec<&str> = several.iter().map(|(option, _)| option.as_str()).collect();
            bail!(
                "cargo built several programs; choose one: {}",
                options.join(", ")
            )
        }
    }
}

/// What belongs into the archive.
fn members(program: &Path, name: &std::ffi::OsStr) -> anyhow::Result<Vec<Member>> {
    let image = Image::open(program)?;
    let bundle = image.bundle()?;
    let sysroot = Path::new(&bundle.manifest.toolchain.sysroot);
    let library = llvm::library_in(&sysroot.join("lib"))
        .with_context(|| format!("no libLLVM in {}", sysroot.join("lib").display()))?;
    let linker = sysroot
        .join("lib/rustlib")
        .join(host_of(sysroot, &bundle.manifest.toolchain.triple))
        .join("bin/rust-lld");
    let root = Path::new(name);
    let mut members = vec![
        Member::new(program, root.join("bin").join(name))?,
        Member::new(
            Path::new(&bundle.manifest.driver),
            root.join("bin/legionella-driver"),
        )?,
        Member::new(&linker, root.join("bin/rust-lld"))?,
        Member::new(
            &library,
            root.join("lib")
                .join(library.file_name().unwrap_or_default()),
        )?,
    ];
    // What goes along may do so under its licences; a minimal toolchain leaves their texts out.
    let documents = sysroot.join("share/doc/rust");
    for folder in [documents.clone(), documents.join("licenses")] {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let file = entry.path();
            let text = file.extension().is_some_and(|extension| extension == "txt");
            let copyright = entry.file_name().to_string_lossy().starts_with("COPYRIGHT");
            if file.is_file() && (text || copyright) {
                members.push(Member::new(
                    &file,
                    root.join("licenses").join(entry.file_name()),
                )?);
            }
        }
    }
    if members.len() == 4 {
        eprintln!(
            "warning: the toolchain has no texts of LLVM's licence in {} (component rust-docs): who \
             passes the archive on has to add them",
            documents.display()
        );
    }
    Ok(members)
}

/// The folder of the toolchain's own tools: that of its host, which is the program's target unless
/// the program was cross-compiled.
fn host_of(sysroot: &Path, triple: &str) -> OsString {
    let folder = sysroot.join("lib/rustlib");
    let has_tools = |target: &OsString| folder.join(target).join("bin/rust-lld").is_file();
    let own = OsString::from(triple);
    if has_tools(&own) {
        return own;
    }
    let others = folder.read_dir().into_iter().flatten().flatten();
    others
        .map(|entry| entry.file_name())
        .find(has_tools)
        .unwrap_or(own)
}
