//! What the items of a work-group do together: memory that they share, barriers, exchange of values
//! within a warp, which is the subgroup.
//!
//! Takes a simplified entry shim with the operations of [`legionella_abi::intrinsic`] in it; binds
//! them to the device's own, of which none needs the threads of a warp to be at one place, but where all that have not
//! ended certainly come to one: there the lanes of a warp come together first, so that they are one arrival at one
//! instruction. Of a barrier for lanes that are apart the assembler makes two, one for warps that are and one for those that
//! aren't, which is right, but which `compute-sanitizer` can't know.
//!
//! # How items find out that they can't meet
//!
//! The device's barrier waits for all threads that have not ended, and doesn't see where they wait. But
//! it also tells all of them how many came with a flag set, and that is what a barrier is made of here,
//! once or twice. All items see the same counts, so that either all go on or none.
//!
//! * A kernel with few labels numbers them from 1, and its items count once for each bit that numbers
//!   have. If all wait with one label, every bit is set by all of them or by none. As no number is 0,
//!   some bit of it is set by all, and then none has ended.
//! * In any other, the group's first item leaves its label in shared memory; all count that they came,
//!   then that their label is the one that is there. If the first item has ended, so that an old label
//!   is there, the first count tells.
//! * Where branches that items take differently lead to no barrier but behind the place where all of them meet again, or
//!   past all barriers, those that have not ended come to the same ones: all count once that they came.
//!
//! Where a kernel exchanges values within warps, the lanes of a warp first vote in the same way on
//! what they came for: a barrier has number 0, and lanes that come to an exchange miss those that
//! have ended. Otherwise those at the barrier and those at the exchange would wait for each other. Each
//! operation on matrices has a number of its own, since lanes must come to one instruction for it. Where lanes
//! are certainly together ([`together`]) they don't vote.
//!
//! Items that can't meet exchange their places by `groups.ll`, for the message, and panic.

use std::collections::BTreeSet;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::intrinsic;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::super::kernels::SharedMemory;
use super::super::machine::run;
use super::super::meetings::{self, Kind, Site, calls, delete, first_instruction};
use super::super::shared_memory;
use super::parts::{self, Parts};
use super::{bands, internal, matrices, together};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Types, Value};

const TEXT: &std::ffi::CStr = ir::ir_text!("groups.ll");

const OTHER_IN_WARP: &str = "legionella.other_in_warp";
const OTHER_IN_GROUP: &str = "legionella.other_in_group";
const LABELS_DIFFER: &str = "legionella.labels_differ";

/// Most labels that are numbered: as many as two counts tell apart.
const MOST_NUMBERED: usize = 3;

/// Lanes of a warp.
const WARP: u64 = 32;

/// A label that no barrier has.
const NOWHERE: u64 = 0xffff_ffff;

/// All lanes of a warp: those that have ended, or never were, are waited for no more.
const EVERY_LANE: u64 = 0xffff_ffff;

/// Most bytes of shared memory that code can ask for by itself, less what panics need of it (PTX ISA,
/// "Performance-Tuning Directives"; CUDA C++ Programming Guide, table "Technical Specifications").
const MOST_STATIC: u64 = (48 << 10) - 256;

/// Binds the operations in an entry shim, which contains all there are.
pub(super) fn bind(
    module: &Module<'_>,
    machine: &TargetMachine,
    entry: Function<'_>,
) -> Result<SharedMemory, Error> {
    let least = if bands::are_used(module) {
        bands::ALIGNMENT
    } else {
        1
    };
    let parts = Parts::of(module);
    let most = MOST_STATIC - parts.map_or(0, |_| parts::SHARED);
    let shared = shared_memory::bind(module, entry, most, least)?;
    let in_warps = intrinsic::COLLECTIVE
        .into_iter()
        .chain(intrinsic::MATRICES)
        .filter(|name| *name != intrinsic::BARRIER)
        .any(|name| !calls(module, name).is_empty());
    if in_warps || !calls(module, intrinsic::BARRIER).is_empty() {
        run(module, machine, meetings::PREPARE)?;
    }
    let meetings = Meetings::of(module, entry, in_warps)?;
    matrices::unroll(module, entry, &meetings.sites);
    if !meetings.sites.is_empty() {
        ir::link_text(module, TEXT)?;
        meetings.bind(module, entry, parts)?;
    }
    matrices::bind(module, &machine.get_cpu().to_string())?;
    if parts.is_some() {
        parts::bind(module, entry)?;
    }
    bind_lanes(module);
    Ok(shared)
}

