//! Stores past the caches, for launches that write more than these keep.
//!
//! Takes vectorised code. Where a loop writes an array from end to end and doesn't read it, an
//! ordinary store first has each line read from memory, only to be overwritten, and drives out
//! what other items need. Such a loop is there twice afterwards, with ordinary stores and with
//! non-temporal ones; the latter run if each item writes more than [`Launch::kept`] bytes and what the
//! loop writes begins with a line.
//!
//! What that loop reads is fetched ahead ([`Streams`]).
//!
//! Non-temporal stores are not ordered with others (Intel 64 and IA-32 Architectures Software
//! Developer's Manual, volume 1, section 10.4.6.2): code that orders accesses itself keeps ordinary
//! ones, and the caller of [`Run`](legionella_abi::cpu::Run) orders them for whoever looks after the launch.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::cpu::{self, Launch};
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::super::affine::Affine;
use super::fetches::{LINE, Streams};
use super::regions::type_size;
use crate::error::Error;
use crate::ir::metadata::{kind, node};
use crate::ir::{self, Block, Builder, Function, Pipeline, Types, Value, llvm};

/// Least bytes of a non-temporal store.
const LEAST: u64 = 16;

/// Has LLVM make two loops of one that chooses.
const APART: &str = "function(loop-mssa(simple-loop-unswitch<nontrivial>))";

/// Doubles the loops of the function that runs work-groups that may store past the caches. Whether there
/// are any.
pub(super) fn build(module: &Module<'_>, machine: &TargetMachine) -> Result<bool, Error> {
    let triple = machine.get_triple();
    let Some(run) = ir::function(module, cpu::RUN) else {
        return Ok(false);
    };
    if !triple.as_str().to_bytes().starts_with(b"x86_64") || !leaves_order_open(run) {
        return Ok(false);
    }
    let loops: Vec<_> = (run.blocks().into_iter())
        .filter_map(|block| Turns::of(block, machine))
        .collect();
    for turns in &loops {
        turns.choose(module, run);
    }
    if !loops.is_empty() {
        let apart = Pipeline {
            text: APART,
            ..super::WHOLE
        };
        apart.run(module, machine)?;
    }
    Ok(!loops.is_empty())
}

/// Whether nobody can tell in which order a function's stores are done, until it ends.
fn leaves_order_open(function: Function<'_>) -> bool {
    function.instructions().into_iter().all(|instruction| {
        match instruction.opcode() {
            Some(LLVMOpcode::LLVMLoad | LLVMOpcode::LLVMStore) => !instruction.is_ordered(),
            Some(
                LLVMOpcode::LLVMFence | LLVMOpcode::LLVMAtomicRMW | LLVMOpcode::LLVMAtomicCmpXchg,
            ) => false,
            Some(LLVMOpcode::LLVMCall) => instruction.called_function().is_some_and(|called| {
                // What doesn't return records a panic.
                called.name().starts_with("llvm.")
                    || called.has_attribute("noreturn")
                    || ends_in_panic(called)
            }),
            _ => true,
        }
    })
}

/// Whether no call of a function returns.
fn ends_in_panic(function: Function<'_>) -> bool {
    !function.is_declaration()
        && (function.instructions().into_iter())
            .all(|instruction| !instruction.is(LLVMOpcode::LLVMRet))
}

/// A loop of one block, and what it writes.
struct Turns<'m> {
    block: Block<'m>,
    /// Where it is entered from.
    before: Block<'m>,
    /// What counts its turns, or items, and from where.
    lane: Value<'m>,
    first: Value<'m>,
    /// The arrays that it writes from end to end.
    written: Vec<Written<'m>>,
    /// What it reads from end to end.
    read: Streams<'m>,
}

/// An array that a loop writes.
struct Written<'m> {
    /// Where each turn begins to.
    address: Value<'m>,
    stores: Vec<Store<'m>>,
    /// Bytes that are written for each item.
    each: u64,
}

struct Store<'m> {
    store: Value<'m>,
    /// Bytes behind the address at which the turn begins.
    distance: u64,
    bytes: u64,
}

