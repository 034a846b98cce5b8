//! Where a group's items keep what outlasts a phase.
//!
//! The *context* is a block of memory that doesn't change while a phase runs: sizes, addresses and
//! what is uniform. What each item has for itself lies in *arrays*, with an element for each item, so
//! that neighbours' are next to each other. Takes the slots of [`super::step`], and gives the calls
//! that get and put a meaning.

use std::collections::HashMap;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::cpu::SUBGROUP_SIZE;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::super::coroutines::SharedMemory;
use super::super::regions::{FIRST_MATTERS, storage, type_size};
use super::step::{self, Kind, Slot};
use super::{cut, declare_id};
use crate::error::Error;
use crate::ir::{Builder, Function, Type, Types, Value};

/// Words of the context.
pub(super) mod word {
    /// Address of the shared memory that the code asks for, and of that which the launch gives.
    pub(in super::super) const SHARED: u64 = 0;
    pub(in super::super) const DYNAMIC_SHARED: u64 = 1;
    /// Items that the group has, by dimension.
    pub(in super::super) const COUNT: u64 = 2;
    /// Sizes and ids of the launch and the group, by dimension.
    pub(in super::super) const GROUP: u64 = 5;
    pub(in super::super) const GRID: u64 = 8;
    pub(in super::super) const GROUP_SIZE: u64 = 11;
    /// The first slot's word: an array's address, or a uniform value.
    pub(in super::super) const SLOTS: u64 = 14;
}

/// Bytes of a word.
pub(super) const WORD: u64 = 8;

/// How the elements of an array follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By the number of the item among those that its group has.
    Rank,
    /// By the item's linear id in a whole group.
    Linear,
}

/// An array of the group.
#[derive(Clone, Copy)]
pub(super) struct Array<'m> {
    /// The type of an element in memory.
    pub(super) element: Type<'m>,
    /// Bytes of an element.
    pub(super) size: u64,
    pub(super) order: Order,
}

/// All slots with their places.
pub(super) struct Frame<'m> {
    types: Types<'m>,
    local_id: Function<'m>,
    slots: Vec<Slot<'m>>,
    /// By slot: the array where items have it, or where they leave a uniform value.
    arrays: Vec<Array<'m>>,
    /// By slot: the offset in the context of what is uniform.
    offsets: Vec<Option<u64>>,
    /// Bytes of the context.
    pub(super) context_size: u64,
}

/// What a phase does with slots.
#[derive(Default)]
pub(super) struct Uses {
    /// Uniform values that it gives.
    pub(super) gives: Vec<usize>,
}

impl<'m> Frame<'m> {
    pub(super) fn of(
        module: &'m Module<'_>,
        slots: Vec<Slot<'m>>,
        machine: &TargetMachine,
    ) -> Self {
        let types = Types::of(module);
        let arrays = slots.iter().map(|slot| {
            let element = match slot.kind {
                Kind::Memory => slot.ty,
                _ => storage(slot.ty).unwrap_or(slot.ty),
            };
            let order = match slot.kind {
                Kind::Operand | Kind::Lane | Kind::Result | Kind::Ballot => Order::Linear,
                _ => Order::Rank,
            };
            Array {
                element,
                size: type_size(machine, element),
                order,
            }
        });
        let arrays: Vec<Array<'m>> = arrays.collect();
        let mut end = WORD * (word::SLOTS + slots.len() as u64);
        let offsets = slots.iter().zip(&arrays).map(|(slot, array)| {
            (slot.kind == Kind::Uniform).then(|| {
                // No type that is kept asks for more.
                let offset = end.next_multiple_of(64);
                end = offset + array.size;
                offset
            })
        });
        let offsets = offsets.collect();
        let local_id = declare_id(module, intrinsic::LOCAL_ID);
        Frame {
            types,
            local_id,
            slots,
            arrays,
            offsets,
            context_size: end,
        }
    }

