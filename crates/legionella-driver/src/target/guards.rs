//! Checks that a whole strip of items passes, tested once for the strip.
//!
//! The lane loop is there twice. The *quick* one runs when its *guard* holds, and in it each
//! comparison of the form "an id that grows with the lane against a bound that doesn't" has the
//! outcome that the guard has established from the strip's first and last item, and each condition
//! that is the same for all items and would make them panic has the other outcome. Bounds checks
//! thus cost a few instructions a strip, and the vectoriser sees a loop without masks. If that
//! doesn't free the loop of every panic, the guard never holds and the optimiser drops the loop.

use std::collections::{BTreeMap, BTreeSet};

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::affine::Affine;
use crate::ir::{self, Block, Builder, Types, Value, llvm};

const GUARD: &str = "legionella.guard";
const GUARDED: &str = "legionella.guarded";
const PLACE: &str = "legionella.place";

/// The quick lane loop, before it is settled what it assumes.
pub(in crate::target) struct Quick<'m> {
    /// A stand-in for the guard.
    pub(in crate::target) guard: Value<'m>,
    /// A stand-in for whether the guard can hold at all.
    pub(in crate::target) guarded: Value<'m>,
    /// A stand-in that uses the place where the item would panic.
    pub(in crate::target) place: Value<'m>,
    /// The loop's counter.
    pub(in crate::target) lane: Value<'m>,
    /// The loop's head.
    pub(in crate::target) header: Block<'m>,
    /// The counter's last value.
    pub(in crate::target) last: Value<'m>,
    /// An id that is the same for all lanes, and others elsewhere: where equal to something, of few.
    pub(in crate::target) row: Option<Value<'m>>,
}

/// A comparison that the guard decides.
struct Check<'m> {
    comparison: Value<'m>,
    varying: Value<'m>,
    bound: Value<'m>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// `varying < bound`, or its negation.
    Below { outcome: bool },
    /// `varying <= bound`, or its negation.
    AtMost { outcome: bool },
    /// `varying != bound`, or its negation.
    Differs { outcome: bool },
}

impl Kind {
    fn outcome(self) -> bool {
        match self {
            Kind::Below { outcome } | Kind::AtMost { outcome } | Kind::Differs { outcome } => {
                outcome
            }
        }
    }
}

impl<'m> Quick<'m> {
    /// A stand-in for a guard.
    pub(in crate::target) fn guard(module: &'m Module<'_>, at: &Builder<'m>) -> Value<'m> {
        stand_in(module, at, GUARD)
    }

    /// A stand-in for whether a guard can hold at all.
    pub(in crate::target) fn guarded(module: &'m Module<'_>, at: &Builder<'m>) -> Value<'m> {
        stand_in(module, at, GUARDED)
    }

    /// A use of an item's result that stays when the item is inlined.
    pub(in crate::target) fn place(
        module: &'m Module<'_>,
        at: &Builder<'m>,
        result: Value<'m>,
    ) -> Value<'m> {
        let types = Types::of(module);
        let place = if result.ty() == types.void {
            types.i32.zero()
        } else if result.ty() == types.i32 {
            result
        } else {
            at.extract(result, 0)
        };
        at.call(
            ir::declare(module, PLACE, types.void, &[types.i32]),
            &[place],
        )
    }

    /// The blocks of the loop without its head.
    pub(in crate::target) fn blocks(&self) -> BTreeSet<Block<'m>> {
        let mut found = BTreeSet::new();
        let mut ahead = vec![self.header.successors()[0]];
        while let Some(block) = ahead.pop() {
            if block != self.header && found.insert(block) {
                ahead.extend(block.successors());
            }
        }
        found
    }

