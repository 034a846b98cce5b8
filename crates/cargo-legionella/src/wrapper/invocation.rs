//! One run of the compiler as its arguments describe it.
//!
//! Takes the argument list that cargo passes (response files expanded) and gives the few facts the
//! wrapper decides by. It must not know what the wrapper does with them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What the arguments of a compiler run say.
#[derive(Debug, Default)]
pub(crate) struct Invocation {
    /// `--crate-name`.
    pub crate_name: Option<String>,
    /// `--crate-type`, all of them.
    pub crate_types: Vec<String>,
    /// `--test`.
    pub test: bool,
    /// Kinds of output in `--emit`.
    pub emit: Vec<String>,
    /// `--out-dir`.
    pub out_dir: Option<PathBuf>,
    /// `-o`.
    pub out_file: bool,
    /// `--target`.
    pub target: Option<String>,
    /// `--sysroot`.
    pub sysroot: Option<PathBuf>,
    /// Paths of `--extern NAME=PATH`.
    pub externs: Vec<PathBuf>,
    /// `-C extra-filename`.
    pub extra_filename: String,
    /// Whether there is a `-C metadata`.
    pub metadata: bool,
    /// `-C incremental`.
    pub incremental: Option<PathBuf>,
    /// `-C linker`.
    pub linker: Option<PathBuf>,
    /// `-C linker-flavor`.
    pub linker_flavor: Option<String>,
    /// Whether `-g` or `-C debuginfo` asks for any debug information.
    pub debug_information: bool,
    /// Whether the compiler announces finished outputs on its standard error (`--json=artifacts`).
    pub announces: bool,
}

impl Invocation {
    /// Reads an argument list without the compiler itself.
    pub fn parse(args: &[OsString]) -> Self {
        let mut invocation = Invocation::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let text = arg.as_encoded_bytes();
            let short = |letter: u8| text.first() == Some(&b'-') && text.get(1) == Some(&letter);
            if text.starts_with(b"--") {
                let (name, value) = match text.iter().position(|&byte| byte == b'=') {
                    Some(at) => (&text[..at], Some(tail(arg, at + 1))),
                    None => (text, None),
                };
                if name == b"--test" {
                    invocation.test = true;
                    continue;
                }
                let takes_value: [&[u8]; 9] = [
                    b"--crate-name",
                    b"--crate-type",
                    b"--emit",
                    b"--out-dir",
                    b"--target",
                    b"--sysroot",
                    b"--extern",
                    b"--codegen",
                    b"--json",
                ];
                if takes_value.contains(&name)
                    && let Some(value) = value.or_else(|| rest.next().cloned())
                {
                    invocation.long(name, &value);
                }
            } else if text == b"-g" {
                invocation.debug_information = true;
            } else if short(b'o') {
                invocation.out_file = true;
            } else if short(b'C') {
                let value = match text.len() {
                    2 => rest.next().cloned(),
                    _ => Some(tail(arg, 2)),
                };
                if let Some(value) = value {
                    invocation.codegen(&value);
                }
            }
        }
        invocation
    }

    fn long(&mut self, name: &[u8], value: &OsStr) {
        let text = || value.to_string_lossy().into_owned();
        match name {
            b"--crate-name" => self.crate_name = Some(text()),
            b"--crate-type" => self
                .crate_types
                .extend(text().split(',').map(str::to_owned)),
            b"--emit" => self.emit.extend(
                text()
                    .split(',')
                    .map(|kind| kind.split('=').next().unwrap_or(kind).to_owned()),
            ),
            b"--out-dir" => self.out_dir = Some(PathBuf::from(value)),
            b"--target" => self.target = Some(text()),
            b"--sysroot" => self.sysroot = Some(PathBuf::from(value)),
            b"--extern" => {
                let bytes = value.as_encoded_bytes();
                if let Some(at) = bytes.iter().position(|&byte| byte == b'=') {
                    self.externs.push(PathBuf::from(tail(value, at + 1)));
                }
            }
            b"--codegen" => self.codegen(value),
            b"--json" => self.announces |= text().split(',').any(|kind| kind == "artifacts"),
            _ => {}
        }
    }

    fn codegen(&mut self, option: &OsStr) {
        let bytes = option.as_encoded_bytes();
        let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
            Some(at) => (&bytes[..at], tail(option, at + 1)),
            None => (bytes, OsString::new()),
        };
        let name = String::from_utf8_lossy(name).replace('_', "-");
        let text = || value.to_string_lossy().into_owned();
        match name.as_str() {
            "extra-filename" => self.extra_filename = text(),
            "metadata" => self.metadata = true,
            "incremental" => self.incremental = Some(PathBuf::from(&value)),
            "linker" => self.linker = Some(PathBuf::from(&value)),
            "linker-flavor" => self.linker_flavor = Some(text()),
            "debuginfo" => self.debug_information = !matches!(text().as_str(), "0" | "none"),
            _ => {}
        }
    }

    /// Whether cargo asked for code of a crate here, as opposed to a check, a question, or a build
    /// script's experiment.
    pub fn is_compilation(&self, cargo_crate_name: Option<&OsStr>) -> bool {
        self.crate_name.as_deref().map(OsStr::new) == cargo_crate_name
            && cargo_crate_name.is_some()
            && self.metadata
            && self.out_dir.is_some()
            && !self.out_file
            && self.emit.iter().any(|kind| kind == "link")
    }

    /// Whether the result runs while cargo builds: nothing of it ever reaches a device.
    pub fn is_build_tool(&self) -> bool {
        let build_script = |name: &str| name.starts_with("build_script_");
        self.crate_types.iter().any(|kind| kind == "proc-macro")
            || (self.crate_types == ["bin"]
                && !self.test
                && self.crate_name.as_deref().is_some_and(build_script))
    }

    /// Whether a linker makes one of the results.
    pub fn links(&self) -> bool {
        self.test
            || self
                .crate_types
                .iter()
                .any(|kind| matches!(kind.as_str(), "bin" | "dylib" | "cdylib"))
    }

    /// Whether one of the results is for other crates to link.
    pub fn is_library(&self) -> bool {
        !self.test
            && self
                .crate_types
                .iter()
                .any(|kind| matches!(kind.as_str(), "lib" | "rlib" | "dylib"))
    }

    /// What the names of this crate's outputs start with: `libfoo-0123456789abcdef` for a library,
    /// `foo-0123456789abcdef` for an executable.
    pub fn stem(&self) -> Option<String> {
        let name = self.crate_name.as_deref()?;
        let executable = self.test || self.crate_types == ["bin"];
        let prefix = if executable { "" } else { "lib" };
        Some(format!("{prefix}{name}{}", self.extra_filename))
    }
}

