//! `new`: a project that runs at once.
//!
//! Has cargo make the project, which knows what names are allowed, what version control there is
//! and whether the project belongs to a workspace; then adds the dependency, a program and what
//! [`super::init`] sets up.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use toml_edit::{DocumentMut, InlineTable, Item, Value};

use super::{cargo, init};

/// The first program.
const PROGRAM: &str = include_str!("new/main.rs.txt");

/// Make a project that runs at once
#[derive(Args)]
pub(super) struct Arguments {
    /// Folder to make; its last part is the name of the package
    name: PathBuf,
    /// Folder of the crate `legionella` to depend on, instead of the published one
    #[arg(long, value_name = "DIR")]
    path_to_legionella: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let dependency = Dependency::choose(arguments.path_to_legionella.as_deref())?;
    let status = Command::new(cargo::program())
        .args(["new", "--quiet", "--bin", "--edition", "2024", "--"])
        .arg(&arguments.name)
        .status()
        .context("running `cargo new`; `cargo legionella doctor` tells what is missing")?;
    if !status.success() {
        // Cargo has said why.
        return Ok(crate::wrapper::exit_code(status));
    }
    let folder = arguments
        .name
        .canonicalize()
        .with_context(|| format!("finding {}", arguments.name.display()))?;
    let manifest = folder.join("Cargo.toml");
    edit(&manifest, |document| {
        document["dependencies"]["legionella"] = dependency.item();
        Ok(())
    })?;
    write(&folder.join("src/main.rs"), PROGRAM)?;
    let done = init::set_up(&folder)?;
    println!("Made {}, which {dependency}.", arguments.name.display());
    done.tell();
    println!("Next: cd {} && cargo run", arguments.name.display());
    Ok(ExitCode::SUCCESS)
}

/// How the new project depends on `legionella`.
enum Dependency {
    Path(PathBuf),
    Published,
}

impl Dependency {
    /// The crate at `asked`; without that the crate beside this tool's sources if the tool was built
    /// from a checkout that is still there, since that is the release which fits; else the published.
    fn choose(asked: Option<&Path>) -> anyhow::Result<Self> {
        let is_legionella = |folder: &Path| {
            fs::read_to_string(folder.join("Cargo.toml"))
                .ok()
                .and_then(|text| text.parse::<DocumentMut>().ok())
                .is_some_and(|manifest| {
                    let name = manifest
                        .get("package")
                        .and_then(|package| package.get("name"));
                    name.and_then(Item::as_str) == Some("legionella")
                })
        };
        if let Some(asked) = asked {
            if !is_legionella(asked) {
                bail!(
                    "{} does not hold the crate `legionella`: name the folder of its Cargo.toml, \
                     such as `legionella/crates/legionella`",
                    asked.display()
                );
            }
            let folder = asked.canonicalize();
            return Ok(Dependency::Path(
                folder.unwrap_or_else(|_| asked.to_owned()),
            ));
        }
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("legionella");
        if is_legionella(&beside) {
            return Ok(Dependency::Path(beside));
        }
        Ok(Dependency::Published)
    }

    fn item(&self) -> Item {
        match self {
            Dependency::Path(folder) => {
                let mut table = InlineTable::new();
                table.insert("path", folder.display().to_string().into());
                Item::Value(Value::InlineTable(table))
            }
            Dependency::Published => toml_edit::value(env!("CARGO_PKG_VERSION")),
        }
    }
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dependency::Path(folder) => {
                write!(f, "depends on the crate in {}", folder.display())
            }
            Dependency::Published => {
                let version = env!("CARGO_PKG_VERSION");
                write!(f, "depends on legionella {version} from crates.io")
            }
        }
    }
}

/// Changes a TOML file without touching the rest of it.
pub(super) fn edit(
    file: &Path,
    change: impl FnOnce(&mut DocumentMut) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let context = || format!("editing {}", file.display());
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(context),
    };
    let mut document: DocumentMut = text.parse().with_context(context)?;
    change(&mut document).with_context(context)?;
    let changed = document.to_string();
    if changed != text {
        write(file, &changed)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let context = || format!("writing {}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(context)?;
    }
    fs::write(file, text).with_context(context)
}
