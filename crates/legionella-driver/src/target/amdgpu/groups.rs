//! What the items of a work-group do together: memory that they share, barriers, exchange of values
//! within a wavefront, which is the subgroup.
//!
//! Takes a simplified entry shim with the operations of [`legionella_abi::intrinsic`] in it; binds
//! them to the device's own. All of these are done by wavefronts as wholes: which lanes take part is
//! only a matter of where control flow has brought them together.
//!
//! # How items come together
//!
//! Where all items of a group that have not panicked certainly take the same way ([`super::reach`]), an
//! operation stays where it is. If none of them can panic before, that is all; else
//! each wavefront looks whether its lanes are complete, and whether another has ended (`groups.ll`).
//!
//! In any other kernel all operations move to one place ([`together`]), the head of a loop that
//! contains the whole kernel: an item that comes to an operation goes there with its number, and on from there.
//! Lanes that came by different ways are together again there, whatever the kernel's control flow is.
//! They compare what they came for, and then, by way of shared memory, with which label.
//!
//! Items that can't meet panic, at the kernel's end ([`super::missing`]).

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{amdgpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::target as t;
use llvm_sys::{LLVMIntPredicate, LLVMLinkage, LLVMOpcode};

use super::super::kernels::SharedMemory;
use super::super::machine::run;
use super::super::meetings::{self, Kind, Site, behind_variables, calls, delete};
use super::super::shared_memory;
use super::{internal, reach, together, votes};
use crate::amdgcn::{Usage, occupancy};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Types, Value, llvm};

const TEXT: &std::ffi::CStr = ir::ir_text!("groups.ll");

/// Tells the items of a group that this one's wavefront has ended, given the wavefront's number.
pub(super) const GONE: &str = "legionella.gone";
/// The same of a panic.
pub(super) const PANICKED: &str = "legionella.panicked";

const GATHER: &str = "legionella.gather";
const RENDEZVOUS: &str = "legionella.rendezvous";
const WAIT: &str = "legionella.wait";
const WAIT_FOR_LIVE: &str = "legionella.wait_for_live";
/// Stands for the address of what says whether an item of the launch has panicked.
pub(super) const STATE: &str = "legionella.state";
pub(super) const WAIT_WITH: &str = "legionella.wait_with";

/// Most bytes of shared memory that code can ask for by itself, less what is asked for here.
const MOST_STATIC: u64 = (64 << 10) - 512;

/// Bytes that `groups.ll` asks for, and what tiles are aligned to.
const OWN: u64 = 160;
const ALIGN: u64 = 16;

/// Whom a wavefront of an item that panics tells, where the others certainly come to their barriers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// None panics.
    Nobody,
    /// Its group, in the memory that it shares, which is near.
    Group,
    /// The launch, which it tells in any case.
    Launch,
}

/// Binds the operations in an entry shim, which contains all there are. Wavefronts have so many `lanes`.
pub(super) fn bind(
    module: &Module<'_>,
    machine: &TargetMachine,
    entry: Function<'_>,
    lanes: u64,
) -> Result<SharedMemory, Error> {
    let shared = shared_memory::bind(module, entry, MOST_STATIC, 1)?;
    let any = intrinsic::COLLECTIVE
        .into_iter()
        .chain(intrinsic::MATRICES)
        .any(|name| !calls(module, name).is_empty());
    if any {
        run(module, machine, meetings::PREPARE)?;
        let asks_state = !shared.dynamic
            && calls(module, intrinsic::PAUSE).is_empty()
            && is_dear(
                &machine.get_cpu().to_string(),
                bytes_shared(module, machine),
            );
        ir::link_text(module, TEXT)?;
        // So that it is gone once it is inlined.
        helper(module, WAIT_FOR_LIVE)?.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        let sites = meetings::sites(module, entry)?;
        match reach::of(entry, &sites) {
            reach::Reach::All => in_place(module, entry, lanes, &sites, Tells::Nobody)?,
            reach::Reach::AllThatLive if asks_state => {
                in_place(module, entry, lanes, &sites, Tells::Launch)?;
            }
            reach::Reach::AllThatLive => in_place(module, entry, lanes, &sites, Tells::Group)?,
            reach::Reach::Some => together::bind(module, machine, entry, lanes, sites)?,
        }
        for name in intrinsic::COLLECTIVE {
            delete(module, name);
        }
    }
    bind_lanes(module, lanes);
    Ok(shared)
}

/// Bytes of memory that groups share so far.
fn bytes_shared(module: &Module<'_>, machine: &TargetMachine) -> u64 {
    let layout = machine.get_target_data();
    let shared = Types::of(module).ptr.pointer_in(shared_memory::SHARED);
    let globals = ir::globals(module).into_iter();
    let sizes = globals
        .filter(|global| global.ty() == shared)
        .map(|global| {
            let ty = llvm!(c::LLVMGlobalGetValueType(global.raw()));
            llvm!(t::LLVMABISizeOfType(layout.as_mut_ptr(), ty)).next_multiple_of(ALIGN)
        });
    sizes.sum()
}

