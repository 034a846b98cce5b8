//! The kernel whose threads run several neighbouring work-items each.
//!
//! Takes the function of a work-item that is short and straight; gives a kernel with two loops over the
//! items of a thread. The *quick* one runs where all of them pass their checks
//! ([`super::guards`]) and where the memory that they access together is aligned for it: LLVM
//! unrolls it and makes one access of all of them. Elsewhere the other one runs, which checks each item. Where
//! memory isn't aligned, a thread's items there are as far apart as its group has threads, so that neighbours
//! still access neighbours.

use std::collections::BTreeSet;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::target as t;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::first_reads;
use super::guards::{Quick, delete_if_unused, depends_on};
use crate::ir::{self, Block, Builder, Function, Types, Value, llvm};

/// The longest function of a work-item of which there is such a kernel, in instructions.
const LONGEST: usize = 150;

/// What the widest access takes, in bytes, and what it has to be aligned to.
const WIDEST: u64 = 16;

const ALIGNED: &str = "legionella.aligned";
const APART: &str = "legionella.apart";

/// Whether a work-item's function is one of which a thread may run several: it has no loop, doesn't
/// ask for its group, and does nothing that would have to come in an order.
pub(super) fn is_suitable(item: Function<'_>) -> bool {
    let instructions = item.instructions();
    instructions.len() <= LONGEST
        && instructions
            .iter()
            .all(|instruction| is_simple(*instruction))
        && is_acyclic(item)
}

fn is_simple(instruction: Value<'_>) -> bool {
    if llvm!(c::LLVMIsAtomic(instruction.raw())) != 0 || instruction.is(LLVMOpcode::LLVMAlloca) {
        return false;
    }
    if !instruction.is_call() {
        return true;
    }
    let Some(called) = instruction.called_function() else {
        return false;
    };
    let name = called.name();
    match name.as_str() {
        intrinsic::GLOBAL_ID | intrinsic::GRID_SIZE => true,
        "llvm.trap" => false,
        name => name.starts_with("llvm.") && called.is_declaration(),
    }
}

/// Whether no block is reached from itself.
fn is_acyclic(function: Function<'_>) -> bool {
    let mut left: Vec<Block<'_>> = function.blocks();
    let mut done = BTreeSet::new();
    loop {
        let before = left.len();
        left.retain(|block| {
            let ends = block.successors().iter().all(|next| done.contains(next));
            if ends {
                done.insert(*block);
            }
            !ends
        });
        if left.is_empty() {
            return true;
        }
        if left.len() == before {
            return false;
        }
    }
}

/// Whether a work-item's function is one of several dimensions: it uses the id in the second one by itself, and
/// not only for the item's number among all.
pub(super) fn has_rows(item: Function<'_>) -> bool {
    let is_constant = |value: &Value<'_>| value.constant_integer().is_some();
    let numbers =
        |user: &Value<'_>| user.is(LLVMOpcode::LLVMAdd) && !user.operands().iter().any(is_constant);
    let asks = |call: &Value<'_>| {
        let called = call.called_function();
        called.is_some_and(|called| called.name() == intrinsic::GLOBAL_ID)
            && call.operand(0).constant_integer() == Some(1)
    };
    (item.instructions().into_iter())
        .filter(asks)
        .any(|call| !call.users().iter().all(numbers))
}

/// How many items a thread of such a kernel runs, given the work-item's function: as many as one access takes of
/// what its largest arrays have.
pub(super) fn width(module: &Module<'_>, item: Function<'_>) -> u64 {
    let layout = llvm!(t::LLVMGetModuleDataLayout(module.as_mut_ptr()));
    let is_element = |address: &Value<'_>| {
        address.is(LLVMOpcode::LLVMGetElementPtr)
            && address.operands().len() == 2
            && address.operand(1).constant_integer().is_none()
    };
    let fitting = |address: Value<'_>| {
        let element = address.element_type();
        let bytes = llvm!(t::LLVMABISizeOfType(layout, element.raw()));
        WIDEST / bytes.max(1).next_power_of_two()
    };
    let all = item.instructions().into_iter().filter(is_element);
    let fewest = all.map(fitting).filter(|items| *items > 1).min();
    fewest.map_or(gpu::MOST_WIDE, |items| items.min(gpu::MOST_WIDE))
}

