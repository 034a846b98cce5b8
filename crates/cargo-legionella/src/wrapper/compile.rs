//! Compiles one crate so that its bitcode from before LLVM's optimisation is kept.
//!
//! Takes a compiler run that cargo wants and adds to it: MIR jump threading off (it would copy
//! barriers into divergent branches), bitcode saved, line information in it, and this program as
//! the linker. What the crate is compiled to is otherwise what cargo asked for.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use anyhow::{Context as _, bail};

use super::invocation::Invocation;
use super::outputs::{Outputs, remove};
use crate::linker;
use crate::store::{self, Committed, Pending};

/// Runs the compiler and keeps the crate's bitcode.
pub(super) fn run(
    programs: &[OsString],
    args: &[OsString],
    invocation: &Invocation,
) -> anyhow::Result<ExitCode> {
    let chained = super::chained();
    let compilation = Compilation::new(programs, args, invocation)?;
    let mut status = compilation.run_compiler(chained.as_deref())?;
    if status.success() && chained.is_some() && !compilation.bitcode.exists()? {
        // The chained wrapper had the outputs without running the compiler.
        status = compilation.run_compiler(None)?;
    }
    if status.success() && compilation.keep()? == Committed::Incomplete {
        // Codegen units were reused whose bitcode is lost: compile them anew.
        compilation.forget()?;
        status = compilation.run_compiler(None)?;
        if status.success() && compilation.keep()? == Committed::Incomplete {
            bail!(
                "the compiler gave no bitcode for all of crate `{}`",
                compilation.bitcode.name
            );
        }
    }
    if status.success() {
        compilation.finish()?;
    }
    Ok(super::exit_code(status))
}

/// A compiler run as this wrapper changes it.
struct Compilation<'a> {
    programs: &'a [OsString],
    args: Vec<OsString>,
    invocation: &'a Invocation,
    outputs: Outputs,
    bitcode: Pending,
    link: PathBuf,
}

impl<'a> Compilation<'a> {
    fn new(
        programs: &'a [OsString],
        args: &[OsString],
        invocation: &'a Invocation,
    ) -> anyhow::Result<Self> {
        let (Some(out_dir), Some(stem), Some(crate_name)) = (
            invocation.out_dir.as_deref(),
            invocation.stem(),
            invocation.crate_name.as_deref(),
        ) else {
            bail!("the compiler's arguments name no crate or no output folder");
        };
        let name = format!("{crate_name}{}", invocation.extra_filename);
        let outputs = Outputs::new(out_dir, &format!("{stem}.legionella.tmp"))?;
        let folder = |name: &str| -> anyhow::Result<PathBuf> {
            let folder = outputs.private().join(name);
            fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
            Ok(folder)
        };
        let bitcode = Pending {
            store: out_dir.join(format!("{stem}.legionella")),
            temps: folder("temps")?,
            // The cache is the crate's own so that it can be removed when the store is lost.
            incremental: (invocation.incremental.as_ref())
                .map(|cache| cache.join(format!("{name}-legionella"))),
            name,
            scratch: folder("store")?,
            externs: invocation.externs.clone(),
        };
        let compilation = Compilation {
            programs,
            args: outputs.redirect(args),
            invocation,
            link: folder("link")?,
            outputs,
            bitcode,
        };
        compilation.check_incremental_cache()?;
        compilation.add_arguments()
    }

    /// Removes an incremental cache that the store does not belong to, so that no codegen unit is
    /// reused whose bitcode is missing or from another time.
    fn check_incremental_cache(&self) -> anyhow::Result<()> {
        let Some(cache) = &self.bitcode.incremental else {
            return Ok(());
        };
        let stored = store::contents(&self.bitcode.store).and_then(|contents| contents.session);
        let newest = store::newest_session(cache);
        if newest.as_deref().and_then(store::session_name) != stored {
            remove(cache)?;
        }
        Ok(())
    }

    fn add_arguments(mut self) -> anyhow::Result<Self> {
        let with_value = |option: &str, value: &Path| {
            let mut arg = OsString::from(option);
            arg.push(value);
            arg
        };
        self.args.push("-Zmir-enable-passes=-JumpThreading".into());
        self.args.push("-Csave-temps".into());
        let temps = with_value("-Ztemps-dir=", &self.bitcode.temps);
        self.args.push(temps);
        if !self.invocation.debug_information {
            self.args.push("-Cdebuginfo=line-directives-only".into());
        }
        if let Some(cache) = &self.bitcode.incremental {
            self.args.push(with_value("-Cincremental=", cache));
        }
        if self.invocation.links() {
            let plan = linker::Plan::new(
                linker::real(
                    self.invocation.linker.as_deref(),
                    self.invocation.linker_flavor.as_deref(),
                ),
                self.programs.iter().map(PathBuf::from).collect(),
                self.invocation.sysroot.clone(),
                self.invocation.target.clone(),
                self.bitcode.clone(),
            );
            let linker = plan
                .install(&self.link, self.invocation.linker.as_deref())
                .context("preparing the linker step")?;
            self.args.push(with_value("-Clinker=", &linker));
        }
        Ok(self)
    }

    fn run_compiler(&self, chained: Option<&OsStr>) -> anyhow::Result<ExitStatus> {
        let mut command = super::compiler(self.programs, chained);
        // Two options above are unstable. The variable is set for this one process: build scripts
        // that look for unstable features never see it.
        command.args(&self.args).env("RUSTC_BOOTSTRAP", "1");
        tracing::debug!(?command, "compile");
        let context = || format!("running {}", command.get_program().display());
        if !self.invocation.announces {
            let context = context();
            return command.status().context(context);
        }
        let context = context();
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| context.clone())?;
        if let Some(messages) = child.stderr.take() {
            self.outputs
                .relay(BufReader::new(messages), std::io::stderr().lock())?;
        }
        child.wait().context(context)
    }

    /// Makes the store if anything will want it: other crates that link this one, or the next
    /// incremental compilation. For others the linker step has made it if there are kernels.
    fn keep(&self) -> anyhow::Result<Committed> {
        if linker::outcome(&self.link) == Some(linker::Outcome::Incomplete) {
            return Ok(Committed::Incomplete);
        }
        if !self.invocation.is_library() && self.bitcode.incremental.is_none() {
            return Ok(Committed::Complete);
        }
        self.bitcode
            .commit()
            .with_context(|| format!("keeping bitcode in {}", self.bitcode.store.display()))
    }

    /// Removes what an earlier run of the same compilation left.
    fn forget(&self) -> anyhow::Result<()> {
        if let Some(cache) = &self.bitcode.incremental {
            remove(cache)?;
        }
        for folder in [&self.bitcode.temps, &self.bitcode.scratch] {
            remove(folder)?;
            fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        linker::forget_outcome(&self.link)
    }

    fn finish(&self) -> anyhow::Result<()> {
        if linker::outcome(&self.link) == Some(linker::Outcome::Bundled) {
            // Cargo links again when this variable changes.
            let name = linker::PREBUILD;
            let line = match std::env::var(name) {
                Ok(value) => format!("\n# env-dep:{name}={value}"),
                Err(_) => format!("\n# env-dep:{name}"),
            };
            self.outputs.add_to_sources(&line)?;
            // Code that was generated ahead is this program's.
            if std::env::var_os(name).is_some_and(|targets| !targets.is_empty()) {
                let program = std::env::current_exe().context("finding this program")?;
                self.outputs.add_source(&program)?;
            }
            eprint!("{}", linker::warnings(&self.link));
        }
        self.outputs.finish()
    }
}