    /// The arrays, with their slots' numbers.
    pub(super) fn arrays(&self) -> impl Iterator<Item = (usize, Array<'m>)> + '_ {
        self.arrays.iter().copied().enumerate()
    }

    /// The slot of a kind that there is once.
    pub(super) fn only(&self, kind: Kind) -> Option<usize> {
        self.slots.iter().position(|slot| slot.kind == kind)
    }

    /// The address of a word of the context.
    pub(super) fn word(&self, at: &Builder<'m>, context: Value<'m>, word: u64) -> Value<'m> {
        self.byte(at, context, WORD * word)
    }

    fn byte(&self, at: &Builder<'m>, context: Value<'m>, offset: u64) -> Value<'m> {
        at.element(self.types.i8, context, self.types.i64.constant(offset))
    }

    fn load(&self, at: &Builder<'m>, context: Value<'m>, word: u64) -> Value<'m> {
        at.load(self.types.i64, self.word(at, context, word))
    }

    /// The address of a slot's array.
    pub(super) fn array(&self, at: &Builder<'m>, context: Value<'m>, slot: usize) -> Value<'m> {
        let place = self.word(at, context, word::SLOTS + slot as u64);
        at.load(self.types.ptr, place)
    }

    /// Takes over a uniform value that items have given.
    pub(super) fn take_over(&self, at: &Builder<'m>, context: Value<'m>, slot: usize) {
        if let Some(offset) = self.offsets[slot] {
            let value = at.load(self.arrays[slot].element, self.array(at, context, slot));
            at.store(value, self.byte(at, context, offset));
        }
    }

    /// Gives the calls of a phase's function their meaning.
    pub(super) fn bind(
        &self,
        phase: Function<'m>,
        outcome: &cut::Phase,
        shared: &mut SharedMemory,
    ) -> Result<Uses, Error> {
        let first = phase.blocks()[0].instructions().into_iter();
        let begin = first.skip_while(|instruction| instruction.is(LLVMOpcode::LLVMAlloca));
        if let Some(begin) = begin.into_iter().next() {
            begin.block().split_before(begin);
        }
        let start = Builder::before(phase.blocks()[0].terminator());
        let mut elements = Elements {
            frame: self,
            context: phase.parameters()[1],
            start: &start,
            rows: HashMap::new(),
            known: HashMap::new(),
        };
        let gives = self.drop_what_stays(phase, outcome.outcomes.len() > 1);
        let mut loaded: HashMap<usize, Value<'m>> = HashMap::new();
        for call in phase.instructions() {
            let value = if let Some(slot) = step::got(call) {
                let load = || self.get(slot, &mut elements);
                Some(*loaded.entry(slot).or_insert_with(load))
            } else {
                self.constant(call, &mut elements, shared)?
            };
            if let Some(value) = value {
                call.replace_all_uses_with(value);
                call.erase();
            }
        }
        for call in phase.instructions() {
            if let Some(slot) = step::put(call) {
                let at = Builder::before(call);
                let ty = self.arrays[slot].element;
                let value = call.operand(0);
                let stored = if ty == value.ty() {
                    value
                } else {
                    at.resize(value, ty)
                };
                let store = at.store(stored, elements.address(slot));
                let of_first = match self.slots[slot].kind {
                    Kind::Uniform => true,
                    Kind::Outcome => !outcome.parts,
                    _ => false,
                };
                if of_first {
                    store.set_empty_metadata(FIRST_MATTERS);
                }
                call.erase();
            }
        }
        Ok(Uses { gives })
    }

    /// Drops what puts back what is in a slot already; gives the uniform slots that get something.
    fn drop_what_stays(&self, phase: Function<'m>, outcome_matters: bool) -> Vec<usize> {
        let puts: Vec<_> = phase
            .instructions()
            .into_iter()
            .filter_map(|call| Some((call, step::put(call)?)))
            .collect();
        let stays = |call: Value<'m>, slot| step::got(call.operand(0)) == Some(slot);
        // Which of several ways out was taken is not known when uniform values are taken over: if one
        // gives something, all do.
        let mut gives = Vec::new();
        for &(call, slot) in &puts {
            let uniform = self.slots[slot].kind == Kind::Uniform;
            if uniform && !stays(call, slot) && !gives.contains(&slot) {
                gives.push(slot);
            }
        }
        for (call, slot) in puts {
            let kind = self.slots[slot].kind;
            let drops = match kind {
                Kind::Outcome => !outcome_matters,
                Kind::Uniform => !gives.contains(&slot),
                _ => stays(call, slot),
            };
            if drops {
                call.erase();
            }
        }
        gives
    }

    /// The value of a slot at the beginning of a phase.
    fn get(&self, slot: usize, elements: &mut Elements<'_, 'm>) -> Value<'m> {
        let Slot { kind, ty } = self.slots[slot];
        let (start, context) = (elements.start, elements.context);
        let stored = self.arrays[slot].element;
        let value = match (kind, self.offsets[slot]) {
            (Kind::Memory, _) => return elements.address(slot),
            (_, Some(offset)) => start.load(stored, self.byte(start, context, offset)),
            (Kind::Ballot, _) => {
                let subgroup = start.binary(
                    LLVMOpcode::LLVMLShr,
                    elements.linear(),
                    self.types.i64.constant(SUBGROUP_SIZE.ilog2().into()),
                );
                let array = self.array(start, context, slot);
                start.load(stored, start.element(stored, array, subgroup))
            }
            _ => start.load(stored, elements.address(slot)),
        };
        if stored == ty {
            value
        } else {
            start.resize(value, ty)
        }
    }

    /// What a call gives that asks for the group's memory or for the lane.
    fn constant(
        &self,
        call: Value<'m>,
        elements: &mut Elements<'_, 'm>,
        shared: &mut SharedMemory,
    ) -> Result<Option<Value<'m>>, Error> {
        let (start, context) = (elements.start, elements.context);
        let name = call.called_function().map(Function::name);
        let address = |word| start.load(self.types.ptr, self.word(start, context, word));
        Ok(match name.as_deref() {
            Some(intrinsic::SHARED) => {
                let offset = shared.place(call)?;
                Some(self.byte(start, address(word::SHARED), offset))
            }
            Some(intrinsic::DYNAMIC_SHARED) => Some(address(word::DYNAMIC_SHARED)),
            Some(intrinsic::SUBGROUP_LANE) => {
                let mask = self.types.i64.constant(u64::from(SUBGROUP_SIZE) - 1);
                let lane = start.binary(LLVMOpcode::LLVMAnd, elements.linear(), mask);
                Some(start.resize(lane, self.types.i32))
            }
            _ => None,
        })
    }
}

