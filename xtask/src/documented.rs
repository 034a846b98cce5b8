//! The whole programs in the documents, run on an accelerator.
//!
//! rustdoc only compiles those that launch kernels (`rust,no_run`), since it calls no wrapper. Takes the
//! documents, makes a package with a program for each, builds it as a user would, and runs them.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::tools::{Tools, succeed};

/// The documents, in the repository's root.
const DOCUMENTS: [&str; 2] = ["README.md", "CODING.md"];

/// What a program's first line in a document is.
const FENCE: &str = "```rust,no_run";

/// Builds and runs each program on the CPU, which every machine has; their assertions are in them.
pub fn run(tools: &Tools) -> anyhow::Result<()> {
    let package = tools.target().join("documented");
    let programs = package.join("src").join("bin");
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(&programs)?;
    let library = tools.root().join("crates/legionella");
    let manifest = format!(
        "[package]\nname = \"documented\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nlegionella = {{ path = {library:?} }}\n\n\
         [profile.release]\ndebug = 0\n\n[workspace]\n"
    );
    let manifest_path = package.join("Cargo.toml");
    fs::write(&manifest_path, manifest)?;
    fs::copy(tools.root().join("Cargo.lock"), package.join("Cargo.lock"))?;

    let mut names = Vec::new();
    for document in DOCUMENTS {
        let path = tools.root().join(document);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for (line, program) in programs_of(&text) {
            let name = format!("{}_{line}", document.to_lowercase().replace('.', "_"));
            fs::write(programs.join(&name).with_extension("rs"), program)?;
            names.push(name);
        }
    }
    ensure!(!names.is_empty(), "no programs in {DOCUMENTS:?}");

    let mut build = tools.legionella("build");
    build
        .args(["--release", "--manifest-path"])
        .arg(&manifest_path);
    succeed(&mut build)?;
    for name in &names {
        println!("{name}");
        let mut program = Command::new(tools.wrapped(name));
        succeed(program.env("LEGIONELLA_ACCELERATOR", "cpu"))?;
    }
    println!(
        "{} programs of {} ran",
        names.len(),
        DOCUMENTS.join(" and ")
    );
    Ok(())
}

/// The programs in a document, each with the line that it starts in.
fn programs_of(text: &str) -> Vec<(usize, String)> {
    let mut programs = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line == FENCE {
            let program = lines.by_ref().take_while(|(line, _)| *line != "```");
            let program = program.map(|(line, _)| format!("{line}\n")).collect();
            programs.push((number + 1, program));
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::programs_of;

    #[test]
    fn programs_are_what_stands_between_fences() {
        let text = "text\n```rust,no_run\nfn main() {}\n```\n```rust\nno()\n```\n";
        assert_eq!(programs_of(text), [(3, "fn main() {}\n".to_owned())]);
    }
}