    /// The addresses that the loop computes of neighbouring elements, one a lane.
    pub(in crate::target) fn neighbours(&self) -> Vec<Value<'m>> {
        let blocks = self.blocks();
        let affine = self.affine(&blocks);
        (self.header.function().blocks().into_iter())
            .filter(|block| blocks.contains(block))
            .flat_map(Block::instructions)
            .filter(|address| {
                address.is(LLVMOpcode::LLVMGetElementPtr)
                    && address.operands().len() == 2
                    && affine.step(address.operand(0), 0) == Some(0)
                    && affine.step(address.operand(1), 0) == Some(1)
            })
            .collect()
    }

    /// Splits the index of a neighbour into what differs between lanes, built where the address is, and terms that
    /// neither do nor depend on a value: without constants, of which it is known what they do to an address.
    pub(in crate::target) fn apart_from(
        &self,
        address: Value<'m>,
        first: Value<'m>,
    ) -> (Value<'m>, Vec<Value<'m>>) {
        let blocks = self.blocks();
        let affine = self.affine(&blocks);
        let at = Builder::before(address);
        let (mut index, mut constants, mut terms) = (address.operand(1), Vec::new(), Vec::new());
        while index.is(LLVMOpcode::LLVMAdd) {
            let operands = [index.operand(0), index.operand(1)];
            let (varying, fixed) = match operands.map(|operand| affine.step(operand, 0)) {
                [Some(1), Some(0)] => (operands[0], operands[1]),
                [Some(0), Some(1)] => (operands[1], operands[0]),
                _ => break,
            };
            if fixed.is_constant() {
                constants.push(fixed);
            } else if depends_on(fixed, first) {
                break;
            } else {
                terms.push(fixed);
            }
            index = varying;
        }
        let add = |all, constant| at.binary(LLVMOpcode::LLVMAdd, all, constant);
        (constants.into_iter().fold(index, add), terms)
    }

    /// Computes a value of the loop that is the same for all lanes again, before it.
    pub(in crate::target) fn before_loop(&self, value: Value<'m>, at: &Builder<'m>) -> Value<'m> {
        self.before_loop_of(value, at, self.last.ty().zero())
    }

    /// Computes a value of the loop again, before it and for a given lane.
    pub(in crate::target) fn before_loop_of(
        &self,
        value: Value<'m>,
        at: &Builder<'m>,
        lane: Value<'m>,
    ) -> Value<'m> {
        self.affine(&self.blocks()).repeat(value, at, lane)
    }

    fn affine<'a>(&self, blocks: &'a BTreeSet<Block<'m>>) -> Affine<'a, 'm> {
        Affine {
            lane: self.lane,
            header: self.header,
            blocks,
            row: self.row,
        }
    }

    /// Decides what the loop assumes, and replaces the stand-ins; `unchecked` says whether it is of use where it would assume
    /// nothing. Whether the guard can hold.
    pub(in crate::target) fn settle(&self, module: &'m Module<'_>, unchecked: bool) -> bool {
        let types = Types::of(module);
        let blocks = self.blocks();
        let affine = self.affine(&blocks);
        // In the function's order, so that the same kernel always gives the same code.
        let checks: Vec<_> = (self.header.function().blocks().into_iter())
            .filter(|block| blocks.contains(block))
            .flat_map(Block::instructions)
            .filter_map(|instruction| affine.check(instruction))
            .collect();
        let mut assumed: BTreeMap<_, _> = checks
            .iter()
            .map(|check| (check.comparison, check.kind.outcome()))
            .collect();
        let boolean = self.guard.ty();
        let guarded = self.free_of_panics(&affine, &mut assumed);
        let guard = match &guarded {
            Some(demands) if unchecked || !(checks.is_empty() && demands.is_empty()) => {
                let at = Builder::before(self.guard);
                let mut guard = boolean.constant(1);
                for (condition, outcome) in demands {
                    let value = affine.repeat(*condition, &at, types.i64.zero());
                    let wrong = boolean.constant(u64::from(!outcome));
                    let holds = at.binary(LLVMOpcode::LLVMXor, value, wrong);
                    guard = at.binary(LLVMOpcode::LLVMAnd, guard, holds);
                }
                for check in &checks {
                    let holds = affine.test(check, &at, types.i64.zero(), self.last);
                    guard = at.binary(LLVMOpcode::LLVMAnd, guard, holds);
                }
                for (condition, outcome) in &assumed {
                    let outcome = boolean.constant(u64::from(*outcome));
                    condition.replace_all_uses_with(outcome);
                }
                guard
            }
            _ => boolean.zero(),
        };
        let can_hold = boolean.constant(u64::from(guard != boolean.zero()));
        for (stand_in, value) in [(self.guard, guard), (self.guarded, can_hold)] {
            stand_in.replace_all_uses_with(value);
            stand_in.erase();
        }
        self.place.erase();
        for name in [GUARD, GUARDED, PLACE] {
            delete_if_unused(module, name);
        }
        guard != boolean.zero()
    }

    /// Adds assumptions, on conditions that are the same for all items, until no item panics on any
    /// way through the loop that is left. Gives them in the function's order; `None` if that fails.
    fn free_of_panics(
        &self,
        affine: &Affine<'_, 'm>,
        assumed: &mut BTreeMap<Value<'m>, bool>,
    ) -> Option<Vec<(Value<'m>, bool)>> {
        let mut demands = Vec::new();
        // Blocks from which every way leads to a panic that no assumption prevents.
        let mut lost = BTreeSet::new();
        'again: loop {
            let reached = self.reached(assumed);
            let mut bad = panicking(self.place.operand(0), &reached)?;
            bad.extend(lost.intersection(&reached));
            if bad.is_empty() {
                return Some(demands);
            }
            let blocks: Vec<_> = (self.header.function().blocks().into_iter())
                .filter(|block| reached.contains(block))
                .collect();
            loop {
                let before = bad.len();
                for block in &blocks {
                    let ways = taken(*block, assumed);
                    if !ways.is_empty() && ways.iter().all(|way| bad.contains(way)) {
                        bad.insert(*block);
                    }
                }
                if bad.len() == before {
                    break;
                }
            }
            for block in blocks.iter().filter(|block| !bad.contains(block)) {
                let ways = taken(*block, assumed);
                if !ways.iter().any(|way| bad.contains(way)) {
                    continue;
                }
                let terminator = block.terminator();
                let mut trial = (assumed.clone(), demands.clone());
                if terminator.is(LLVMOpcode::LLVMBr)
                    && let outcome = bad.contains(&ways[1])
                    && let condition = terminator.operand(0)
                    && (affine.demand(condition, outcome, &mut trial.0, &mut trial.1)).is_some()
                {
                    (*assumed, demands) = trial;
                } else {
                    lost.insert(*block);
                }
                continue 'again;
            }
            return None;
        }
    }

    /// The blocks of the loop that assumptions leave.
    fn reached(&self, assumed: &BTreeMap<Value<'m>, bool>) -> BTreeSet<Block<'m>> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![self.header.successors()[0]];
        while let Some(block) = ahead.pop() {
            if block != self.header && reached.insert(block) {
                ahead.extend(taken(block, assumed));
            }
        }
        reached
    }
}

