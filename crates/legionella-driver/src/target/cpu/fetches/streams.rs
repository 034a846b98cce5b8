//! Fetches ahead of what a loop reads, for loops whose arrays are larger than the caches.
//!
//! A processor fetches ahead by itself, but within pages, and starts anew with each; a loop that reads
//! several rows and stores past the caches then waits at each page. Takes the loads of a turn, gives
//! those that begin a line that no other of them does, and fetches what they read a page later.

use inkwell::module::Module;
use llvm_sys::LLVMOpcode;

use super::super::super::affine::Affine;
use super::super::streaming::apart;
use super::{LINE, PAGE, fetch};
use crate::ir::{Builder, Type, Types, Value};

/// The loads of a loop that are worth a fetch: of where its lanes read on and on, one for each line of a turn.
pub(in super::super) struct Streams<'m> {
    known: Vec<Address<'m>>,
    loads: Vec<Value<'m>>,
}

/// An address by what it is computed of: a base, an index without what is added last, and the bytes that
/// add to both.
#[derive(Clone, Copy)]
struct Address<'m> {
    base: Value<'m>,
    index: Value<'m>,
    distance: u64,
}

impl<'m> Streams<'m> {
    pub(in super::super) fn new() -> Self {
        Streams {
            known: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// Takes a load of the loop into account, given the size of an array's element by its type.
    pub(in super::super) fn add(
        &mut self,
        load: Value<'m>,
        affine: &Affine<'_, 'm>,
        size: impl Fn(Type<'m>) -> u64,
    ) {
        if !load.is(LLVMOpcode::LLVMLoad) {
            return;
        }
        let Some(address) = Address::of(load.operand(0), affine, size) else {
            return;
        };
        let shares_line = |known: &Address<'m>| {
            // Distances wrap around: what lies before the base has negative ones.
            let apart = known.distance.wrapping_sub(address.distance) as i64;
            let same = known.base == address.base && known.index == address.index;
            same && apart.unsigned_abs() < LINE
        };
        if !self.known.iter().any(shares_line) {
            self.known.push(address);
            self.loads.push(load);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.loads.len()
    }

    /// Fetches what lies a page behind what these read, given where to find an address.
    pub(in super::super) fn fetch(
        &self,
        module: &'m Module<'_>,
        at: &Builder<'m>,
        found: impl Fn(Value<'m>) -> Value<'m>,
    ) {
        let page = Types::of(module).i64.constant(PAGE);
        for load in &self.loads {
            fetch(module, at, found(load.operand(0)), page);
        }
    }
}

impl<'m> Address<'m> {
    fn of(
        address: Value<'m>,
        affine: &Affine<'_, 'm>,
        size: impl Fn(Type<'m>) -> u64,
    ) -> Option<Self> {
        let (element, mut distance) = apart(address);
        let by_index = element.is_instruction()
            && element.is(LLVMOpcode::LLVMGetElementPtr)
            && element.operands().len() == 2
            && affine.step(element.operand(0), 0) == Some(0)
            // What a function reserves for itself is near.
            && !(element.operand(0).is_instruction() && element.operand(0).is(LLVMOpcode::LLVMAlloca));
        let mut index = by_index.then(|| element.operand(1))?;
        if affine.step(index, 0)? == 0 {
            return None;
        }
        let size = size(element.element_type());
        while index.is_instruction()
            && index.is(LLVMOpcode::LLVMAdd)
            && let Some(more) = index.operand(1).constant_integer()
        {
            distance = distance.wrapping_add(more.wrapping_mul(size));
            index = index.operand(0);
        }
        Some(Address {
            base: element.operand(0),
            index,
            distance,
        })
    }
}
