//! Addresses near others, by how far they are apart.
//!
//! Takes optimised code; outside of loops, gives the same with an address computed of one that is there, where that
//! takes fewer operations: those of the rows above and below an item's are its own address less and more a row's
//! bytes, where the source multiplies anew for each. LLVM would do so, but its pass for that ("SLSR") mixes up
//! numbers that wrap. Products of two numbers of 32 bits are then computed as such, which LLVM's code generator
//! no longer sees when it has widened what is loaded.
//!
//! Numbers are compared as sums of products (`Sum`): equal sums are equal numbers, whatever wraps.

use std::collections::BTreeMap;

use inkwell::module::Module;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use crate::ir::flow::{Blocks, Dominators, Loops};
use crate::ir::{self, Builder, Function, Type, Types, Value, llvm};

/// How many operations back a number is looked into.
const DEPTH: u32 = 8;

/// Most products in a number that is looked at.
const MOST: usize = 6;

/// Computes addresses of others, and in functions that have such, products of 32 bits as what they are. Gives whether
/// there are any: code with operands of addresses that are no longer needed is left to be simplified.
pub(super) fn compute_by_distance(module: &Module<'_>) -> bool {
    let mut changed = false;
    for function in ir::functions(module) {
        if function.is_declaration() {
            continue;
        }
        let Some(blocks) = Blocks::of(function) else {
            continue;
        };
        let dominators = Dominators::of(blocks.flow());
        if let Ok(loops) = Loops::of(blocks.flow()) {
            let types = Types::of(module);
            let straight: Vec<usize> = (loops.order().iter().copied())
                .filter(|block| loops.innermost(*block).is_none())
                .collect();
            let mut near = Near {
                types,
                blocks: &blocks,
                dominators: &dominators,
                there: Vec::new(),
                indices: indices(function),
                changed: false,
            };
            for &block in &straight {
                near.block(block);
            }
            if near.changed {
                changed = true;
                for &block in &straight {
                    near.multiply(block);
                }
            }
        }
    }
    changed
}

/// Numbers that elements are counted by, and the bytes of those, in the function's order.
fn indices<'m>(function: Function<'m>) -> Vec<(Value<'m>, i64)> {
    let mut indices = Vec::new();
    for address in function.instructions() {
        if let Some((_, index, size)) = step(address)
            && index.is_instruction()
            && !indices.contains(&(index, size))
        {
            indices.push((index, size));
        }
    }
    indices
}

/// Of an address that is counted by elements of a plain type, where it counts from, the index, and an element's bytes.
fn step(address: Value<'_>) -> Option<(Value<'_>, Value<'_>, i64)> {
    if !address.is_instruction() || !address.is(LLVMOpcode::LLVMGetElementPtr) {
        return None;
    }
    let size = bytes(address.element_type())?;
    match address.operands()[..] {
        [base, index] if index.ty().integer_width() == 64 => Some((base, index, size)),
        _ => None,
    }
}

fn bytes(ty: Type<'_>) -> Option<i64> {
    use llvm_sys::LLVMTypeKind::*;
    match ty.kind() {
        LLVMIntegerTypeKind => match ty.integer_width() {
            bits @ (8 | 16 | 32 | 64) => Some(i64::from(bits / 8)),
            _ => None,
        },
        LLVMHalfTypeKind => Some(2),
        LLVMFloatTypeKind => Some(4),
        LLVMDoubleTypeKind => Some(8),
        _ => None,
    }
}

/// What is multiplied: one or two numbers. One of 32 bits stands for itself with zeros in front.
type Product<'m> = (Value<'m>, Option<Value<'m>>);

/// A number of 64 bits as a sum of products with constants.
#[derive(Clone, Debug, Default)]
struct Sum<'m> {
    products: BTreeMap<Product<'m>, i64>,
    constant: i64,
}

impl<'m> Sum<'m> {
    fn constant(constant: i64) -> Self {
        Sum {
            products: BTreeMap::new(),
            constant,
        }
    }

    fn of_one(value: Value<'m>) -> Self {
        Sum {
            products: BTreeMap::from([((value, None), 1)]),
            constant: 0,
        }
    }

    fn plus(mut self, other: &Sum<'m>, times: i64) -> Self {
        for (product, count) in &other.products {
            let all = self.products.entry(*product).or_default();
            *all = all.wrapping_add(count.wrapping_mul(times));
        }
        self.products.retain(|_, count| *count != 0);
        self.constant = (self.constant).wrapping_add(other.constant.wrapping_mul(times));
        self
    }

