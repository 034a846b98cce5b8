//! Copies of the fixture project, built by the program under test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use legionella_abi::bundle::{self, Bundle, Manifest};
use object::{Object as _, ObjectSection as _};

/// A copy of the fixture, with a target folder of its own.
pub struct Project {
    folder: tempfile::TempDir,
    root: PathBuf,
    variables: Vec<(String, String)>,
}

/// What launch sites print: number of the kernel, address of its cell, start of its bundle.
pub type Sites = BTreeMap<String, Vec<String>>;

impl Project {
    pub fn new() -> Self {
        Self::named("project")
    }

    /// With a folder of that name somewhere in its path.
    pub fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(name);
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture"),
            &root,
        );
        Project {
            folder,
            root,
            variables: Vec::new(),
        }
    }

    pub fn set(mut self, variable: &str, value: impl AsRef<str>) -> Self {
        self.variables
            .push((variable.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// A folder outside of the project.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, &text.replace(from, to));
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy().into_owned();
            let ours = ["CARGO_", "RUSTC", "RUSTFLAGS", "LEGIONELLA_"];
            if ours.iter().any(|prefix| name.starts_with(prefix)) && name != "CARGO_HOME" {
                command.env_remove(variable);
            }
        }
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `cargo legionella` and gives what it printed.
    pub fn try_legionella(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_cargo-legionella"));
        command.arg("legionella").args(args).output().unwrap()
    }

    /// Runs `cargo legionella`, which must succeed.
    pub fn legionella(&self, args: &[&str]) -> String {
        succeeded(self.try_legionella(args))
    }

    /// Runs plain `cargo`, which must succeed.
    pub fn cargo(&self, args: &[&str]) -> String {
        succeeded(self.command("cargo").args(args).output().unwrap())
    }

    /// Runs a program of the target folder.
    pub fn run(&self, program: &str) -> Sites {
        let program = self.path("target").join(program);
        sites(&succeeded(self.command(program).output().unwrap()))
    }

    /// Manifest of the bundle in a file of the target folder.
    pub fn manifest(&self, file: &str) -> Manifest {
        let bytes = fs::read(self.path("target").join(file)).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let section = file.section_by_name(bundle::SECTION).expect("no bundle");
        let bundle = Bundle::parse(section.data().unwrap()).unwrap();
        assert!(bundle.manifest.modules[0].bitcode_len > 0);
        bundle.manifest
    }

    /// Hash of the only module in a file of the target folder.
    pub fn module_hash(&self, file: &str) -> [u8; 32] {
        let modules = self.manifest(file).modules;
        assert_eq!(modules.len(), 1);
        modules[0].hash
    }

    /// Names in a folder of the target folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("target").join(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Checks that the compiler left nothing in its output folder that doesn't belong there.
    pub fn assert_tidy(&self, folder: &str) {
        for name in self.list(folder) {
            let path = self.path("target").join(folder).join(&name);
            let store = name.ends_with(".legionella");
            assert_eq!(path.is_dir(), store, "left in {folder}: {name}");
            assert!(!name.contains(".rcgu."), "left in {folder}: {name}");
        }
    }
}

/// Checks what the fixture's launch sites found: `kernels` of them, each with one cell.
pub fn assert_cells(sites: &Sites, kernels: usize) {
    let mut cells = BTreeMap::new();
    for (site, found) in sites {
        let [number, cell, magic] = &found[..] else {
            panic!("{site} found {found:?}");
        };
        assert_eq!(magic, "LGNELLA");
        let number: usize = number.parse().unwrap();
        assert!(number < kernels);
        assert_eq!(cells.entry(number).or_insert(cell), &cell, "{site}");
    }
    assert_eq!(cells.len(), kernels);
}

/// Reads what launch sites printed.
pub fn sites(output: &str) -> Sites {
    let fields = |line: &str| -> Option<(String, Vec<String>)> {
        let mut words: Vec<&str> = line.split(' ').collect();
        let start = words
            .iter()
            .position(|word| *word == "none" || word.parse::<usize>().is_ok())?;
        let found = words.split_off(start);
        let found: Vec<String> = found.into_iter().map(str::to_owned).collect();
        (found.len() == 3 || found == ["none"]).then(|| (words.join(" "), found))
    };
    output.lines().filter_map(fields).collect()
}

fn succeeded(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
