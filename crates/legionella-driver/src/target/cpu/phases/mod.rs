//! Kernels whose items wait for each other, cut into phases.
//!
//! Takes a simplified entry shim with operations of whole groups in it, and makes of it the function
//! that the application calls. The kernel is [cut] where items wait for each other. What an item does
//! between two cuts is a *phase*: a function without such operations, of which [`step`] makes one for
//! each. All items of a group run a phase, in regions or one by one, before any runs the next
//! ([`run`]); what they keep meanwhile lies in the [`frame`]. Which phase comes next is decided once a
//! group, where [`uniform`] tells that items can't differ, and otherwise they are asked whether they
//! do. Loops around barriers thereby are loops around phases.

mod check;
mod cut;
mod exchange;
mod frame;
mod items;
mod private;
mod run;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{cpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::coroutines::SharedMemory;
use super::items::Shape;
use super::regions::{self, Plan, Policy};
use super::{divisions, internal};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::{self, Builder, Function, Pipeline, Types, Value, llvm};
use cut::Cuts;
use frame::{Frame, Uses};
use step::Step;

/// Why a kernel is not cut into phases. Its items are coroutines then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("some of it can't be reached")]
    Unreachable,
    #[error("it has a cycle that is no loop")]
    Irreducible,
    #[error("it has a barrier whose label isn't known")]
    Label,
    #[error("items wait at a place in the source that isn't known")]
    Place,
    #[error("items may wait for each other at different barriers with one label")]
    Alike,
    #[error("not all items of a group come to an operation of subgroups together")]
    Subgroup,
    #[error("it asks for an id in a dimension that isn't known")]
    Dimension,
    #[error("a function that is not inlined asks for ids or shared memory")]
    OutOfLine,
    #[error("it has memory of an item whose size isn't known, or which is aligned to much")]
    Memory,
    #[error("its {0} phases have {1} instructions, more than the {2} that are worth it")]
    Size(usize, usize, usize),
}

/// Most instructions of all phases together.
const MOST_INSTRUCTIONS: usize = 12_000;

/// Before a kernel is cut: ids are simplified, and loops get the form that they are analysed in.
const PREPARE: Pipeline<'static> = Pipeline {
    text: "function(instcombine<no-verify-fixpoint>,early-cse,simplifycfg,\
           instcombine<no-verify-fixpoint>,loop-simplify,lcssa)",
    ..crate::lower::PLAIN
};

/// Makes phases of one function for all, and simplifies them.
const PART: Pipeline<'static> = Pipeline {
    text: "always-inline,globaldce,function(sroa,early-cse<memssa>,simplifycfg,\
           instcombine<no-verify-fixpoint>,jump-threading,correlated-propagation,simplifycfg,\
           loop-mssa(loop-rotate,licm),gvn,instcombine<no-verify-fixpoint>,adce,simplifycfg)",
    ..crate::lower::PLAIN
};

/// A phase, ready to be built.
struct Part<'m> {
    shape: Shape<'m>,
    /// Or why its items run one by one.
    plan: Result<Plan<'m>, regions::Refusal>,
    uses: Uses,
    outcome: cut::Phase,
}

/// A kernel in phases, ready to be built.
struct Phases<'m> {
    parts: Vec<Part<'m>>,
    frame: Frame<'m>,
    /// Bytes of the shared memory that the code asks for.
    shared_size: u64,
    /// What is done where each phase but the first begins.
    operations: Vec<cut::Operation>,
    /// An array of the places in the source where items wait, by outcome; that of those who have
    /// ended is null.
    places: Value<'m>,
}

/// Makes of an entry shim the code's entry.
///
/// # Errors
/// The inner one if the kernel can't be cut; it then means what it did.
pub(super) fn build(
    module: &Module<'_>,
    entry: &str,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
    policy: Policy,
) -> Result<Result<(), Refusal>, Error> {
    let Some(kernel) = ir::function(module, entry) else {
        return Err(internal(format!("the function {entry} is gone")));
    };
    if let Err(refusal) = check(module, kernel) {
        return Ok(Err(refusal));
    }
    let known =
        ["align", "dereferenceable"].map(|name| (name, kernel.parameter_attribute(0, name)));
    private::narrow(kernel);
    make_ids_local(module);
    merge_ids(module, kernel);
    PREPARE.run(module, machine)?;
    cut::separate(kernel);
    regions::prepare(module, machine)?;
    let cuts = match Cuts::of(kernel) {
        Ok(cuts) => cuts,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let instructions: usize = cuts.phases.iter().map(|phase| phase.instructions).sum();
    if instructions > MOST_INSTRUCTIONS {
        let phases = cuts.phases.len();
        return Ok(Err(Refusal::Size(phases, instructions, MOST_INSTRUCTIONS)));
    }
    let phases = Phases::of(module, kernel, cuts, machine, policy)?;
    stages.tell("way", &phases);
    stages.show("phases", module)?;
    stages.tell("regions", Listing(&phases));
    if let Some(unused) = ir::function(module, intrinsic::CPU_RUN_GROUPS) {
        unused.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    }
    run::build(module, phases, &known)?;
    stages.show("items", module)?;
    Ok(Ok(()))
}

/// Does what has to wait until all of it is one function and nothing is to become vectors any more that
/// hasn't been planned.
pub(super) fn finish(module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
    let Some(run) = ir::function(module, cpu::RUN) else {
        return Ok(());
    };
    private::make_plain(run);
    let telling = || {
        let branches = run.blocks().into_iter().map(|block| block.terminator());
        branches.filter(|branch| branch.has_metadata(items::KNOWN))
    };
    if telling().next().is_some() {
        UNIFY.run(module, machine)?;
        telling().for_each(ir::known::tell);
    }
    Ok(())
}

/// So that what is computed twice is the same value.
const UNIFY: Pipeline<'static> = Pipeline {
    text: "function(mem2reg,simplifycfg,early-cse)",
    ..crate::lower::PLAIN
};