/// Whether what `groups.ll` has of shared memory would leave a compute unit with fewer groups of a usual size.
fn is_dear(cpu: &str, shared: u64) -> bool {
    let occupancy = |shared: u64| {
        let usage = Usage {
            shared: u32::try_from(shared).unwrap_or(u32::MAX),
            ..Usage::default()
        };
        occupancy(cpu, &usage, amdgpu::USUAL_GROUP as u32)
    };
    occupancy(shared + OWN) < occupancy(shared)
}

/// Subgroups are wavefronts: items are dealt out to them in the order of their linear ids.
fn bind_lanes(module: &Module<'_>, lanes: u64) {
    let types = Types::of(module);
    for call in calls(module, intrinsic::SUBGROUP_LANE) {
        let at = Builder::before(call);
        let every = types.i32.constant(u32::MAX.into());
        let low = ir::intrinsic(module, "llvm.amdgcn.mbcnt.lo", &[]);
        let mut lane = at.call(low, &[every, types.i32.zero()]);
        if lanes > 32 {
            let high = ir::intrinsic(module, "llvm.amdgcn.mbcnt.hi", &[]);
            lane = at.call(high, &[every, lane]);
        }
        call.replace_all_uses_with(lane);
        call.erase();
    }
    delete(module, intrinsic::SUBGROUP_LANE);
    for call in calls(module, intrinsic::SUBGROUP_SIZE) {
        call.replace_all_uses_with(types.i32.constant(lanes));
        call.erase();
    }
    delete(module, intrinsic::SUBGROUP_SIZE);
}

/// Tells the others of a group, at the end of a kernel's block, that this item's wavefront has ended, if
/// they look.
pub(super) fn leave<'m>(module: &'m Module<'_>, at: &Builder<'m>) {
    if let Some(gone) = ir::function(module, GONE) {
        let lanes = module_lanes(module);
        let (rank, _) = rank(module, at);
        let wave = at.binary(
            LLVMOpcode::LLVMUDiv,
            rank,
            Types::of(module).i32.constant(lanes),
        );
        at.call(gone, &[wave]);
    }
}

/// Lanes of a wavefront, as the function that tells of an end notes them.
fn module_lanes(module: &Module<'_>) -> u64 {
    let noted = ir::function(module, GONE).and_then(|gone| gone.text_attribute(LANES));
    noted.and_then(|text| text.parse().ok()).unwrap_or(32)
}

/// The attribute of [`GONE`] that says how many lanes wavefronts have.
const LANES: &str = "legionella.lanes";

/// The linear id of an item in its group, as 32 bits, and whether it is the first.
fn rank<'m>(module: &'m Module<'_>, at: &Builder<'m>) -> (Value<'m>, Value<'m>) {
    let types = Types::of(module);
    let id = |name: &str, dimension: u64| {
        let function = ir::function(module, name).unwrap_or_else(|| {
            let function = ir::declare(module, name, types.i64, &[types.i32]);
            function.add_attribute("speculatable");
            function
        });
        let id = at.call(function, &[types.i32.constant(dimension)]);
        at.truncate(id, types.i32)
    };
    let mut rank = id(intrinsic::LOCAL_ID, 2);
    for dimension in [1, 0] {
        let above = at.mul_no_wrap(rank, id(intrinsic::GROUP_SIZE, dimension));
        rank = at.add(above, id(intrinsic::LOCAL_ID, dimension));
    }
    let first = at.compare(LLVMIntPredicate::LLVMIntEQ, rank, types.i32.zero());
    (rank, first)
}

/// The function of that name in `groups.ll`.
pub(super) fn helper<'m>(module: &'m Module<'_>, name: &str) -> Result<Function<'m>, Error> {
    ir::function(module, name).ok_or_else(|| internal(format!("the function {name} is gone")))
}

/// Who has to come, and what tells who came.
pub(super) struct Crowd<'m> {
    pub(super) types: Types<'m>,
    /// The number of the wavefront in its group.
    pub(super) wave: Value<'m>,
    /// Whether this is the group's first item.
    pub(super) first: Value<'m>,
    /// Lanes of the wavefront that exist, a bit each.
    pub(super) lanes: Value<'m>,
    ballot: Function<'m>,
    /// The variable that counts barriers.
    number: Value<'m>,
}

impl<'m> Crowd<'m> {
    /// Computed at the start of the shim, before any item can have ended. If wavefronts tell their group when they end,
    /// its memory is made ready for that.
    pub(super) fn gather(
        module: &'m Module<'_>,
        entry: Function<'m>,
        lanes: u64,
        tells_group: bool,
    ) -> Result<Self, Error> {
        let types = Types::of(module);
        let at = Builder::before(behind_variables(entry));
        let number = at.allocas(types.i32, types.i32.constant(1), 4);
        at.store(types.i32.zero(), number);
        let ballot = votes::ballot(module);
        let (rank, first) = rank(module, &at);
        let wave = at.binary(LLVMOpcode::LLVMUDiv, rank, types.i32.constant(lanes));
        helper(module, GONE)?.set_text_attribute(LANES, &lanes.to_string());
        let lanes = at.call(ballot, &[types.i1.constant(1)]);
        if tells_group {
            at.call(helper(module, GATHER)?, &[wave, first]);
        }
        Ok(Crowd {
            types,
            wave,
            first,
            lanes,
            ballot,
            number,
        })
    }