    fn times(&self, factor: i64) -> Self {
        Sum::default().plus(self, factor)
    }

    /// The product of two sums, if each has products of one number only.
    fn by(&self, other: &Sum<'m>) -> Option<Self> {
        let mut all = self.times(other.constant);
        all.constant = 0;
        all = all.plus(other, self.constant);
        for ((one, more), count) in &self.products {
            for ((other, others_more), others) in &other.products {
                if more.is_some() || others_more.is_some() {
                    return None;
                }
                let product = ((*one).min(*other), Some((*one).max(*other)));
                let both = Sum {
                    products: BTreeMap::from([(product, count.wrapping_mul(*others))]),
                    constant: 0,
                };
                all = all.plus(&both, 1);
            }
        }
        Some(all)
    }

    /// What a number is the sum of.
    fn of(value: Value<'m>, depth: u32) -> Self {
        Self::of_operation(value, depth)
            .filter(|sum| sum.products.len() <= MOST)
            .unwrap_or_else(|| Sum::of_one(value))
    }

    fn of_operation(value: Value<'m>, depth: u32) -> Option<Self> {
        use LLVMOpcode::*;
        if let Some(constant) = value.constant_integer() {
            return Some(Sum::constant(constant as i64));
        }
        if depth == DEPTH || !value.is_instruction() {
            return None;
        }
        let operand = |index: u32| Sum::of(value.operand(index), depth + 1);
        match value.opcode()? {
            LLVMAdd => Some(operand(0).plus(&operand(1), 1)),
            LLVMSub => Some(operand(0).plus(&operand(1), -1)),
            LLVMShl => match value.operand(1).constant_integer() {
                Some(by @ 0..63) => Some(operand(0).times(1 << by)),
                _ => None,
            },
            LLVMMul => operand(0).by(&operand(1)),
            LLVMZExt if value.operand(0).ty().integer_width() == 32 => {
                Some(Self::of_half(value.operand(0)))
            }
            _ => None,
        }
    }

    /// What a number of 32 bits with zeros in front is the sum of: a constant alone is split off, if that doesn't wrap.
    fn of_half(half: Value<'m>) -> Self {
        let whole = |value: Value<'m>| Sum::of_one(value);
        if half.is_instruction()
            && half.is(LLVMOpcode::LLVMAdd)
            && let Some(constant) = half.operand(1).constant_integer()
            && llvm!(c::LLVMGetNUW(half.raw())) != 0
        {
            let constant = Sum::constant(constant as i64);
            return whole(half.operand(0)).plus(&constant, 1);
        }
        whole(half)
    }
}

/// An address that is computed somewhere, as what it is behind a base.
struct There<'m> {
    block: usize,
    base: Value<'m>,
    behind: Sum<'m>,
    address: Value<'m>,
}

struct Near<'m, 'f> {
    types: Types<'m>,
    blocks: &'f Blocks<'m>,
    dominators: &'f Dominators,
    /// In the order in which they are computed.
    there: Vec<There<'m>>,
    indices: Vec<(Value<'m>, i64)>,
    changed: bool,
}

impl<'m> Near<'m, '_> {
    fn block(&mut self, number: usize) {
        for access in self.blocks.block(number).instructions() {
            let place = match access.opcode() {
                Some(LLVMOpcode::LLVMLoad) => 0,
                Some(LLVMOpcode::LLVMStore) => 1,
                _ => continue,
            };
            let address = access.operand(place);
            if let Some(nearer) = self.nearer(number, access, address) {
                access.set_operand(place, nearer);
                self.changed = true;
            }
        }
    }