impl<'m> Turns<'m> {
    /// What a block turns over and writes, if that can go past the caches.
    fn of(block: Block<'m>, machine: &TargetMachine) -> Option<Self> {
        if !block.successors().contains(&block) {
            return None;
        }
        let (lane, step) = block.phis().into_iter().find_map(|phi| {
            let incoming = phi.incoming();
            let (next, _) = incoming.into_iter().find(|(_, from)| *from == block)?;
            let counts = next.is_instruction()
                && next.is(LLVMOpcode::LLVMAdd)
                && next.operand(0) == phi
                && phi.ty().integer_width() == 64;
            let step = counts.then(|| next.operand(1).constant_integer())??;
            Some((phi, step))
        })?;
        let mut outside = lane.incoming();
        outside.retain(|(_, from)| *from != block);
        let [(first, before)] = outside[..] else {
            return None;
        };
        let blocks = BTreeSet::from([block]);
        let affine = Affine {
            lane,
            header: block,
            blocks: &blocks,
            row: None,
        };

        // In the block's order, so that the same kernel always gives the same code.
        let mut arrays: Vec<(Value<'m>, Vec<Store<'m>>)> = Vec::new();
        let mut read = Vec::new();
        let mut streams = Streams::new();
        for instruction in block.instructions() {
            if instruction.is(LLVMOpcode::LLVMStore) {
                let (address, distance) = apart(instruction.operand(1));
                let store = Store {
                    store: instruction,
                    distance,
                    bytes: type_size(machine, instruction.operand(0).ty()),
                };
                match arrays.iter_mut().find(|(known, _)| *known == address) {
                    Some((_, stores)) => stores.push(store),
                    None => arrays.push((address, vec![store])),
                }
            } else if instruction.touches_memory() {
                streams.add(instruction, &affine, |ty| type_size(machine, ty));
                read.extend(instruction.operands().into_iter().filter_map(array));
            }
        }
        let written: Vec<_> = (arrays.into_iter())
            .filter(|(address, _)| {
                array(*address).is_some_and(|written| {
                    // What the function reserves for itself stays in the caches.
                    let own = written.is_instruction() && written.is(LLVMOpcode::LLVMAlloca);
                    !own && !read.iter().any(|read| same(written, *read))
                })
            })
            .filter_map(|(address, stores)| Written::of(address, stores, &affine, step, machine))
            .collect();
        (!written.is_empty()).then_some(Turns {
            block,
            before,
            lane,
            first,
            written,
            read: streams,
        })
    }

    /// Has the loop choose how it stores.
    fn choose(&self, module: &'m Module<'_>, run: Function<'m>) {
        let types = Types::of_type(self.lane.ty());
        let start = Builder::before(run.blocks()[0].terminator());
        let place = types
            .i64
            .constant(std::mem::offset_of!(Launch, kept) as u64);
        let kept = start.element(types.i8, run.parameters()[1], place);
        let kept = start.load(types.i64, kept);
        let least = self.written.iter().map(|array| array.each).min();
        let each = types.i64.constant(least.unwrap_or(0));
        let mut past = start.compare(LLVMIntPredicate::LLVMIntUGT, each, kept);

        let at = Builder::before(self.before.terminator());
        let blocks = BTreeSet::from([self.block]);
        let affine = Affine {
            lane: self.lane,
            header: self.block,
            blocks: &blocks,
            row: None,
        };
        for array in &self.written {
            let first = affine.repeat(array.address, &at, self.first);
            let first = at.cast(LLVMOpcode::LLVMPtrToInt, first, types.i64);
            let off = at.binary(LLVMOpcode::LLVMAnd, first, types.i64.constant(LINE - 1));
            let begins = at.compare(LLVMIntPredicate::LLVMIntEQ, off, types.i64.zero());
            past = at.binary(LLVMOpcode::LLVMAnd, past, begins);
        }
        let stores = self.written.iter().flat_map(|array| &array.stores);
        let ways: Vec<_> = stores.map(|one| store_either_way(one, past)).collect();
        if let Some(way) = ways.first() {
            self.read.fetch(module, way, |address| address);
        }
    }
}