/// Subgroups are warps: items are dealt out to them in the order of their linear ids.
fn bind_lanes(module: &Module<'_>) {
    let types = Types::of(module);
    for call in calls(module, intrinsic::SUBGROUP_LANE) {
        let lane = ir::intrinsic(module, "llvm.nvvm.read.ptx.sreg.laneid", &[]);
        call.replace_all_uses_with(Builder::before(call).call(lane, &[]));
        call.erase();
    }
    delete(module, intrinsic::SUBGROUP_LANE);
    for call in calls(module, intrinsic::SUBGROUP_SIZE) {
        call.replace_all_uses_with(types.i32.constant(WARP));
        call.erase();
    }
    delete(module, intrinsic::SUBGROUP_SIZE);
}

/// All places where the items of a kernel meet.
struct Meetings<'m> {
    sites: Vec<Site<'m>>,
    /// The label that each place stands for in the code, if it is a barrier with one that is known; one for all if they are
    /// `alike`.
    own: Vec<Option<u64>>,
    /// All of these, if they are few; the number of each is its place here, from 1.
    labels: Option<Vec<u64>>,
    /// Whether labels needn't be compared: who comes to a barrier comes to the same one as all others.
    alike: bool,
    /// For each place, what the lanes of a warp vote on there: a number, 0 for barriers of which the group counts who
    /// comes; `None` if they are together.
    votes: Vec<Option<u64>>,
    /// For each place, whether the lanes of a warp are certainly together there.
    together: Vec<bool>,
}

/// How many bits numbers up to this have.
fn bits(most: usize) -> u32 {
    usize::BITS - most.leading_zeros()
}