    /// The lanes that are here and say yes.
    pub(super) fn ballot(&self, at: &Builder<'m>, yes: Value<'m>) -> Value<'m> {
        at.call(self.ballot, &[yes])
    }

    /// The lanes that are here.
    pub(super) fn here(&self, at: &Builder<'m>) -> Value<'m> {
        self.ballot(at, self.types.i1.constant(1))
    }

    /// The number of the barrier that comes next.
    pub(super) fn count(&self, at: &Builder<'m>) -> Value<'m> {
        let number = at.add(
            at.load(self.types.i32, self.number),
            self.types.i32.constant(1),
        );
        at.store(number, self.number);
        number
    }
}

/// Binds operations to which all items of a group come together that haven't panicked.
fn in_place<'m>(
    module: &'m Module<'_>,
    entry: Function<'m>,
    lanes: u64,
    sites: &[Site<'m>],
    tells: Tells,
) -> Result<(), Error> {
    let may_end = tells != Tells::Nobody;
    let crowd = may_end
        .then(|| Crowd::gather(module, entry, lanes, tells == Tells::Group))
        .transpose()?;
    // Whoever is missed has panicked, or is about to, and the launch fails with that: the others just end.
    let end = crowd.as_ref().map(|_| {
        let end = entry.append_block("end");
        Builder::at_end(end).ret(None);
        end
    });
    for site in sites {
        if let (Some(crowd), Some(end)) = (&crowd, end) {
            let at = Builder::before(site.call);
            let incomplete = at.compare(LLVMIntPredicate::LLVMIntNE, crowd.here(&at), crowd.lanes);
            leave_if(incomplete, end, site.call);
            if site.kind == Kind::Barrier {
                let at = Builder::before(site.call);
                let ended = if tells == Tells::Group {
                    let count = crowd.count(&at);
                    at.call(helper(module, WAIT)?, &[crowd.wave, count])
                } else {
                    at.call(helper(module, WAIT_FOR_LIVE)?, &[])
                };
                leave_if(ended, end, site.call);
            }
        } else if site.kind == Kind::Barrier {
            Builder::before(site.call).call(helper(module, RENDEZVOUS)?, &[]);
        }
        let at = Builder::before(site.call);
        let operand = |index| site.call.operand(index);
        match site.kind {
            Kind::Barrier => {}
            Kind::Shuffle => {
                let value = votes::shuffle(module, &at, operand(0), operand(1));
                site.call.replace_all_uses_with(value);
            }
            Kind::Ballot => {
                let types = Types::of(module);
                let bit = at.truncate(operand(0), types.i1);
                site.call
                    .replace_all_uses_with(votes::vote(module, &at, bit));
            }
            // Stays, to be bound where it is.
            Kind::Matrix => continue,
        }
        site.call.erase();
    }
    if tells != Tells::Group {
        for name in [GATHER, GONE, PANICKED] {
            delete(module, name);
        }
    }
    Ok(())
}

/// Where items go that can't meet: they panic.
pub(super) struct Apart<'m> {
    block: Block<'m>,
    /// The number of the place where an item waits.
    site: Value<'m>,
    /// That of a place where others wait, or 0.
    other: Value<'m>,
}

impl<'m> Apart<'m> {
    pub(super) fn new(
        module: &'m Module<'_>,
        entry: Function<'m>,
        sites: &[Site<'m>],
    ) -> Result<Self, Error> {
        let types = Types::of(module);
        let failed = helper(module, intrinsic::BARRIER_FAILED)?;
        let nowhere = std::iter::once(types.ptr.zero());
        let places: Vec<_> = nowhere.chain(sites.iter().map(|site| site.place)).collect();
        let places = ir::constant(module, &places);
        let block = entry.append_block("apart");
        let at = Builder::at_end(block);
        let (site, other) = (at.phi(types.i32), at.phi(types.i32));
        let place = |number| at.load(types.ptr, at.element(types.ptr, places, number));
        at.call(failed, &[place(site), place(other)]);
        at.unreachable();
        Ok(Apart { block, site, other })
    }

    /// Sends items here, from before an instruction, if `failed` is true.
    pub(super) fn leave_if(
        &self,
        failed: Value<'m>,
        site: Value<'m>,
        other: Value<'m>,
        before: Value<'m>,
    ) {
        let from = leave_if(failed, self.block, before);
        self.site.add_incoming(site, from);
        self.other.add_incoming(other, from);
    }
}

/// Has items go to another block, from before an instruction, if `failed` is true. Gives where they come from.
fn leave_if<'m>(failed: Value<'m>, to: Block<'m>, before: Value<'m>) -> Block<'m> {
    let from = before.block();
    let behind = from.split_before(before);
    let branch = from.terminator();
    Builder::before(branch).branch_if(failed, to, behind);
    branch.erase();
    from
}
