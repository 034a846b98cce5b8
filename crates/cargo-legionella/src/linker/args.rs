//! The linker's command line: which files it names, and the same line with a file added.
//!
//! Knows the few options that the linkers of ELF targets and their C compiler drivers share, and
//! nothing of the files' contents.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Files that a command line names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// Object files.
    pub objects: Vec<PathBuf>,
    /// Rust libraries.
    pub archives: Vec<PathBuf>,
}

impl Inputs {
    /// Reads a command line, and the response files that it names.
    pub fn read(line: &[OsString]) -> anyhow::Result<Self> {
        let mut inputs = Inputs::default();
        inputs.add(line)?;
        Ok(inputs)
    }

    fn add(&mut self, line: &[OsString]) -> anyhow::Result<()> {
        let mut line = line.iter();
        while let Some(arg) = line.next() {
            if arg == "-o" {
                line.next();
            } else if let Some(file) = response_file(arg) {
                self.add(&read_response_file(&file)?)?;
            } else {
                let path = Path::new(arg);
                match path.extension().and_then(OsStr::to_str) {
                    Some("o") => self.objects.push(path.to_owned()),
                    Some("rlib") => self.archives.push(path.to_owned()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The command line with one more object file, before the first input.
pub(super) fn with_object(line: &[OsString], object: &Path) -> Vec<OsString> {
    let first = line.iter().position(|arg| {
        response_file(arg).is_some() || Path::new(arg).extension() == Some(OsStr::new("o"))
    });
    let mut line = line.to_vec();
    line.insert(first.unwrap_or(0), object.into());
    line
}

/// The command line with another output file, and without the options that drop sections which
/// are not loaded at run time.
pub(super) fn unstripped(line: &[OsString], output: &Path) -> anyhow::Result<Vec<OsString>> {
    let mut expanded = Vec::with_capacity(line.len());
    for arg in line {
        match response_file(arg) {
            Some(file) => expanded.extend(read_response_file(&file)?),
            None => expanded.push(arg.clone()),
        }
    }
    let strips = |arg: &OsStr| {
        ["-s", "--strip-all", "-Wl,--strip-all", "-Wl,-s"]
            .iter()
            .any(|option| arg == *option)
    };
    let mut result = Vec::with_capacity(expanded.len());
    let mut rest = expanded.into_iter();
    while let Some(arg) = rest.next() {
        if arg == "-o" {
            rest.next();
            result.push(arg);
            result.push(output.into());
        } else if !strips(&arg) {
            result.push(arg);
        }
    }
    Ok(result)
}

fn response_file(arg: &OsStr) -> Option<PathBuf> {
    let text = arg.to_str()?;
    text.strip_prefix('@').map(PathBuf::from)
}

/// The arguments in a response file: one a line, with a backslash before each blank or backslash,
/// which is how rustc writes them for these linkers.
fn read_response_file(file: &Path) -> anyhow::Result<Vec<OsString>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text.lines().map(unescape).map(OsString::from).collect())
}

fn unescape(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn finds_inputs_and_not_the_output() {
        let inputs = Inputs::read(&line("-m64 a.o -Wl,x liba.rlib -lc -o out.o")).unwrap();
        assert_eq!(inputs.objects, [Path::new("a.o")]);
        assert_eq!(inputs.archives, [Path::new("liba.rlib")]);
    }

    #[test]
    fn reads_response_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("linker-arguments");
        fs::write(&file, "a\\ b/a.o\nliba.rlib\n-o\nout\n").unwrap();
        let line = [OsString::from(format!("@{}", file.display()))];
        let inputs = Inputs::read(&line).unwrap();
        assert_eq!(inputs.objects, [Path::new("a b/a.o")]);
        assert_eq!(with_object(&line, Path::new("k.o"))[0], "k.o");
        let rest = unstripped(&line, Path::new("first")).unwrap();
        assert_eq!(rest, ["a b/a.o", "liba.rlib", "-o", "first"]);
    }

    #[test]
    fn object_goes_to_the_other_objects() {
        let line = with_object(&line("-m64 a.o b.o -o out"), Path::new("k.o"));
        assert_eq!(line, ["-m64", "k.o", "a.o", "b.o", "-o", "out"]);
    }
}