/// Whether a value may be computed from another.
pub(in crate::target) fn depends_on<'m>(value: Value<'m>, other: Value<'m>) -> bool {
    let mut seen = BTreeSet::new();
    let mut ahead = vec![value];
    while let Some(value) = ahead.pop() {
        if value == other {
            return true;
        }
        if value.is_instruction() && seen.insert(value) {
            ahead.extend(value.operands());
        }
    }
    false
}

/// Whether a value is another and something that doesn't depend on it, more or less: then it equals a third for one of these.
fn is_apart<'m>(value: Value<'m>, other: Value<'m>) -> bool {
    if value == other {
        return true;
    }
    if !(value.is(LLVMOpcode::LLVMAdd) || value.is(LLVMOpcode::LLVMSub)) {
        return false;
    }
    let (left, right) = (value.operand(0), value.operand(1));
    is_apart(left, other) && !depends_on(right, other)
        || is_apart(right, other) && !depends_on(left, other)
}

/// Deletes what stood for something, unless something else of the module has it yet.
pub(in crate::target) fn delete_if_unused(module: &Module<'_>, name: &str) {
    if let Some(function) = ir::function(module, name)
        && function.value().users().is_empty()
    {
        function.delete();
    }
}

/// A call whose result is decided later.
fn stand_in<'m>(module: &'m Module<'_>, at: &Builder<'m>, name: &str) -> Value<'m> {
    let boolean = Types::of(module).i1;
    at.call(ir::declare(module, name, boolean, &[]), &[])
}