/// Addresses of an item's elements, computed at the beginning of a phase.
struct Elements<'a, 'm> {
    frame: &'a Frame<'m>,
    context: Value<'m>,
    start: &'a Builder<'m>,
    /// Where the item's row of the group begins, by order.
    rows: HashMap<bool, Value<'m>>,
    known: HashMap<usize, Value<'m>>,
}

impl<'m> Elements<'_, 'm> {
    fn address(&mut self, slot: usize) -> Value<'m> {
        if let Some(known) = self.known.get(&slot) {
            return *known;
        }
        let Array { element, order, .. } = self.frame.arrays[slot];
        let row = self.row(order);
        let array = self.frame.array(self.start, self.context, slot);
        let first = self.start.element(element, array, row);
        let address = self.start.element(element, first, self.id(0));
        self.known.insert(slot, address);
        address
    }

    /// The item's linear id in a whole group.
    fn linear(&mut self) -> Value<'m> {
        let row = self.row(Order::Linear);
        self.start.add(row, self.id(0))
    }

    fn row(&mut self, order: Order) -> Value<'m> {
        let by_rank = order == Order::Rank;
        if let Some(row) = self.rows.get(&by_rank) {
            return *row;
        }
        let (frame, start) = (self.frame, self.start);
        let first = if by_rank {
            word::COUNT
        } else {
            word::GROUP_SIZE
        };
        let [width, height] = [0, 1].map(|d| frame.load(start, self.context, first + d));
        let plane = start.mul(self.id(2), height);
        let row = start.mul(start.add(plane, self.id(1)), width);
        self.rows.insert(by_rank, row);
        row
    }

    fn id(&self, dimension: u64) -> Value<'m> {
        let dimension = self.frame.types.i32.constant(dimension);
        self.start.call(self.frame.local_id, &[dimension])
    }
}