impl<'m> Meetings<'m> {
    fn of(module: &'m Module<'_>, entry: Function<'m>, in_warps: bool) -> Result<Self, Error> {
        let sites = meetings::sites(module, entry)?;
        let alike = together::only_ends_part(entry, &sites);
        let own = |place: (u64, &Site<'m>)| if alike { Some(0) } else { label(place) };
        let own: Vec<_> = (0..).zip(&sites).map(own).collect();
        let together = together::at(entry, &sites);
        let labels: Option<BTreeSet<u64>> = (own.iter().zip(&sites))
            .filter(|(_, site)| site.kind == Kind::Barrier)
            .map(|(label, _)| *label)
            .collect();
        let votes = match in_warps {
            true => votes(&together, &sites, &own, bands::are_used(module)),
            false => vec![None; sites.len()],
        };
        Ok(Meetings {
            own,
            alike,
            labels: labels
                .map(|labels| labels.into_iter().collect())
                .filter(|labels: &Vec<u64>| labels.len() <= MOST_NUMBERED),
            votes,
            together,
            sites,
        })
    }

    fn bind(
        self,
        module: &'m Module<'_>,
        entry: Function<'m>,
        parts: Option<Parts<'m>>,
    ) -> Result<(), Error> {
        let types = Types::of(module);
        let crowd = Crowd::of(module, entry, &self);
        let highest = self.votes.iter().flatten().max();
        let most = highest.map_or(0, |highest| *highest as usize);
        let apart = |wanted: bool| wanted.then(|| Apart::new(entry, &types));
        let apart_in_warp = apart(self.votes.iter().any(Option::is_some));
        let barriers = self.sites.iter().any(|site| site.kind == Kind::Barrier);
        let apart_in_group = apart(barriers);
        let differ = ir::function(module, LABELS_DIFFER)
            .ok_or_else(|| internal(format!("the function {LABELS_DIFFER} is gone")))?;
        for (index, site) in self.sites.iter().enumerate() {
            let number = types.i32.constant(index as u64 + 1);
            let leave = |apart: &Apart<'m>, failed| apart.leave_if(failed, number, site.call);
            if let (Some(apart), Some(vote)) = (&apart_in_warp, self.votes[index]) {
                let at = Builder::before(site.call);
                let none = types.i32.zero();
                let failed = any_differs(
                    &types,
                    &at,
                    vote,
                    bits(most),
                    |bit| crowd.ballot(&at, bit),
                    |set| if set { crowd.lanes } else { none },
                );
                leave(apart, failed);
            }
            if site.kind == Kind::Barrier
                && let Some(apart) = &apart_in_group
            {
                let at = Builder::before(site.call);
                if self.alike && !self.together[index] {
                    at.call(crowd.meet, &[types.i32.constant(EVERY_LANE)]);
                }
                let label = match self.own[index] {
                    Some(label) => types.i32.constant(label),
                    None => own_of_a_stream(&types, &at, site.call.operand(0), index as u64),
                };
                leave(apart, self.differ_in_group(&crowd, differ, &at, label));
            }
            let at = Builder::before(site.call);
            let operand = |index| site.call.operand(index);
            match site.kind {
                Kind::Barrier => {}
                Kind::Shuffle => {
                    let every = types.i32.constant(EVERY_LANE);
                    let last = types.i32.constant(WARP - 1);
                    let value = at.call(crowd.shuffle, &[every, operand(0), operand(1), last]);
                    site.call.replace_all_uses_with(value);
                }
                // Nobody asks what they say: they meet, and see what the others did to memory.
                Kind::Ballot if site.call.users().is_empty() => {
                    at.call(crowd.meet, &[types.i32.constant(EVERY_LANE)]);
                }
                Kind::Ballot => {
                    let bit = at.truncate(operand(0), types.i1);
                    let lanes = at.zero_extend(crowd.ballot(&at, bit), types.i64);
                    site.call.replace_all_uses_with(lanes);
                }
                Kind::Matrix => continue,
            }
            site.call.erase();
        }
        self.lead_apart(
            module,
            entry,
            [apart_in_warp, apart_in_group],
            parts,
            |at| {
                at.call(crowd.meet, &[types.i32.constant(EVERY_LANE)]);
                self.differ_in_group(&crowd, differ, at, types.i32.constant(NOWHERE));
            },
        )?;
        for name in intrinsic::COLLECTIVE {
            delete(module, name);
        }
        Ok(())
    }

    /// Has items that can't meet, in their warp or in their group, panic. Before that, what may be under way ends: products
    /// of bands at one place for all warps of the group, so that those of a warp that can't meet `meet` the others first.
    fn lead_apart(
        &self,
        module: &'m Module<'_>,
        entry: Function<'m>,
        [in_warp, in_group]: [Option<Apart<'m>>; 2],
        parts: Option<Parts<'m>>,
        meet: impl Fn(&Builder<'m>),
    ) -> Result<(), Error> {
        let types = Types::of(module);
        let bands = bands::are_used(module);
        if let (Some(apart), true) = (&in_warp, in_group.is_some() && bands) {
            meet(&Builder::at_end(apart.block));
        }
        let all = [(in_warp, OTHER_IN_WARP), (in_group, OTHER_IN_GROUP)];
        let all = all
            .into_iter()
            .filter_map(|(apart, other)| Some((apart?, other)));
        let all: Vec<_> = all.collect();
        if !bands {
            return all.iter().try_for_each(|(apart, other)| {
                let panic = self.panic(module, entry, other, apart.site)?;
                Builder::at_end(apart.block).branch(panic);
                Ok(())
            });
        }
        let at = Builder::at_end(entry.append_block("end"));
        let (site, which) = (at.phi(types.i32), at.phi(types.i32));
        for (number, (apart, _)) in (0..).zip(&all) {
            Builder::at_end(apart.block).branch(at.block());
            site.add_incoming(apart.site, apart.block);
            which.add_incoming(types.i32.constant(number), apart.block);
        }
        bands::end(&at, &types);
        if let Some(parts) = parts {
            parts.end(&at);
        }
        let panics: Vec<_> = (all.iter())
            .map(|(_, other)| self.panic(module, entry, other, site))
            .collect::<Result<_, _>>()?;
        match panics[..] {
            [one] => at.branch(one),
            [warp, group] => {
                let in_warp = at.compare(LLVMIntPredicate::LLVMIntEQ, which, types.i32.zero());
                at.branch_if(in_warp, warp, group)
            }
            _ => at.unreachable(),
        };
        Ok(())
    }

    /// Where items panic that wait at the place of that number, having found another by a function.
    fn panic(
        &self,
        module: &'m Module<'_>,
        entry: Function<'m>,
        other: &str,
        site: Value<'m>,
    ) -> Result<Block<'m>, Error> {
        let missing = |name: &str| internal(format!("the function {name} is gone"));
        let types = Types::of(module);
        let other = ir::function(module, other).ok_or_else(|| missing(other))?;
        let failed = ir::function(module, intrinsic::BARRIER_FAILED)
            .ok_or_else(|| missing(intrinsic::BARRIER_FAILED))?;
        let nowhere = std::iter::once(types.ptr.zero());
        let places = nowhere.chain(self.sites.iter().map(|site| site.place));
        let places = ir::constant(module, &places.collect::<Vec<_>>());
        let find = Builder::at_end(entry.append_block("find"));
        let other = find.call(other, &[site]);
        // A block of its own is what panics later.
        let at = Builder::at_end(entry.append_block("failed"));
        find.branch(at.block());
        let place = |number| at.load(types.ptr, at.element(types.ptr, places, number));
        at.call(failed, &[place(site), place(other)]);
        at.unreachable();
        Ok(find.block())
    }

    /// Waits for all items of the group, and says whether they differ in what they came for.
    fn differ_in_group(
        &self,
        crowd: &Crowd<'m>,
        differ: Function<'m>,
        at: &Builder<'m>,
        label: Value<'m>,
    ) -> Value<'m> {
        match &self.labels {
            Some(labels) => crowd.count_numbers(at, labels, label),
            None => at.call(differ, &[label, crowd.items]),
        }
    }
}

/// A label that no barrier in the source has, but of streams. Those have one for each place in the code: what comes
/// behind may take several warps that are at one instruction ([`bands`]).
const STREAM: u64 = 0xf000_0000;

/// The label that a place stands for, if it is a barrier with one that is known.
fn label((index, site): (u64, &Site<'_>)) -> Option<u64> {
    let barrier = Some(site).filter(|site| site.kind == Kind::Barrier)?;
    let label = barrier.call.operand(0).constant_integer()?;
    let stepwise = intrinsic::is_stepwise(label);
    Some(if stepwise { STREAM | index } else { label })
}

/// The same of a label that is known when the kernel runs ([`intrinsic::is_stepwise`]).
fn own_of_a_stream<'m>(
    types: &Types<'m>,
    at: &Builder<'m>,
    label: Value<'m>,
    index: u64,
) -> Value<'m> {
    let number = |number| types.i32.constant(number);
    let and = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
    let high = at.binary(LLVMOpcode::LLVMLShr, label, number(1));
    let both = and(and(label, high), number(0x5555_5555));
    let but_one = and(both, at.sub(both, number(1)));
    let stepwise = at.compare(LLVMIntPredicate::LLVMIntNE, but_one, number(0));
    at.select(stepwise, number(STREAM | index), label)
}