impl<'m> Written<'m> {
    /// Stores of one array, if they are vectors that leave no gaps, given how many items a turn has.
    fn of(
        address: Value<'m>,
        stores: Vec<Store<'m>>,
        affine: &Affine<'_, 'm>,
        items: u64,
        machine: &TargetMachine,
    ) -> Option<Self> {
        let by_index = address.is_instruction()
            && address.is(LLVMOpcode::LLVMGetElementPtr)
            && address.operands().len() == 2
            && affine.step(address.operand(0), 0) == Some(0);
        let elements = by_index.then(|| affine.step(address.operand(1), 0))??;
        let each = elements.checked_mul(type_size(machine, address.element_type()))?;
        let all: u64 = stores.iter().map(|one| one.bytes).sum();
        let fits = stores.iter().all(|one| {
            one.store.operand(0).ty().kind() == LLVMTypeKind::LLVMVectorTypeKind
                && one.bytes >= LEAST
                && one.bytes.is_power_of_two()
                && one.distance.is_multiple_of(one.bytes)
                && all.is_multiple_of(one.bytes)
        });
        // Half a line may be written to memory alone, if loads come before the other half.
        let whole = all.is_multiple_of(LINE) && each.checked_mul(items) == Some(all);
        (fits && whole).then_some(Written {
            address,
            stores,
            each,
        })
    }
}

/// Has a store go past the caches where a condition holds; gives the place before it there.
fn store_either_way<'m>(one: &Store<'m>, past: Value<'m>) -> Builder<'m> {
    let store = one.store;
    let block = store.block();
    let behind = block.split_before(store);
    let [yes, no] = ["past", "through"].map(|name| {
        let way = block.function().append_block(name);
        way.move_after(block);
        way
    });
    block.terminator().erase();
    Builder::at_end(block).branch_if(past, yes, no);
    let copy = store.duplicate();
    store.detach();
    for (way, store) in [(yes, copy), (no, store)] {
        let at = Builder::at_end(way);
        at.insert(store);
        at.branch(behind);
    }
    copy.set_alignment(one.bytes.min(LINE) as u32);
    let types = Types::of_type(past.ty());
    let context = llvm!(c::LLVMGetTypeContext(past.ty().raw()));
    let one = llvm!(c::LLVMValueAsMetadata(types.i32.constant(1).raw()));
    let one = llvm!(c::LLVMMetadataAsValue(context, node(context, &mut [one])));
    llvm!(c::LLVMSetMetadata(
        copy.raw(),
        kind(context, "nontemporal"),
        one
    ));
    Builder::before(copy)
}

/// An address without the constant distance that is added last, and that distance.
pub(super) fn apart(mut address: Value<'_>) -> (Value<'_>, u64) {
    let mut distance: u64 = 0;
    while address.is_instruction()
        && address.is(LLVMOpcode::LLVMGetElementPtr)
        && address.operands().len() == 2
        && address.element_type().integer_width() == 8
        && let Some(bytes) = address.operand(1).constant_integer()
    {
        distance = distance.wrapping_add(bytes);
        address = address.operand(0);
    }
    (address, distance)
}

/// What an address lies in, if it is one, or addresses do, if it is a vector of them.
fn array(address: Value<'_>) -> Option<Value<'_>> {
    let mut base = address;
    while base.is_instruction() && base.is(LLVMOpcode::LLVMGetElementPtr) {
        base = base.operand(0);
    }
    (base.ty().kind() == LLVMTypeKind::LLVMPointerTypeKind).then_some(base)
}

/// Whether two arrays are known to be one: the same address, also where it is read twice.
fn same(one: Value<'_>, other: Value<'_>) -> bool {
    let read = |value: Value<'_>| value.is_instruction() && value.is(LLVMOpcode::LLVMLoad);
    one == other
        || read(one)
            && read(other)
            && one.operand(0).is_address_in_parameter()
            && apart(one.operand(0)) == apart(other.operand(0))
}
