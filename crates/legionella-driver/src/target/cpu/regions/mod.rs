//! Region fission: kernels with loops, vectorised across work-items.
//!
//! Takes the function of one item, gives code that runs a strip of items side by side. The function
//! is [split] into regions; a region runs for all lanes that are at it as one loop over the lanes,
//! the *lane loop*, which LLVM's vectoriser turns into vector code. Each lane's `next` says which
//! region it is at; the least goes first. What regions need of each other is kept in [slots]
//! (crossings), which end up in vector registers, and what lanes [share](sharing) is computed once
//! before the lane loop. [`build`] writes all that down. Knows nothing of groups, strips or panics.
//!
//! [slots]: crossings
//!
//! Results are those of each item run alone: nothing is reordered within an item, and items have no
//! order among each other anyway.

mod build;
mod crossings;
#[cfg(test)]
mod form_tests;
mod forms;
mod growth;
mod listing;
mod rows;
mod sharing;
mod split;
#[cfg(test)]
mod tests;
mod together;
mod vectors;
mod worth;

use std::collections::BTreeSet;
use std::fmt;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::LLVMOpcode;

use super::overflow;
use crate::error::Error;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Function, Pipeline, Type, Value};
use crossings::Crossings;
use sharing::{Sharing, Sharings};
use split::Split;
use together::Together;

pub(super) use build::Site;
pub(super) use rows::{Beginning, Side};
pub(super) use together::{FIRST_MATTERS, MOSTLY};
pub(super) use vectors::storage;

/// Why a kernel is not split into regions. It then runs item by item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The item loop is as good, and simpler.
    #[error("it has no loop")]
    Straight,
    #[error("some of it can't be reached")]
    Unreachable,
    #[error("it has a cycle that is no loop")]
    Irreducible,
    #[error("a panic's message needs memory of the item")]
    PanicsOnTheSpot,
    #[error("a value of type {0} lives from one region to another")]
    Type(String),
    #[error("it calls {0}, which is not inlined")]
    Call(String),
    #[error("a loop over it has {0}")]
    Obstacle(String),
    #[error("{0} accesses to memory in its loops are apart from those of the item's neighbours")]
    Scattered(usize),
    #[error("it has {0}, more than the {1} that are worth it")]
    Size(String, usize),
}

/// Most regions and instructions of a function that is split: beyond, code grows faster than it
/// gets quicker.
const MOST_REGIONS: usize = 64;
const MOST_INSTRUCTIONS: usize = 3000;

/// Most bytes of the item's own memory, for all lanes together.
const MOST_MEMORY: u64 = 1 << 15;

/// A function in regions, ready to be built.
pub(super) struct Plan<'m> {
    function: Function<'m>,
    split: Split<'m>,
    sharings: Sharings<'m>,
    crossings: Crossings<'m>,
    /// For each region why its lane loop stays scalar, if it does.
    obstacles: Vec<Option<String>>,
    lanes: u64,
    /// For lanes that stay together.
    together: Option<Together<'m>>,
}

/// Which functions are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Those that gain from it.
    Worthwhile,
    /// The phases of items that wait for each other, whose rows are short.
    Phases,
    /// All that can be.
    #[cfg(test)]
    Always,
    /// The same of phases.
    #[cfg(test)]
    AlwaysPhases,
}

impl Policy {
    pub(super) fn asks_for_gain(self) -> bool {
        matches!(self, Policy::Worthwhile | Policy::Phases)
    }

    /// For the phases of a kernel that otherwise is split by this policy.
    pub(super) fn of_phases(self) -> Self {
        match self {
            Policy::Worthwhile | Policy::Phases => Policy::Phases,
            #[cfg(test)]
            Policy::Always | Policy::AlwaysPhases => Policy::AlwaysPhases,
        }
    }

    fn is_for_phases(self) -> bool {
        self == self.of_phases()
    }
}