/// What lanes come for, if it has a number of its own in their votes: one for all exchanges of a kind, and for all barriers with
/// a label, but one for each operation on matrices.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Purpose {
    Exchange(Kind),
    Barrier(u64),
    Matrix(usize),
}

/// What lanes vote on at each place, where they aren't together. With products of `bands` a barrier has a number of its label's:
/// lanes that are at different ones leave at once. If they found out one after the other, by the group's count, the
/// assembler would have some wait for the warp at the end of products, and others in front of it.
fn votes(
    together: &[bool],
    sites: &[Site<'_>],
    own: &[Option<u64>],
    bands: bool,
) -> Vec<Option<u64>> {
    let apart: Vec<usize> = (0..sites.len()).filter(|index| !together[*index]).collect();
    let is_barrier = |index: &usize| sites[*index].kind == Kind::Barrier;
    // Barriers alone know that they miss nobody.
    if !bands && apart.iter().all(is_barrier) {
        return vec![None; sites.len()];
    }
    // What is known only when the kernel runs may be any, but not that of another place in a stream.
    let all_are_known = !(apart.iter()).any(|index| is_barrier(index) && own[*index].is_none());
    let has_number = |label: &u64| bands && (*label >= STREAM || all_are_known);
    let purpose = |index: usize| match sites[index].kind {
        Kind::Barrier => own[index].filter(has_number).map(Purpose::Barrier),
        Kind::Matrix => Some(Purpose::Matrix(index)),
        kind => Some(Purpose::Exchange(kind)),
    };
    let all: BTreeSet<Purpose> = apart.iter().copied().filter_map(purpose).collect();
    let number = |purpose| all.iter().take_while(|other| **other < purpose).count() as u64 + 1;
    let mut votes = vec![None; sites.len()];
    for index in apart {
        votes[index] = Some(purpose(index).map_or(0, number));
    }
    votes
}

/// Whether the items came with different numbers: `counted` says how many had a bit set, of which
/// `expected` says how many that must be.
fn any_differs<'m>(
    types: &Types<'m>,
    at: &Builder<'m>,
    number: u64,
    bits: u32,
    counted: impl Fn(Value<'m>) -> Value<'m>,
    expected: impl Fn(bool) -> Value<'m>,
) -> Value<'m> {
    let mut differs = types.i1.zero();
    for bit in 0..bits {
        let set = number >> bit & 1;
        let count = counted(types.i1.constant(set));
        let wrong = at.compare(LLVMIntPredicate::LLVMIntNE, count, expected(set == 1));
        differs = at.binary(LLVMOpcode::LLVMOr, differs, wrong);
    }
    differs
}

