//! `init`: sets a project up so that plain cargo keeps device code.
//!
//! Writes `build.rustc-wrapper` into the configuration file of the workspace's root, and a wrapper
//! that applied before into the variable by which ours runs it. The rest of the file stays as it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use super::{cargo, new, places};
use crate::wrapper::CHAINED;

/// Set a project up so that plain `cargo run`, `test` and `bench` keep device code
///
/// Sets the compiler wrapper in `.cargo/config.toml` of the project, or of the workspace that it
/// belongs to. A wrapper that was set before, such as sccache, goes on working behind it.
#[derive(Args)]
pub(super) struct Arguments {
    /// Folder of the project
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    set_up(&arguments.folder)?.tell();
    Ok(ExitCode::SUCCESS)
}

/// What was set up, and what people should know of it.
pub(super) struct Done {
    file: PathBuf,
    changed: bool,
    notes: Vec<String>,
}

impl Done {
    /// Tells people.
    pub fn tell(&self) {
        let file = self.file.display();
        if self.changed {
            println!(
                "Set the compiler wrapper in {file}: plain `cargo run`, `test` and `bench` work now."
            );
        } else {
            println!("The compiler wrapper is set in {file} already.");
        }
        for note in &self.notes {
            println!("Note: {note}");
        }
    }
}

/// Sets the project in `folder` up.
pub(super) fn set_up(folder: &Path) -> anyhow::Result<Done> {
    let root = workspace_root(folder)?;
    let (wrapper, mut notes) = wrapper()?;
    let file = places::configuration_file(&root);
    let before = before(&root, &file, &mut notes)?;
    let mut changed = false;
    new::edit(&file, |document| {
        let text = document.to_string();
        configure(document, &wrapper, before)?;
        changed = document.to_string() != text;
        Ok(())
    })?;
    for variable in ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        if let Some(set) = env::var_os(variable).filter(|set| !places::is_this(set)) {
            notes.push(format!(
                "{variable}={} is set in this shell, and cargo prefers it to the file: unset it, \
                 or use `cargo legionella run`",
                set.display()
            ));
        }
    }
    Ok(Done {
        file,
        changed,
        notes,
    })
}

/// The root of the workspace that a folder's project belongs to.
fn workspace_root(folder: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new(cargo::program())
        .args(["locate-project", "--workspace", "--message-format=plain"])
        .current_dir(folder)
        .output()
        .with_context(|| {
            format!(
                "asking cargo for the project in {}; `cargo legionella doctor` tells what is missing",
                folder.display()
            )
        })?;
    if !output.status.success() {
        bail!(
            "no project in {}: {}; `cargo legionella new NAME` makes one",
            folder.display(),
            String::from_utf8_lossy(&output.stderr)
                .trim()
                .trim_start_matches("error: ")
        );
    }
    let manifest = String::from_utf8(output.stdout).context("the project's path is no text")?;
    let root = Path::new(manifest.trim_end()).parent().map(Path::to_owned);
    root.context("cargo named no project")
}

/// What to write for this program: its bare name, which works for everyone who has it on `PATH`, if
/// that is where it is.
fn wrapper() -> anyhow::Result<(String, Vec<String>)> {
    let this = env::current_exe().context("finding this program")?;
    let name = this.file_name().unwrap_or_default();
    let same = |path: &Path| path.canonicalize().ok() == this.canonicalize().ok();
    let on_path = places::on_path(name);
    if on_path.as_deref().is_some_and(same) {
        return Ok((name.to_string_lossy().into_owned(), vec![]));
    }
    let text = this
        .to_str()
        .context("the path of this program is not valid Unicode")?;
    let instead = match on_path {
        Some(other) => format!("the one on PATH is another: {}", other.display()),
        None => "it is not on PATH".to_owned(),
    };
    let note = format!(
        "the file names this program by its full path, since {instead}. On other machines it is \
         elsewhere; `cargo install cargo-legionella`, then `init` again, writes a name that works for all"
    );
    Ok((text.to_owned(), vec![note]))
}

