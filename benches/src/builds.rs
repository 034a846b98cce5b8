//! What the wrapper costs a build: a project with some 100 dependencies and ten kernels, built by
//! cargo alone and through `cargo legionella`, in turns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::Bench;
use crate::measure::median;
use crate::report::Row;

/// Clean builds of each side.
const CLEAN: usize = 3;
/// Builds of each side after a change to the program.
const INCREMENTAL: usize = 7;

/// Crates whose graph, with that of `legionella`, has some 100 nodes.
const DEPENDENCIES: &str = r#"
chrono = { version = "0.4", features = ["serde"] }
crossbeam = "0.8"
csv = "1"
flate2 = "1"
indexmap = "2"
itertools = "0.14"
rand = "0.9"
rayon = "1"
regex = "1"
serde_json = "1"
sha2 = "0.10"
tokio = { version = "1", features = ["full"] }
toml = "0.9"
"#;

/// The project on disk.
struct Project {
    folder: PathBuf,
    cargo_legionella: PathBuf,
}

#[derive(Clone, Copy)]
enum Side {
    Ours,
    Peer,
}

impl Project {
    fn write(bench: &Bench, folder: &Path) -> anyhow::Result<Self> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("crates");
        let manifest = format!(
            "[package]\nname = \"project\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nlegionella = {{ path = {:?} }}{DEPENDENCIES}\n[workspace]\n",
            crates.join("legionella")
        );
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), manifest)?;
        let project = Project {
            folder: folder.to_owned(),
            cargo_legionella: bench.cargo_legionella.clone(),
        };
        project.change(0)?;
        Ok(project)
    }

    /// Writes the program's source, different for each `edition`.
    fn change(&self, edition: usize) -> anyhow::Result<()> {
        let kernels: String = (0..10)
            .map(|kernel| {
                format!(
                    "fn kernel_{kernel}(at: Item, x: &[f32], mut y: Disjoint<f32>) {{\n    \
                     if let Some(y) = y.at(&at) {{\n        \
                     *y += {}.5 * x[at.global()].sqrt();\n    }}\n}}\n",
                    edition + kernel
                )
            })
            .collect();
        let launches: String = (0..10)
            .map(|kernel| {
                format!("    accelerator.launch(kernel_{kernel}, grid, (&x, &mut y))?;\n")
            })
            .collect();
        let source = format!(
            "use legionella::prelude::*;\n\n{kernels}\nfn main() -> legionella::Result<()> {{\n    \
             let accelerator = Accelerator::best()?;\n    \
             let x = accelerator.upload(&[1.0; 1000])?;\n    \
             let mut y = accelerator.upload(&[0.0; 1000])?;\n    \
             let grid = Grid::over(1000);\n{launches}    \
             let mut result = [0.0; 1000];\n    y.download(&mut result)?;\n    \
             println!(\"{{}}\", result[999]);\n    Ok(())\n}}\n"
        );
        fs::write(self.folder.join("src/main.rs"), source)?;
        Ok(())
    }

    fn target(&self, side: Side) -> PathBuf {
        self.folder.join(match side {
            Side::Ours => "target-ours",
            Side::Peer => "target-peer",
        })
    }

    /// Seconds that a build takes.
    fn build(&self, side: Side, arguments: &[&str]) -> anyhow::Result<f64> {
        let mut build = match side {
            Side::Ours => {
                let mut build = Command::new(&self.cargo_legionella);
                build.arg("legionella");
                build
            }
            Side::Peer => Command::new("cargo"),
        };
        build
            .args(["build", "--quiet", "--offline"])
            .args(arguments);
        build.env("CARGO_TARGET_DIR", self.target(side));
        build.env_remove("RUSTC_WRAPPER").env_remove("RUSTFLAGS");
        let before = Instant::now();
        self.run(&mut build)?;
        Ok(before.elapsed().as_secs_f64())
    }

    fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        command.current_dir(&self.folder).stdin(Stdio::null());
        let status = command.status().with_context(|| format!("{command:?}"))?;
        ensure!(status.success(), "{command:?}: {status}");
        Ok(())
    }

    /// Median seconds of both sides, taking turns after `prepare`.
    fn turns(
        &self,
        turns: usize,
        mut prepare: impl FnMut(usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<(f64, f64)> {
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            prepare(turn)?;
            ours.push(self.build(Side::Ours, &[])?);
            peer.push(self.build(Side::Peer, &[])?);
        }
        Ok((median(&mut ours), median(&mut peer)))
    }

    /// Size of the executable in mebibytes.
    fn size(&self, side: Side) -> anyhow::Result<f64> {
        let name = format!("project{}", std::env::consts::EXE_SUFFIX);
        let path = self.target(side).join("release").join(name);
        let file = fs::metadata(&path).with_context(|| format!("{}", path.display()))?;
        Ok(file.len() as f64 / f64::from(1 << 20))
    }
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let project = Project::write(bench, folder.path())?;
    project.run(Command::new("cargo").args(["fetch", "--quiet"]))?;

    let clean = project.turns(CLEAN, |_| {
        for side in [Side::Ours, Side::Peer] {
            let target = project.target(side);
            if target.exists() {
                fs::remove_dir_all(target)?;
            }
        }
        Ok(())
    })?;
    let incremental = project.turns(INCREMENTAL, |turn| project.change(turn + 1))?;
    project.build(Side::Ours, &["--release"])?;
    project.build(Side::Peer, &["--release"])?;
    let larger = project.size(Side::Ours)? - project.size(Side::Peer)?;

    let row = |case: &str, (ours, peer), unit| Row {
        bench: format!("build-{case}"),
        target: "any".to_owned(),
        ours,
        peer,
        unit,
    };
    Ok(vec![
        row("clean", clean, "s"),
        row("incremental", incremental, "s"),
        // No peer: the limit of a program with ten kernels.
        row("larger-executable", (larger, 2.0), "MiB"),
    ])
}