/// Who has to come, and what tells who came.
struct Crowd<'m> {
    types: Types<'m>,
    /// Items of the group.
    items: Value<'m>,
    /// Lanes of the warp that exist, if they are asked for.
    lanes: Value<'m>,
    count: Function<'m>,
    vote: Function<'m>,
    meet: Function<'m>,
    shuffle: Function<'m>,
}

impl<'m> Crowd<'m> {
    /// Computed at the start of the shim, before any item can have ended.
    fn of(module: &'m Module<'_>, entry: Function<'m>, meetings: &Meetings<'m>) -> Self {
        let types = Types::of(module);
        let at = Builder::before(first_instruction(entry));
        let mut crowd = Crowd {
            items: types.i64.constant(1),
            lanes: types.i32.zero(),
            count: ir::intrinsic(
                module,
                match meetings.alike {
                    true => "llvm.nvvm.barrier.cta.red.popc.aligned.all",
                    false => "llvm.nvvm.barrier.cta.red.popc.all",
                },
                &[],
            ),
            vote: ir::intrinsic(module, "llvm.nvvm.vote.ballot.sync", &[]),
            meet: ir::intrinsic(module, "llvm.nvvm.bar.warp.sync", &[]),
            shuffle: ir::intrinsic(module, "llvm.nvvm.shfl.sync.idx.i32", &[]),
            types,
        };
        let id = |name: &str, dimension: u64| {
            let function = ir::function(module, name).unwrap_or_else(|| {
                let function = ir::declare(module, name, crowd.types.i64, &[crowd.types.i32]);
                function.add_attribute("speculatable");
                function
            });
            at.call(function, &[crowd.types.i32.constant(dimension)])
        };
        for dimension in 0..3 {
            let size = id(intrinsic::GROUP_SIZE, dimension);
            let first = at.mul_no_wrap(id(intrinsic::GROUP_ID, dimension), size);
            let left = at.sub(id(intrinsic::GRID_SIZE, dimension), first);
            let here = at.minimum(size, left);
            crowd.items = at.mul_no_wrap(crowd.items, here);
        }
        crowd.items = at.truncate(crowd.items, crowd.types.i32);
        if meetings.votes.iter().any(Option::is_some) {
            crowd.lanes = crowd.ballot(&at, crowd.types.i1.constant(1));
        }
        crowd
    }

    /// How many items came to a barrier with a flag set.
    fn count(&self, at: &Builder<'m>, flag: Value<'m>) -> Value<'m> {
        at.call(self.count, &[self.types.i32.zero(), flag])
    }

    /// Waits for all items, and says whether some have ended or have other labels, by the bits of
    /// labels' numbers.
    fn count_numbers(&self, at: &Builder<'m>, labels: &[u64], label: Value<'m>) -> Value<'m> {
        let label = label.constant_integer();
        let place = labels.iter().position(|known| Some(*known) == label);
        let none = self.types.i32.zero();
        any_differs(
            &self.types,
            at,
            place.map_or(0, |place| place as u64 + 1),
            bits(labels.len()),
            |bit| self.count(at, bit),
            |set| if set { self.items } else { none },
        )
    }

    /// The lanes of the warp that say yes.
    fn ballot(&self, at: &Builder<'m>, yes: Value<'m>) -> Value<'m> {
        at.call(self.vote, &[self.types.i32.constant(EVERY_LANE), yes])
    }
}

/// Where items go that can't meet: all lanes of a warp that haven't ended, at once, from several places.
///
/// For products of bands to end, all have to be at one instruction; and the assembler has to see that these end on the way
/// from each place, or it has all that panic wait for them, one by one and also before there are any.
struct Apart<'m> {
    block: Block<'m>,
    /// The number of the place where an item waits.
    site: Value<'m>,
}

impl<'m> Apart<'m> {
    fn new(entry: Function<'m>, types: &Types<'m>) -> Self {
        let at = Builder::at_end(entry.append_block("apart"));
        Apart {
            block: at.block(),
            site: at.phi(types.i32),
        }
    }

    /// Sends items here, from before an instruction, if `failed` is true.
    fn leave_if(&self, failed: Value<'m>, site: Value<'m>, before: Value<'m>) {
        let from = before.block();
        let behind = from.split_before(before);
        let branch = from.terminator();
        Builder::before(branch).branch_if(failed, self.block, behind);
        branch.erase();
        self.site.add_incoming(site, from);
    }
}