/// Plans a function, after its loops have been brought into the form that regions are made from.
pub(super) fn plan<'m>(
    module: &'m Module<'_>,
    function: Function<'m>,
    machine: &TargetMachine,
    policy: Policy,
) -> Result<Result<Plan<'m>, Refusal>, Error> {
    if policy.asks_for_gain() && !has_loop(function) {
        return Ok(Err(Refusal::Straight));
    }
    prepare(module, machine)?;
    Ok(Plan::of(function, machine, policy))
}

/// Brings loops into the form that regions are made from.
pub(super) fn prepare(module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
    let pipeline = Pipeline {
        text: "function(loop-simplify,lcssa)",
        ..crate::lower::PLAIN
    };
    pipeline.run(module, machine)
}

/// Whether a function has a cycle, of whatever kind.
pub(super) fn has_loop(function: Function<'_>) -> bool {
    Blocks::of(function).is_none_or(|blocks| {
        let flow = blocks.flow();
        Loops::of(flow).map_or(true, |loops| loops.all().next().is_some())
    })
}

impl<'m> Plan<'m> {
    /// Plans a prepared function.
    ///
    /// # Errors
    /// If it can't be split or it isn't worth it. The function is as it was.
    pub(super) fn of(
        function: Function<'m>,
        machine: &TargetMachine,
        policy: Policy,
    ) -> Result<Self, Refusal> {
        Plan::of_rows(function, machine, policy, false)
    }

    /// The same of items that are in rows, or not.
    pub(super) fn of_rows(
        function: Function<'m>,
        machine: &TargetMachine,
        policy: Policy,
        has_rows: bool,
    ) -> Result<Self, Refusal> {
        let plan = Plan::as_it_is(function, machine, policy, has_rows)?;
        if !overflow::occurs(function) {
            return Ok(plan);
        }
        // It becomes vector code.
        overflow::expand(function);
        Plan::as_it_is(function, machine, policy, has_rows)
    }

    fn as_it_is(
        function: Function<'m>,
        machine: &TargetMachine,
        policy: Policy,
        has_rows: bool,
    ) -> Result<Self, Refusal> {
        let instructions = function.instructions();
        if instructions.len() > MOST_INSTRUCTIONS {
            let count = format!("{} instructions", instructions.len());
            return Err(Refusal::Size(count, MOST_INSTRUCTIONS));
        }
        for instruction in &instructions {
            refuse_call(*instruction)?;
        }
        let size = |ty| type_size(machine, ty);
        let mut heads = BTreeSet::new();
        if policy.is_for_phases() {
            let lanes = vectors::lanes_of_phases(machine);
            let begin = together::prepare(function, lanes, has_rows, size);
            let blocks = Blocks::of(function).ok_or(Refusal::Unreachable)?;
            heads.extend(begin.into_iter().map(|block| blocks.number(block)));
        }
        let mut split = Split::of(function, &heads)?;
        if split.regions.len() > MOST_REGIONS {
            let count = format!("{} regions", split.regions.len());
            return Err(Refusal::Size(count, MOST_REGIONS));
        }
        let mut sharings = Sharings::of(&split);
        let further = sharing::heads_to_be(&split, &sharings);
        if !further.is_empty() {
            heads.extend(further);
            let finer = Split::of(function, &heads)?;
            if finer.regions.len() <= MOST_REGIONS {
                split = finer;
                sharings = Sharings::of(&split);
            }
        }
        if policy.asks_for_gain()
            && let Some(accesses) = worth::scattered(&split, &sharings, size)
        {
            return Err(Refusal::Scattered(accesses));
        }
        let crossings = Crossings::of(&split, &sharings)?;
        let obstacles: Vec<_> = split
            .regions
            .iter()
            .map(|region| {
                let blocks = region
                    .blocks
                    .iter()
                    .map(|number| split.blocks.block(*number));
                let own = blocks.flat_map(|block| block.instructions());
                let in_lanes = |value: &Value<'m>| {
                    let sharing = sharings.get(*value);
                    sharing == Sharing::Lane || value.is_void()
                };
                own.filter(in_lanes).find_map(vectors::obstacle)
            })
            .collect();
        for (region, obstacle) in split.regions.iter().zip(&obstacles) {
            if let Some(obstacle) = obstacle
                && policy.asks_for_gain()
                && (policy == Policy::Phases || split.loops.innermost(region.head()).is_some())
            {
                return Err(Refusal::Obstacle(obstacle.clone()));
            }
        }
        let lanes = vectors::lanes(
            machine,
            &split,
            policy,
            crossings
                .slots
                .iter()
                .filter(|slot| !slot.shared)
                .map(|slot| slot.value.ty()),
        );
        let memory: u64 = (function.instructions().into_iter())
            .filter(|instruction| instruction.is(LLVMOpcode::LLVMAlloca))
            .map(|alloca| size(alloca.allocated()))
            .sum();
        if memory * lanes > MOST_MEMORY {
            let bytes = format!("{} bytes of memory for all lanes", memory * lanes);
            return Err(Refusal::Size(bytes, MOST_MEMORY as usize));
        }
        let together = policy
            .is_for_phases()
            .then(|| Together::of(&split, lanes, has_rows, size))
            .flatten();
        Ok(Plan {
            function,
            split,
            together,
            sharings,
            crossings,
            obstacles,
            lanes,
        })
    }
}