/// What is of the item or of its group and is given by calls.
const GIVEN: [&str; 3] = [
    intrinsic::SHARED,
    intrinsic::DYNAMIC_SHARED,
    intrinsic::SUBGROUP_LANE,
];

/// Looks for what phases can't have.
fn check<'m>(module: &'m Module<'_>, kernel: Function<'m>) -> Result<(), Refusal> {
    for name in crate::lower::IDS.into_iter().chain(GIVEN) {
        let users = ir::function(module, name).map(|function| function.value().users());
        for call in users.into_iter().flatten() {
            if call.block().function() != kernel {
                return Err(Refusal::OutOfLine);
            }
            if !GIVEN.contains(&name) && call.operand(0).constant_integer().is_none() {
                return Err(Refusal::Dimension);
            }
        }
    }
    let allocas = kernel.instructions().into_iter();
    let mut allocas = allocas.filter(|instruction| instruction.is(LLVMOpcode::LLVMAlloca));
    let unfit = |alloca: Value<'_>| {
        !alloca.operand(0).is_constant()
            || alloca.alignment() as usize > intrinsic::DYNAMIC_SHARED_ALIGN
    };
    if allocas.any(unfit) {
        return Err(Refusal::Memory);
    }
    Ok(())
}

/// Global ids as sums of the group's and the local ones, so that what is the same for all items of a
/// group becomes visible.
fn make_ids_local(module: &Module<'_>) {
    let Some(function) = ir::function(module, intrinsic::GLOBAL_ID) else {
        return;
    };
    let names = [
        intrinsic::GROUP_ID,
        intrinsic::GROUP_SIZE,
        intrinsic::LOCAL_ID,
    ];
    let [group, size, local] = names.map(|name| declare_id(module, name));
    for call in function.value().users() {
        let at = Builder::before(call);
        let dimension = [call.operand(0)];
        let first = at.mul(at.call(group, &dimension), at.call(size, &dimension));
        let local = at.call(local, &dimension);
        call.replace_all_uses_with(at.add(first, local));
        call.erase();
    }
    function.delete();
}

/// Has each id be asked for once, at the beginning: LLVM doesn't take calls for the same that differ
/// in what they promise.
fn merge_ids(module: &Module<'_>, kernel: Function<'_>) {
    let Some(first) = kernel.instructions().first().copied() else {
        return;
    };
    // They go last, as the first instruction may be one of them.
    let mut gone = Vec::new();
    for name in crate::lower::IDS {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        let mut known = BTreeMap::new();
        for call in function.value().users() {
            let dimension = call.operand(0);
            let once = || Builder::before(first).call(function, &[dimension]);
            let id = *known
                .entry(dimension.constant_integer())
                .or_insert_with(once);
            call.replace_all_uses_with(id);
            gone.push(call);
        }
    }
    gone.into_iter().for_each(Value::erase);
}

/// Whether what items do depends on their row, and not only by their number in the group or grid.
fn has_rows(kernel: Function<'_>) -> bool {
    let asks = |value: Value<'_>, name, dimension| {
        value
            .called_function()
            .is_some_and(|called| called.name() == name)
            && value.operand(0).constant_integer() == Some(dimension)
    };
    let of_plane =
        |value| asks(value, intrinsic::LOCAL_ID, 2) || asks(value, intrinsic::GROUP_ID, 2);
    let mut ahead: Vec<_> = kernel.instructions();
    ahead.retain(|value| value.is_call() && asks(*value, intrinsic::LOCAL_ID, 1));
    while let Some(row) = ahead.pop() {
        for user in row.users() {
            if !user.is(LLVMOpcode::LLVMAdd) {
                return true;
            }
            if !user
                .operands()
                .into_iter()
                .any(|one| depends(one, &of_plane, DEEPEST_ID))
            {
                ahead.push(user);
            }
        }
    }
    false
}