/// The threads that run the items of such a kernel.
pub(super) struct Threads<'m> {
    /// The thread's number in the first dimension.
    pub(super) thread: Value<'m>,
    /// The same within its group.
    pub(super) in_group: Value<'m>,
    /// Threads of a group in the first dimension.
    pub(super) group: Value<'m>,
    /// Items that each runs.
    pub(super) width: u64,
    /// The id of its items in the second dimension, if there is one.
    pub(super) row: Option<Value<'m>>,
}

/// The loops of such a kernel, under construction.
pub(super) struct Wide<'m> {
    quick: Quick<'m>,
    /// Items of a thread.
    width: u64,
    /// A stand-in for whether memory is aligned.
    aligned: Value<'m>,
    /// A stand-in for whether the items of the other loop are apart.
    apart: Value<'m>,
    /// Where it leads into the quick loop.
    enter: Block<'m>,
    first: Value<'m>,
    /// The item's linear id in the loop with checks.
    checked: Value<'m>,
}

/// What a thread does with one item: builds it, and gives where building goes on.
pub(super) type Item<'a, 'm> = dyn Fn(Builder<'m>, Value<'m>) -> Builder<'m> + 'a;

impl<'m> Wide<'m> {
    /// Builds the loops at the end of a block; both lead to `outside`. `call` builds a call of the item's
    /// function, `item` one with what follows it, given the item's linear id.
    pub(super) fn build(
        module: &'m Module<'_>,
        at: &Builder<'m>,
        threads: &Threads<'m>,
        items: Value<'m>,
        outside: Block<'m>,
        call: &dyn Fn(&Builder<'m>) -> Value<'m>,
        item: &Item<'_, 'm>,
    ) -> Self {
        let types = Types::of(module);
        let function = at.block().function();
        let number = |value: u64| types.i64.constant(value);
        let width = number(threads.width);
        let [enter, header, body, other, other_body] =
            ["enter", "quick", "quick_item", "checked", "checked_item"]
                .map(|name| function.append_block(name));
        let first = at.mul_no_wrap(threads.thread, width);
        let before_group = at.sub(threads.thread, threads.in_group);
        let begins = at.add(at.mul_no_wrap(before_group, width), threads.in_group);
        let last = at.add(first, number(threads.width - 1));
        let whole = at.compare(LLVMIntPredicate::LLVMIntULT, last, items);
        let guarded = Quick::guarded(module, at);
        let guard = Quick::guard(module, at);
        let aligned = at.call(ir::declare(module, ALIGNED, types.i1, &[]), &[]);
        let both = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let apart = at.call(ir::declare(module, APART, types.i1, &[]), &[]);
        let begin = at.select(apart, begins, first);
        let step = at.select(apart, threads.group, number(1));
        let all = both(both(whole, guarded), both(guard, aligned));
        let start = at.block();
        at.branch_if(all, enter, other);
        Builder::at_end(enter).branch(header);

        let head = Builder::at_end(header);
        let lane = head.phi(types.i64);
        let more = head.compare(LLVMIntPredicate::LLVMIntULT, lane, width);
        head.branch_if(more, body, outside);
        let at = Builder::at_end(body);
        let place = Quick::place(module, &at, call(&at));
        lane.add_incoming(types.i64.zero(), enter);
        lane.add_incoming(at.add(lane, number(1)), body);
        at.branch(header);

        let head = Builder::at_end(other);
        let index = head.phi(types.i64);
        let checked = head.add(begin, head.mul_no_wrap(index, step));
        let inside = head.compare(LLVMIntPredicate::LLVMIntULT, checked, items);
        let more = head.compare(LLVMIntPredicate::LLVMIntULT, index, width);
        let more = head.binary(LLVMOpcode::LLVMAnd, more, inside);
        head.branch_if(more, other_body, outside);
        let latch = item(Builder::at_end(other_body), checked);
        index.add_incoming(types.i64.zero(), start);
        index.add_incoming(latch.add(index, number(1)), latch.block());
        latch.branch(other);

        Wide {
            quick: Quick {
                guard,
                guarded,
                place,
                lane,
                header,
                last: number(threads.width - 1),
                row: threads.row,
            },
            width: threads.width,
            aligned,
            apart,
            enter,
            first,
            checked,
        }
    }

    /// The blocks of the quick loop, in which another item runs than in others.
    pub(super) fn quick_blocks(&self) -> BTreeSet<Block<'m>> {
        self.quick.blocks()
    }