/// Bytes of a value of a type.
pub(super) fn type_size(machine: &TargetMachine, ty: Type<'_>) -> u64 {
    use inkwell::types::AnyTypeEnum;
    // SAFETY: the type is one that LLVM gave out, and it has a size, being one of values in memory.
    let ty = unsafe { AnyTypeEnum::new(ty.raw()) };
    machine.get_target_data().get_abi_size(&ty)
}

/// Refuses calls that stay calls: what they do is not for vectors.
fn refuse_call(instruction: Value<'_>) -> Result<(), Refusal> {
    if !instruction.is_call() {
        return Ok(());
    }
    match instruction.called_function() {
        Some(function) if super::items::is_known(function) => Ok(()),
        Some(function) => Err(Refusal::Call(crate::extract::demangle(&function.name()))),
        None => Err(Refusal::Call("a function by its address".to_owned())),
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { split, lanes, .. } = self;
        write!(f, "{} regions, {lanes} lanes", split.regions.len())?;
        if let Some(together) = &self.together {
            write!(f, ", {} regions for lanes together", together.count())?;
            if let [most, ..] = self.rows() {
                write!(f, ", {most} rows side by side")?;
            }
        }
        writeln!(f)?;
        for (number, region) in split.regions.iter().enumerate() {
            self.describe(f, number, region)?;
        }
        Ok(())
    }
}

impl Plan<'_> {
    fn describe(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: usize,
        region: &split::Region,
    ) -> fmt::Result {
        let blocks = region
            .blocks
            .iter()
            .map(|number| self.split.blocks.block(*number));
        let instructions = blocks.flat_map(|block| block.instructions());
        let shared = instructions
            .filter(|value| !value.is_void() && self.sharings.get(*value) == Sharing::Region)
            .count();
        let loops = self.split.loops.around(region.head()).count();
        let together = match self.way(number) {
            build::Way::Together(_) => "together",
            build::Way::Apart => "apart",
        };
        write!(
            f,
            "region {number}: shares {shared} values, lies in {loops} loops, left {together}"
        )?;
        let mut targets: Vec<_> = region.exits.iter().map(|exit| exit.target).collect();
        targets.sort_unstable();
        targets.dedup();
        for target in targets {
            match target {
                split::Target::Region(to) => write!(f, ", to {to}")?,
                split::Target::Return => write!(f, ", to the end")?,
            }
        }
        if let Some(obstacle) = &self.obstacles[number] {
            write!(f, "; not vectorised: {obstacle}")?;
        }
        writeln!(f)
    }
}