/// Longest computation by which a number in a grid is recognised.
const DEEPEST_ID: u32 = 4;

fn depends<'m>(value: Value<'m>, on: &impl Fn(Value<'m>) -> bool, depth: u32) -> bool {
    let further = || {
        value
            .operands()
            .into_iter()
            .any(|one| depends(one, on, depth - 1))
    };
    value.is_instruction() && (on(value) || depth > 0 && further())
}

fn declare_id<'m>(module: &'m Module<'_>, name: &str) -> Function<'m> {
    let types = Types::of(module);
    let function = ir::declare(module, name, types.i64, &[types.i32]);
    step::give_only(function);
    function
}

fn places<'m>(module: &'m Module<'_>, cuts: &Cuts<'m>) -> Value<'m> {
    let null = Types::of(module).ptr.zero();
    let waits = cuts.cuts.iter().map(|cut| cut.place);
    let places: Vec<_> = std::iter::once(null).chain(waits).collect();
    ir::constant(module, &places)
}

fn set_linkage(global: Value<'_>, linkage: LLVMLinkage) {
    llvm!(c::LLVMSetLinkage(global.raw(), linkage));
}

impl<'m> Phases<'m> {
    fn of(
        module: &'m Module<'_>,
        kernel: Function<'m>,
        mut cuts: Cuts<'m>,
        machine: &TargetMachine,
        policy: Policy,
    ) -> Result<Self, Error> {
        // Visible from outside, so that it stays until it is used.
        let places = places(module, &cuts);
        let has_rows = !policy.asks_for_gain() || has_rows(kernel);
        set_linkage(places, LLVMLinkage::LLVMExternalLinkage);
        let step = Step::of(module, kernel, &mut cuts, machine);
        let functions: Vec<_> = (0..cuts.phases.len())
            .map(|number| step.phase(module, number))
            .collect();
        PART.run(module, machine)?;
        let frame = Frame::of(module, step.slots, machine);
        let mut shared = SharedMemory::default();
        let mut parts = Vec::new();
        for (number, (function, outcome)) in functions.into_iter().zip(cuts.phases).enumerate() {
            let uses = frame.bind(function, &outcome, &mut shared)?;
            let shape = Shape::of(module, function);
            shape.body().set_name(&format!("legionella.phase{number}"));
            if let Some(deferred) = shape.deferred() {
                deferred.cold.set_name(&format!("legionella.cold{number}"));
            }
            divisions::make_total(shape.body());
            parts.push((shape, uses, outcome));
        }
        regions::prepare(module, machine)?;
        let policy = policy.of_phases();
        let parts = parts.into_iter().map(|(shape, uses, outcome)| Part {
            plan: Plan::of_rows(shape.body(), machine, policy, has_rows),
            shape,
            uses,
            outcome,
        });
        Ok(Phases {
            parts: parts.collect(),
            frame,
            shared_size: shared.size,
            operations: cuts.cuts.iter().map(|cut| cut.operation).collect(),
            places,
        })
    }
}

/// The regions of all phases, as [`Plan::listing`] shows them.
struct Listing<'a, 'm>(&'a Phases<'m>);

impl fmt::Display for Listing<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.parts.iter().enumerate() {
            write!(f, "phase {number}: ")?;
            match &part.plan {
                Ok(plan) => write!(f, "{}", plan.listing())?,
                Err(refusal) => writeln!(f, "item by item: {refusal}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Phases<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} phases", self.parts.len())?;
        for (number, part) in self.parts.iter().enumerate() {
            let outcomes = part.outcome.outcomes.iter();
            let outcomes = outcomes.map(|outcome| match outcome {
                0 => "the end".to_owned(),
                phase => format!("phase {phase}"),
            });
            let outcomes: Vec<_> = outcomes.collect();
            let checked = if part.outcome.parts {
                "; whether items differ in that is checked"
            } else {
                ""
            };
            let begin = match number.checked_sub(1).map(|cut| self.operations[cut]) {
                None => "",
                Some(cut::Operation::Barrier { .. }) => " behind a barrier",
                Some(cut::Operation::Shuffle) => " behind a shuffle",
                Some(cut::Operation::Ballot) => " behind a ballot",
            };
            let to = outcomes.join(" or ");
            writeln!(f, "phase {number}{begin}: to {to}{checked}")?;
            match &part.plan {
                Ok(plan) => write!(f, "{plan}")?,
                Err(refusal) => writeln!(f, "item by item: {refusal}")?,
            }
        }
        Ok(())
    }
}