/// The successors of a block that assumptions leave.
fn taken<'m>(block: Block<'m>, assumed: &BTreeMap<Value<'m>, bool>) -> Vec<Block<'m>> {
    let terminator = block.terminator();
    let successors = block.successors();
    if terminator.is(LLVMOpcode::LLVMBr)
        && successors.len() == 2
        && let Some(outcome) = evaluate(terminator.operand(0), assumed, 0)
    {
        return vec![successors[usize::from(!outcome)]];
    }
    successors
}

/// The blocks, of those reached, from which the item's place gets another value than 0; `None` if
/// that can't be told.
fn panicking<'m>(place: Value<'m>, reached: &BTreeSet<Block<'m>>) -> Option<BTreeSet<Block<'m>>> {
    let mut bad = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut ahead = vec![(place, None)];
    while let Some((value, from)) = ahead.pop() {
        if let Some(place) = value.constant_integer() {
            if place != 0 {
                bad.insert(from?);
            }
            continue;
        }
        if !seen.insert(value) {
            continue;
        }
        match value.opcode()? {
            LLVMOpcode::LLVMPHI => ahead.extend(
                (value.incoming().into_iter())
                    .filter(|(_, from)| reached.contains(from))
                    .map(|(value, from)| (value, Some(from))),
            ),
            LLVMOpcode::LLVMExtractValue => {
                ahead.push((value.operand(0).field(0)?, from));
            }
            _ => return None,
        }
    }
    Some(bad)
}

