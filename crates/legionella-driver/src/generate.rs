//! The whole compiler for one kernel: bitcode in, code out, with every stage to look at.

use std::path::PathBuf;
use std::time::Instant;

use inkwell::context::Context;
use inkwell::module::Module;
use legionella_abi::protocol::{Code, Diagnostic, Options, TargetSpec};

use crate::error::Error;
use crate::ir::Pipeline;
use crate::ir::debug::Lines;
use crate::remarks::{self, Remark};
use crate::target::{self, Toolbox};
use crate::{lower, validate};

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kernel does what the target can't, for all these reasons.
    #[error("the kernel does what the target can't do, in {} places", .0.len())]
    Refused(Vec<Diagnostic>),
    /// The driver failed.
    #[error(transparent)]
    Error(#[from] Error),
}

/// The stages of a kernel on its way, in order, for those who want to see them.
pub const STAGES: [&str; 7] = [
    "ir",
    "lowered",
    "simplified",
    "way",
    "regions",
    "items",
    "optimized",
];

/// A function that is given a stage's name and its text.
type See<'a> = dyn FnMut(&str, &str) + 'a;

/// Receives the IR of every stage, and logs how long each took.
pub struct Stages<'a> {
    see: Option<&'a mut See<'a>>,
    /// What LLVM remarks, if somebody wants to know.
    remarks: Option<Vec<Remark>>,
    since: Instant,
}

impl<'a> Stages<'a> {
    /// Stages that nobody looks at.
    pub fn unseen() -> Self {
        Stages {
            see: None,
            remarks: None,
            since: Instant::now(),
        }
    }

    /// Stages whose name and text go to a function.
    pub fn seen_by(see: &'a mut See<'a>) -> Self {
        Stages {
            see: Some(see),
            remarks: None,
            since: Instant::now(),
        }
    }

    /// The same, and LLVM's remarks are kept.
    pub fn with_remarks(mut self) -> Self {
        self.remarks = Some(Vec::new());
        self
    }

    /// The remarks that were kept.
    pub fn into_remarks(self) -> Vec<Remark> {
        self.remarks.unwrap_or_default()
    }

    /// Shows a stage that is no IR: what was decided, in words. Nothing is written that nobody sees.
    pub(crate) fn tell(&mut self, stage: &str, text: impl std::fmt::Display) {
        if let Some(see) = &mut self.see {
            see(stage, &text.to_string());
        }
    }

    pub(crate) fn show(&mut self, stage: &str, module: &Module<'_>) -> Result<(), Error> {
        tracing::debug!(stage, took = ?self.since.elapsed());
        let seen = self.see.is_some();
        if let Some(see) = &mut self.see {
            see(stage, &module.print_to_string().to_string());
        }
        if cfg!(debug_assertions) || seen {
            module.verify().map_err(|error| Error::Internal {
                stage: "verification of the IR",
                reason: format!("after {stage}: {error}"),
            })?;
        }
        self.since = Instant::now();
        Ok(())
    }
}

/// Full optimisation of a kernel by itself: nothing that commits to a vector width, so that the
/// target decides what becomes of its loops.
///
/// These are the simplifying passes of LLVM's own O3 (`PassBuilder::buildInlinerPipeline` and
/// `buildFunctionSimplificationPipeline`), in its order. The whole O3 can't be used: it vectorises
/// small loops and straight-line code of an item, told not to or not, and then nothing is left to
/// vectorise across items.
pub(crate) const SIMPLIFY: Pipeline<'static> = Pipeline {
    text: "inferattrs,function(lower-expect,simplifycfg,sroa,early-cse),ipsccp,globalopt,\
           function(mem2reg,instcombine<no-verify-fixpoint>,simplifycfg),always-inline,\
           cgscc(devirt<4>(inline,function-attrs,argpromotion,function(\
           sroa,early-cse<memssa>,jump-threading,correlated-propagation,simplifycfg,\
           instcombine<no-verify-fixpoint>,tailcallelim,simplifycfg,reassociate,\
           constraint-elimination,\
           loop-mssa(loop-instsimplify,loop-simplifycfg,licm,loop-rotate,licm,\
           simple-loop-unswitch),simplifycfg,instcombine<no-verify-fixpoint>,\
           loop(loop-idiom,indvars,loop-deletion,loop-unroll-full),\
           sroa,mldst-motion,gvn,sccp,bdce,instcombine<no-verify-fixpoint>,jump-threading,\
           correlated-propagation,adce,memcpyopt,dse,loop-mssa(licm),simplifycfg,\
           instcombine<no-verify-fixpoint>))),\
           deadargelim,globalopt,globaldce",
    vectorise: false,
    unroll: true,
    inline_threshold: 275,
};