/// The wrapper that applied to the project before, as a value for [`CHAINED`].
fn before(root: &Path, file: &Path, notes: &mut Vec<String>) -> anyhow::Result<Option<Value>> {
    for other in cargo::configuration_files(root) {
        let Some(wrapper) = cargo::wrapper_of_file(&other)? else {
            continue;
        };
        if wrapper.is_empty() || places::is_this(&wrapper) {
            if other == file {
                // Set up before; what applied then is remembered already.
                return Ok(None);
            }
            continue;
        }
        let text = wrapper
            .to_str()
            .context("the path of the wrapper is not valid Unicode")?;
        if places::cargo_home().is_some_and(|home| other.starts_with(home)) && other != file {
            notes.push(format!(
                "your own {} sets the wrapper `{text}`, which the project's file now overrides. To \
                 run both in all your projects, add to your file:\n\n    [env]\n    {CHAINED} = \"{text}\"\n",
                other.display()
            ));
            return Ok(None);
        }
        return Ok(Some(chained(Path::new(text), root)));
    }
    Ok(None)
}

/// A path below the project is written relative to it.
fn chained(wrapper: &Path, root: &Path) -> Value {
    match wrapper.strip_prefix(root) {
        Ok(relative) => {
            let mut table = InlineTable::new();
            table.insert("value", relative.display().to_string().into());
            table.insert("relative", true.into());
            table.into()
        }
        Err(_) => wrapper.display().to_string().into(),
    }
}

/// Sets the wrapper and what it chains.
fn configure(
    document: &mut DocumentMut,
    wrapper: &str,
    before: Option<Value>,
) -> anyhow::Result<()> {
    set(document, "build", "rustc-wrapper", wrapper.into())?;
    if let Some(before) = before {
        set(document, "env", CHAINED, before)?;
    }
    Ok(())
}

/// Sets a value, in the place and with the comments of the one there.
fn set(document: &mut DocumentMut, table: &str, key: &str, mut value: Value) -> anyhow::Result<()> {
    let entry = document.entry(table).or_insert(Item::Table(Table::new()));
    let Some(entries) = entry.as_table_like_mut() else {
        bail!("`{table}` is not a table");
    };
    match entries.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            if old.as_str().is_some() && old.as_str() == value.as_str() {
                return Ok(());
            }
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(entries.insert(key, Item::Value(value))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(text: &str, before: Option<Value>) -> String {
        let mut document: DocumentMut = text.parse().unwrap();
        configure(&mut document, "cargo-legionella", before).unwrap();
        document.to_string()
    }

    #[test]
    fn an_empty_file_gets_the_wrapper() {
        let text = configured("", None);
        assert_eq!(text, "[build]\nrustc-wrapper = \"cargo-legionella\"\n");
        assert_eq!(configured(&text, None), text);
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# ours\n[net]\noffline = true # really\n\n[build] # fast\njobs = 2\n\
                    rustc-wrapper = \"sccache\" # shared\n\n[alias]\nx = \"run\"\n";
        let expected = "# ours\n[net]\noffline = true # really\n\n[build] # fast\njobs = 2\n\
                        rustc-wrapper = \"cargo-legionella\" # shared\n\n[alias]\nx = \"run\"\n\n\
                        [env]\nLEGIONELLA_RUSTC_WRAPPER = \"sccache\"\n";
        assert_eq!(configured(text, Some("sccache".into())), expected);
        let dotted = "build.jobs = 2\nbuild.rustc-wrapper = \"x\"\n";
        let expected = "build.jobs = 2\nbuild.rustc-wrapper = \"cargo-legionella\"\n";
        assert_eq!(configured(dotted, None), expected);
        let mut odd: DocumentMut = "build = 1\n".parse().unwrap();
        assert!(configure(&mut odd, "cargo-legionella", None).is_err());
    }

    #[test]
    fn wrappers_of_the_project_stay_relative() {
        let root = Path::new("/p");
        let text = chained(Path::new("/p/tools/wrap"), root).to_string();
        assert_eq!(text, "{ value = \"tools/wrap\", relative = true }");
        assert_eq!(
            chained(Path::new("sccache"), root).to_string(),
            "\"sccache\""
        );
    }
}