    /// The linear id of the item that runs, in the quick loop or else in the other.
    pub(super) fn item(&self, at: &Builder<'m>, in_quick: bool) -> Value<'m> {
        if in_quick {
            at.add(self.first, self.quick.lane)
        } else {
            self.checked
        }
    }

    /// The id of a thread's items in the second dimension.
    pub(super) fn row(&self) -> Option<Value<'m>> {
        self.quick.row
    }

    /// Settles what the quick loop assumes, once the item is inlined and knows its id; whether that
    /// loop is of use.
    pub(super) fn settle(self, module: &'m Module<'_>, machine: &TargetMachine) -> bool {
        let narrow = self.align(module, machine);
        let guarded = self.quick.settle(module, true);
        if narrow && guarded {
            first_reads::make(&self.quick, self.enter, self.width);
        }
        narrow && guarded
    }

    /// Has the quick loop run only where what it accesses together is aligned, and tells it so. Whether
    /// that is worth it: if there are elements, and one access takes all that a thread has of an array.
    /// With two, each would leave gaps between what the threads of a warp access.
    fn align(&self, module: &'m Module<'_>, machine: &TargetMachine) -> bool {
        let types = Types::of(module);
        let data = machine.get_target_data();
        let at = Builder::before(self.aligned);
        let mut aligned = types.i1.constant(1);
        let (mut found, mut too_wide) = (false, false);
        // Whether memory is aligned is then the same for all threads of a group that have the same row.
        let mut alike = true;
        for address in self.quick.neighbours() {
            let element = address.element_type();
            let stride = llvm!(t::LLVMABISizeOfType(data.as_mut_ptr(), element.raw()));
            let bytes = stride * self.width;
            if bytes > WIDEST || !bytes.is_power_of_two() {
                too_wide = true;
                continue;
            }
            found = true;
            // Of a row, which may be a part of the index, the start.
            let (index, terms) = self.quick.apart_from(address, self.first);
            let base = self.quick.before_loop(address.operand(0), &at);
            let is_split = !terms.is_empty();
            let base = terms.into_iter().fold(base, |base, term| {
                at.address(element, base, &[self.quick.before_loop(term, &at)])
            });
            alike &= !depends_on(base, self.first);
            let low = at.cast(LLVMOpcode::LLVMPtrToInt, base, types.i64);
            let low = at.binary(LLVMOpcode::LLVMAnd, low, types.i64.constant(bytes - 1));
            let fits = at.compare(LLVMIntPredicate::LLVMIntEQ, low, types.i64.zero());
            aligned = at.binary(LLVMOpcode::LLVMAnd, aligned, fits);
            Builder::before(self.enter.terminator()).assume_aligned(module, base, bytes);
            if is_split {
                let again = Builder::before(address).address(element, base, &[index]);
                address.replace_all_uses_with(again);
                address.erase();
            } else {
                address.set_operand(0, base);
            }
        }
        let apart = match alike {
            true => at.binary(LLVMOpcode::LLVMXor, aligned, types.i1.constant(1)),
            false => types.i1.zero(),
        };
        for (stand_in, value) in [(self.aligned, aligned), (self.apart, apart)] {
            stand_in.replace_all_uses_with(value);
            stand_in.erase();
        }
        for name in [ALIGNED, APART] {
            delete_if_unused(module, name);
        }
        found && !too_wide
    }
}