    /// An address, computed in front of an access of one that is there, if that is less to compute.
    fn nearer(&mut self, block: usize, access: Value<'m>, address: Value<'m>) -> Option<Value<'m>> {
        let (base, behind) = located(address)?;
        if behind.products.len() < 2 {
            return None;
        }
        let at = Builder::before(access);
        let mut best: Option<(usize, Sum<'m>)> = None;
        for (index, there) in self.there.iter().enumerate() {
            if there.base != base || !self.dominators.dominates(there.block, block) {
                continue;
            }
            let apart = behind.clone().plus(&there.behind, -1);
            let is_less = |other: &(usize, Sum<'m>)| effort(&apart) < effort(&other.1);
            if is_small(&apart) && best.as_ref().is_none_or(is_less) {
                best = Some((index, apart));
            }
        }
        if let Some((index, apart)) = best {
            let from = self.there[index].address;
            return Some(self.moved(block, &at, base, &behind, from, &apart));
        }
        // The first of its kind: behind an element that is counted by a number that is there.
        for (index, size) in self.indices.clone() {
            let from = Sum::of(index, 0).times(size);
            let apart = behind.clone().plus(&from, -1);
            let is_there = index.block() == access.block()
                || (self.dominators).dominates(self.blocks.number(index.block()), block);
            let is_before = || {
                let before = |value: &Value<'m>| *value != access && *value != index;
                index.block() != access.block()
                    || (access.block().instructions().into_iter()).find(|value| !before(value))
                        == Some(index)
            };
            if from.products.len() >= 2 && is_small(&apart) && is_there && is_before() {
                let element = match size {
                    1 => self.types.i8,
                    2 => self.types.i8.integer(16),
                    4 => self.types.i32,
                    _ => self.types.i64,
                };
                let first = at.address(element, base, &[index]);
                self.there.push(There {
                    block,
                    base,
                    behind: from,
                    address: first,
                });
                return Some(self.moved(block, &at, base, &behind, first, &apart));
            }
        }
        self.there.push(There {
            block,
            base,
            behind,
            address,
        });
        None
    }

    /// The address so far `apart` from another.
    fn moved(
        &mut self,
        block: usize,
        at: &Builder<'m>,
        base: Value<'m>,
        behind: &Sum<'m>,
        from: Value<'m>,
        apart: &Sum<'m>,
    ) -> Value<'m> {
        let Types { i8, i64, .. } = self.types;
        let mut address = from;
        if let Some(((number, _), count)) = apart.products.first_key_value() {
            let number = match number.ty() == i64 {
                true => *number,
                false => at.zero_extend(*number, i64),
            };
            let shift = count.unsigned_abs().trailing_zeros();
            let bytes = at.binary(LLVMOpcode::LLVMShl, number, i64.constant(shift.into()));
            let bytes = match count < &0 {
                true => at.sub(i64.zero(), bytes),
                false => bytes,
            };
            address = at.address(i8, address, &[bytes]);
            let mut behind = behind.clone();
            behind.constant = behind.constant.wrapping_sub(apart.constant);
            self.there.push(There {
                block,
                base,
                behind,
                address,
            });
        }
        match apart.constant {
            0 => address,
            constant => at.address(i8, address, &[i64.constant(constant as u64)]),
        }
    }

    /// Multiplies numbers of 32 bits as such.
    fn multiply(&self, number: usize) {
        for product in self.blocks.block(number).instructions() {
            if !product.is(LLVMOpcode::LLVMMul) || product.ty() != self.types.i64 {
                continue;
            }
            let half = |index: u32| {
                let operand = product.operand(index);
                (operand.is_instruction() && operand.is(LLVMOpcode::LLVMZExt))
                    .then(|| operand.operand(0))
                    .filter(|half| half.ty() == self.types.i32)
            };
            if let (Some(one), Some(other)) = (half(0), half(1)) {
                let at = Builder::before(product);
                let text = "mul.wide.u32 $0, $1, $2;";
                let whole = at.computation(text, "=l,r,r", self.types.i64, &[one, other]);
                product.replace_all_uses_with(whole);
                product.erase();
            }
        }
    }
}

/// The base of an address, and how far it is behind that.
fn located(address: Value<'_>) -> Option<(Value<'_>, Sum<'_>)> {
    let (mut base, mut behind) = (address, Sum::default());
    while let Some((before, index, size)) = step(base) {
        behind = behind.plus(&Sum::of(index, 0), size);
        base = before;
    }
    (base != address && behind.products.len() <= MOST).then_some((base, behind))
}

/// Whether a distance takes an operation at most, beside a constant that an access has room for: it is one number times a power of
/// two.
fn is_small(apart: &Sum<'_>) -> bool {
    let near = (-(1 << 23)..1 << 23).contains(&apart.constant);
    let mut products = apart.products.iter();
    let simple = |((_, more), count): (&Product<'_>, &i64)| {
        more.is_none() && count.unsigned_abs().is_power_of_two()
    };
    near && products.next().is_none_or(simple) && products.next().is_none()
}

/// By which of several distances is chosen.
fn effort(apart: &Sum<'_>) -> (usize, u64, u64) {
    let most = apart.products.values().map(|count| count.unsigned_abs());
    (
        apart.products.len(),
        most.max().unwrap_or(0),
        apart.constant.unsigned_abs(),
    )
}
