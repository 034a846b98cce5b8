//! The compiler wrapper: what cargo runs in rustc's place.
//!
//! Takes `RUSTC ARGUMENTS…` and does one of three things: has a crate compiled so that its
//! bitcode is kept ([`compile`]); answers cargo's question for the compiler's version so that
//! artifacts with and without bitcode are not taken for each other; or becomes the compiler, for
//! everything else that runs it (checks, build scripts and their experiments, procedural macros,
//! targets that kernels can't be taken from).

mod compile;
mod invocation;
mod outputs;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context as _;

use invocation::Invocation;

/// Environment variable with the wrapper to run the compiler by, if there was one before this one.
pub(crate) const CHAINED: &str = "LEGIONELLA_RUSTC_WRAPPER";

/// Whether the first argument of this process is a compiler to run: a path, or a bare `rustc`.
pub(crate) fn is_compiler(first: &Path) -> bool {
    first.components().count() > 1
        || first
            .file_stem()
            .and_then(OsStr::to_str)
            .is_some_and(|stem| stem.starts_with("rustc") || stem == "clippy-driver")
}

/// Runs the compiler that the arguments begin with.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let (programs, options) = split(args);
    let expanded = invocation::expand(options).context("reading the compiler's arguments")?;
    if expanded == ["-vV"] {
        return answer_version(programs);
    }
    let invocation = Invocation::parse(&expanded);
    let wanted = invocation.is_compilation(env::var_os("CARGO_CRATE_NAME").as_deref())
        && !invocation.is_build_tool()
        && is_supported(invocation.target.as_deref());
    if !wanted {
        return become_compiler(programs, options);
    }
    compile::run(programs, &expanded, &invocation)
}

/// Divides the arguments into the compiler (preceded by a workspace wrapper, such as
/// `clippy-driver RUSTC`) and its options.
fn split(args: &[OsString]) -> (&[OsString], &[OsString]) {
    let is_program = |arg: &&OsString| {
        let first = arg.as_encoded_bytes().first();
        !matches!(first, Some(b'-' | b'@')) && is_compiler(Path::new(arg))
    };
    let programs = args.iter().take(2).take_while(is_program).count().max(1);
    let second_is_source = programs == 2
        && Path::new(&args[1])
            .extension()
            .is_some_and(|extension| extension == "rs");
    args.split_at(if second_is_source { 1 } else { programs })
}

/// Kernels can be taken from images of this target. Without `--target` it is the host's.
fn is_supported(target: Option<&str>) -> bool {
    let Some(target) = target else {
        return cfg!(all(
            target_os = "linux",
            target_pointer_width = "64",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ));
    };
    let machine = ["x86_64-", "aarch64-"]
        .iter()
        .any(|machine| target.starts_with(machine));
    machine && (target.ends_with("-linux-gnu") || target.ends_with("-linux-musl"))
}

/// The command line of a compiler, with the chained wrapper before it if there is one.
fn compiler(programs: &[OsString], chained: Option<&OsStr>) -> Command {
    let mut line = chained
        .into_iter()
        .chain(programs.iter().map(OsString::as_os_str));
    let mut command = Command::new(line.next().unwrap_or_else(|| OsStr::new("rustc")));
    command.args(line);
    command
}

fn chained() -> Option<OsString> {
    env::var_os(CHAINED).filter(|wrapper| !wrapper.is_empty())
}

fn become_compiler(programs: &[OsString], options: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = compiler(programs, chained().as_deref());
    command.args(options);
    #[cfg(unix)]
    {
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(error).with_context(|| format!("running {}", command.get_program().display()))
    }
    #[cfg(not(unix))]
    {
        let status = command
            .status()
            .with_context(|| format!("running {}", command.get_program().display()))?;
        Ok(exit_code(status))
    }
}

/// Answers `-vV` with one line more than the compiler. Cargo makes the whole answer part of what
/// identifies an artifact.
fn answer_version(programs: &[OsString]) -> anyhow::Result<ExitCode> {
    let output = compiler(programs, chained().as_deref())
        .arg("-vV")
        .output()
        .with_context(|| format!("running {}", programs[0].display()))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&output.stdout)?;
    if output.status.success() {
        writeln!(stdout, "legionella: {}", identity())?;
    }
    std::io::stderr().write_all(&output.stderr)?;
    Ok(exit_code(output.status))
}

/// What distinguishes this version of the wrapper from others that make something else of a crate or
/// an image.
fn identity() -> String {
    let (version, abi) = (env!("CARGO_PKG_VERSION"), legionella_abi::VERSION);
    format!("{version}.{abi} {}", env!("LEGIONELLA_SOURCES"))
}

/// The exit code that passes a child's status on.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        eprintln!("error: legionella: the compiler was ended by signal {signal}");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(101))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_wrappers_are_part_of_the_compiler() {
        let parts = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            split(&args).0.len()
        };
        assert_eq!(parts("rustc -vV"), 1);
        assert_eq!(parts("rustc - --print=cfg"), 1);
        assert_eq!(parts("/bin/clippy-driver /bin/rustc --crate-name a"), 2);
        assert_eq!(parts("rustc src/lib.rs"), 1);
        assert_eq!(parts("rustc @/tmp/args"), 1);
    }

    #[test]
    fn supported_targets() {
        assert!(is_supported(Some("x86_64-unknown-linux-gnu")));
        assert!(is_supported(Some("aarch64-unknown-linux-musl")));
        assert!(!is_supported(Some("wasm32-unknown-unknown")));
        assert!(!is_supported(Some("x86_64-unknown-linux-gnux32")));
        assert!(!is_supported(Some("x86_64-pc-windows-msvc")));
    }
}