/// The argument list with each `@FILE` replaced by that file's lines, as the compiler reads them.
pub(crate) fn expand(args: &[OsString]) -> std::io::Result<Vec<OsString>> {
    let mut expanded = Vec::with_capacity(args.len());
    for arg in args {
        match arg.as_encoded_bytes().first() {
            Some(b'@') => {
                let text = std::fs::read_to_string(Path::new(&tail(arg, 1)))?;
                expanded.extend(text.lines().map(OsString::from));
            }
            _ => expanded.push(arg.clone()),
        }
    }
    Ok(expanded)
}

/// The text after the first `at` bytes, which are ASCII.
fn tail(text: &OsStr, at: usize) -> OsString {
    // SAFETY: every caller cuts directly after an ASCII character, which no encoded character
    // spans.
    unsafe { OsStr::from_encoded_bytes_unchecked(&text.as_encoded_bytes()[at..]) }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Invocation {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Invocation::parse(&args)
    }

    #[test]
    fn reads_what_cargo_passes_for_a_library() {
        let lib = parse(
            "--crate-name foo --edition=2024 src/lib.rs --error-format=json \
             --json=diagnostic-rendered-ansi,artifacts --crate-type lib \
             --emit=dep-info,metadata,link -C embed-bitcode=no -C debuginfo=2 \
             -C metadata=12ab -C extra-filename=-34cd --out-dir /t/deps \
             -C incremental=/t/incremental --extern serde=/t/deps/libserde-1.rmeta",
        );
        assert!(lib.is_compilation(Some(OsStr::new("foo"))));
        assert!(!lib.is_compilation(Some(OsStr::new("bar"))));
        assert!(!lib.is_compilation(None));
        assert!(lib.is_library() && !lib.links() && !lib.is_build_tool());
        assert!(lib.debug_information && lib.announces);
        assert_eq!(lib.stem().as_deref(), Some("libfoo-34cd"));
        assert_eq!(
            lib.incremental.as_deref(),
            Some(Path::new("/t/incremental"))
        );
        assert_eq!(lib.externs, [Path::new("/t/deps/libserde-1.rmeta")]);
    }

    #[test]
    fn last_debug_information_option_counts() {
        assert!(!parse("-Cdebuginfo=2 -C debuginfo=0").debug_information);
        assert!(parse("-C debuginfo=0 -g").debug_information);
        assert!(!parse("-Copt-level=3").debug_information);
    }

    #[test]
    fn a_check_and_a_probe_are_no_compilations() {
        let name = Some(OsStr::new("foo"));
        let check = "--crate-name foo --emit=dep-info,metadata -C metadata=1 --out-dir d";
        assert!(!parse(check).is_compilation(name));
        let probe = "--crate-name foo --emit=dep-info,link --out-dir d";
        assert!(!parse(probe).is_compilation(name));
    }

    #[test]
    fn build_scripts_and_macros_are_build_tools() {
        assert!(parse("--crate-name build_script_build --crate-type bin").is_build_tool());
        assert!(parse("--crate-name m --crate-type proc-macro").is_build_tool());
        assert!(!parse("--crate-name build_script_build --test").is_build_tool());
    }

    #[test]
    fn response_files_are_expanded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("args");
        std::fs::write(&file, "--crate-name\nfoo bar\n").unwrap();
        let mut arg = OsString::from("@");
        arg.push(&file);
        assert_eq!(expand(&[arg]).unwrap(), ["--crate-name", "foo bar"]);
    }
}