/// The value of a condition under assumptions, if they decide it.
fn evaluate<'m>(
    condition: Value<'m>,
    assumed: &BTreeMap<Value<'m>, bool>,
    depth: u32,
) -> Option<bool> {
    if let Some(outcome) = assumed.get(&condition) {
        return Some(*outcome);
    }
    if let Some(value) = condition.constant_integer() {
        return Some(value != 0);
    }
    if depth > 8 || condition.ty().integer_width() != 1 {
        return None;
    }
    let part = |index| evaluate(condition.operand(index), assumed, depth + 1);
    match condition.opcode()? {
        LLVMOpcode::LLVMAnd => match (part(0), part(1)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        LLVMOpcode::LLVMOr => match (part(0), part(1)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        LLVMOpcode::LLVMXor => Some(part(0)? != part(1)?),
        LLVMOpcode::LLVMSelect => part(if part(0)? { 1 } else { 2 }),
        _ => None,
    }
}

/// Largest step of a value from lane to lane for which a strip's first and last value decide that
/// it doesn't wrap in between: the strip is at most 2^10 long, so its span stays below 2^42.
const LARGEST_STEP: u64 = 1 << 32;

impl<'m> Affine<'_, 'm> {
    /// Assumes of a condition what makes its outcome certain; `None` if items may differ in it.
    fn demand(
        &self,
        condition: Value<'m>,
        outcome: bool,
        assumed: &mut BTreeMap<Value<'m>, bool>,
        demands: &mut Vec<(Value<'m>, bool)>,
    ) -> Option<()> {
        if let Some(known) = evaluate(condition, assumed, 0) {
            return (known == outcome).then_some(());
        }
        if !condition.is_instruction() || !self.blocks.contains(&condition.block()) {
            return None;
        }
        if self.step(condition, 0) == Some(0) {
            assumed.insert(condition, outcome);
            demands.push((condition, outcome));
            return Some(());
        }
        let operand = |index| condition.operand(index);
        let constant = |index| operand(index).constant_integer();
        let (first, second) = match condition.opcode()? {
            LLVMOpcode::LLVMAnd if outcome => (operand(0), operand(1)),
            LLVMOpcode::LLVMOr if !outcome => (operand(0), operand(1)),
            // How `&&` and `||` are written where the second part may be poison.
            LLVMOpcode::LLVMSelect if outcome && constant(2) == Some(0) => (operand(0), operand(1)),
            LLVMOpcode::LLVMSelect if !outcome && constant(1) == Some(1) => {
                (operand(0), operand(2))
            }
            LLVMOpcode::LLVMXor => {
                let flipped = outcome != (constant(1)? != 0);
                return self.demand(operand(0), flipped, assumed, demands);
            }
            _ => return None,
        };
        self.demand(first, outcome, assumed, demands)?;
        self.demand(second, outcome, assumed, demands)
    }

    /// A comparison that a guard can decide.
    fn check(&self, comparison: Value<'m>) -> Option<Check<'m>> {
        use LLVMIntPredicate::*;
        if !comparison.is(LLVMOpcode::LLVMICmp) || comparison.operand(0).ty().integer_width() != 64
        {
            return None;
        }
        let predicate = llvm!(c::LLVMGetICmpPredicate(comparison.raw()));
        let (left, right) = (comparison.operand(0), comparison.operand(1));
        let grows = |step: u64| (1..LARGEST_STEP).contains(&step);
        let in_row = |value| self.row.is_some_and(|row| is_apart(value, row));
        let equality = matches!(predicate, LLVMIntEQ | LLVMIntNE);
        let (varying, bound, predicate) = match (self.step(left, 0)?, self.step(right, 0)?) {
            (step, 0) if grows(step) => (left, right, predicate),
            (0, step) if grows(step) => (
                right,
                left,
                match predicate {
                    LLVMIntULT => LLVMIntUGT,
                    LLVMIntUGT => LLVMIntULT,
                    LLVMIntULE => LLVMIntUGE,
                    LLVMIntUGE => LLVMIntULE,
                    other => other,
                },
            ),
            (0, 0) if equality && in_row(left) => (left, right, predicate),
            (0, 0) if equality && in_row(right) => (right, left, predicate),
            _ => return None,
        };
        let kind = match predicate {
            LLVMIntULT => Kind::Below { outcome: true },
            LLVMIntUGE => Kind::Below { outcome: false },
            LLVMIntULE => Kind::AtMost { outcome: true },
            LLVMIntUGT => Kind::AtMost { outcome: false },
            LLVMIntNE => Kind::Differs { outcome: true },
            LLVMIntEQ => Kind::Differs { outcome: false },
            _ => return None,
        };
        Some(Check {
            comparison,
            varying,
            bound,
            kind,
        })
    }

    /// Whether a check has its outcome for all lanes of a strip, computed before the loop.
    fn test(
        &self,
        check: &Check<'m>,
        at: &Builder<'m>,
        first: Value<'m>,
        last: Value<'m>,
    ) -> Value<'m> {
        use LLVMIntPredicate::*;
        let low = self.repeat(check.varying, at, first);
        let high = self.repeat(check.varying, at, last);
        let bound = self.repeat(check.bound, at, first);
        let ordered = at.compare(LLVMIntULE, low, high);
        let within = match check.kind {
            Kind::Below { .. } => at.compare(LLVMIntULT, high, bound),
            Kind::AtMost { .. } => at.compare(LLVMIntULE, high, bound),
            Kind::Differs { .. } => {
                let below = at.compare(LLVMIntULT, bound, low);
                let above = at.compare(LLVMIntUGT, bound, high);
                at.binary(LLVMOpcode::LLVMOr, below, above)
            }
        };
        at.binary(LLVMOpcode::LLVMAnd, ordered, within)
    }
}