/// For work-items in lockstep, where a branch costs more than a few operations: has conditions that lead to one
/// place, as those of `while i < n && x * x < y`, be computed together. LLVM does so only while nothing else
/// uses what they are computed of, which is before common subexpressions are found.
const JOIN_CONDITIONS: Pipeline<'static> = Pipeline {
    text: "function(simplifycfg,sroa,simplifycfg<bonus-inst-threshold=4>)",
    ..lower::PLAIN
};

/// Generates the code of one kernel.
///
/// # Errors
/// If the kernel does what the target can't, or the driver fails.
pub fn generate(
    bitcode: &[u8],
    entry: &str,
    spec: &TargetSpec,
    options: &Options,
    toolbox: &Toolbox,
) -> Result<Code, Failure> {
    let mut write = |stage: &str, text: &str| {
        if let Some(folder) = &options.dump {
            dump(folder, entry, spec, stage, text);
        }
    };
    let mut stages = if options.dump.is_some() {
        Stages::seen_by(&mut write)
    } else {
        Stages::unseen()
    };
    let toolbox = Toolbox {
        maths: options.maths.as_ref().map(|maths| (&maths.path).into()),
        ..toolbox.clone()
    };
    generate_seen(bitcode, entry, spec, &toolbox, &mut stages)
}

/// The same, with each stage shown.
///
/// # Errors
/// If the kernel does what the target can't, or the driver fails.
pub fn generate_seen(
    bitcode: &[u8],
    entry: &str,
    spec: &TargetSpec,
    toolbox: &Toolbox,
    stages: &mut Stages<'_>,
) -> Result<Code, Failure> {
    let span = tracing::info_span!("generate", kernel = %crate::extract::kernel_name(entry), target = %spec.kind);
    let _guard = span.enter();
    let target = target::find(spec)?;
    let machine = (target.machine)(spec)?;
    let context = Context::create();
    crate::llvm::diagnostics::log(&context);
    let kernel = lower::kernel(&context, bitcode, entry, target.support)?;
    stages.show("ir", &kernel.module)?;
    let lacking = (target.lacking)(&machine);
    let abilities = lower::Abilities {
        lacking: &lacking,
        atomic_sums: target.atomics.native,
        has_allocator: target.has_allocator,
        peers: target.peers,
        matrices: &(target.matrices)(&machine),
        arrangement: (target.arrangement)(&machine),
        support: target.support,
        vendor: target.vendor.as_ref().zip(toolbox.maths.as_deref()),
    };
    let kernel = lower::lower(kernel, &machine, &abilities)?;
    kernel.module.set_triple(&machine.get_triple());
    kernel
        .module
        .set_data_layout(&machine.get_target_data().get_data_layout());
    (target.adapt)(&kernel.module)?;
    lower::baseline::replace(&kernel.module, target.native)?;
    stages.show("lowered", &kernel.module)?;
    let mut problems = validate::statics(&kernel);
    if target.lockstep {
        lower::formatting::keep_small(&kernel.module);
        JOIN_CONDITIONS.run_for_any_machine(&kernel.module)?;
        SIMPLIFY.run_for_any_machine(&kernel.module)?;
    } else {
        SIMPLIFY.run(&kernel.module, &machine)?;
    }
    lower::atomics::bind(&kernel.module, &target.atomics, &lacking);
    stages.show("simplified", &kernel.module)?;
    problems.extend(validate::calls(&kernel, target.native, &lacking));
    problems.extend(validate::collective(&kernel));
    problems.extend(validate::divergent(&kernel));
    if !problems.is_empty() {
        return Err(Failure::Refused(problems));
    }
    let meanwhile;
    if stages.remarks.is_some() {
        let name = crate::extract::kernel_name(entry);
        let (optimised, remarks) = remarks::on(&context, &kernel.module, &name, || {
            (target.optimise)(&kernel, &machine, stages)
        });
        meanwhile = optimised?;
        stages.remarks = Some(remarks);
        Lines::None.write(&kernel.module);
    } else {
        target.lines.prepare(&kernel.module);
        meanwhile = (target.optimise)(&kernel, &machine, stages)?;
        target.lines.write(&kernel.module);
    }
    stages.show("optimized", &kernel.module)?;
    let code = (target.emit)(&kernel, &machine, toolbox, meanwhile)?;
    tracing::debug!(stage = "code", took = ?stages.since.elapsed());
    Ok(code)
}

/// Writes a stage's IR; dumps are for people, so a failure to write is only logged.
fn dump(folder: &str, entry: &str, spec: &TargetSpec, stage: &str, text: &str) {
    let place = STAGES
        .iter()
        .position(|name| *name == stage)
        .unwrap_or(STAGES.len());
    let mut name: String = crate::extract::kernel_name(entry)
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    name.truncate(100);
    let path = PathBuf::from(folder).join(format!("{name}.{}.{place}-{stage}.ll", spec.kind));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "cannot write IR");
    }
}
