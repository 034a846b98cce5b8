//! The kernel whose threads run several neighbouring work-items each.
//!
//! Takes the function of a work-item that is short and straight; gives a kernel with two loops over the
//! items of a thread. The *quick* one runs where all of them pass their checks
//! ([`super::guards`]) and where the memory that they access together is aligned for it: LLVM
//! unrolls it and makes one access of four. Elsewhere the other one runs, which checks each item.

use std::collections::BTreeSet;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::target as t;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::guards::Quick;
use crate::ir::{self, Block, Builder, Function, Types, Value, llvm};

/// The longest function of a work-item of which there is such a kernel, in instructions.
const LONGEST: usize = 150;

/// What the widest access takes, in bytes, and what it has to be aligned to.
const WIDEST: u64 = 16;

const ALIGNED: &str = "legionella.aligned";

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

/// The loops of such a kernel, under construction.
pub(super) struct Wide<'m> {
    quick: Quick<'m>,
    /// A stand-in for whether memory is aligned.
    aligned: Value<'m>,
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
        thread: Value<'m>,
        items: Value<'m>,
        outside: Block<'m>,
        call: &dyn Fn(&Builder<'m>) -> Value<'m>,
        item: &Item<'_, 'm>,
    ) -> Self {
        let types = Types::of(module);
        let function = at.block().function();
        let number = |value: u64| types.i64.constant(value);
        let width = number(gpu::WIDTH);
        let [start, enter, header, body, other, other_body] = [
            "start",
            "enter",
            "quick",
            "quick_item",
            "checked",
            "checked_item",
        ]
        .map(|name| function.append_block(name));
        let first = at.mul_no_wrap(thread, width);
        let any = at.compare(LLVMIntPredicate::LLVMIntULT, first, items);
        at.branch_if(any, start, outside);

        let at = Builder::at_end(start);
        let last = at.add(first, number(gpu::WIDTH - 1));
        let whole = at.compare(LLVMIntPredicate::LLVMIntULT, last, items);
        let guarded = Quick::guarded(module, &at);
        let guard = Quick::guard(module, &at);
        let aligned = at.call(ir::declare(module, ALIGNED, types.i1, &[]), &[]);
        let both = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let all = both(both(whole, guarded), both(guard, aligned));
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
        let checked = head.add(first, index);
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
                last: number(gpu::WIDTH - 1),
            },
            aligned,
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

    /// Settles what the quick loop assumes, once the item is inlined and knows its id; whether that
    /// loop is of use.
    pub(super) fn settle(self, module: &'m Module<'_>, machine: &TargetMachine) -> bool {
        let narrow = self.align(module, machine);
        let guarded = self.quick.settle(module);
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
        for address in self.quick.neighbours() {
            let element = llvm!(c::LLVMGetGEPSourceElementType(address.raw()));
            let stride = llvm!(t::LLVMABISizeOfType(data.as_mut_ptr(), element));
            let bytes = stride * gpu::WIDTH;
            if bytes > WIDEST || !bytes.is_power_of_two() {
                too_wide = true;
                continue;
            }
            found = true;
            let base = self.quick.before_loop(address.operand(0), &at);
            let low = at.cast(LLVMOpcode::LLVMPtrToInt, base, types.i64);
            let low = at.binary(LLVMOpcode::LLVMAnd, low, types.i64.constant(bytes - 1));
            let fits = at.compare(LLVMIntPredicate::LLVMIntEQ, low, types.i64.zero());
            aligned = at.binary(LLVMOpcode::LLVMAnd, aligned, fits);
            Builder::before(self.enter.terminator()).assume_aligned(module, base, bytes);
            address.set_operand(0, base);
        }
        self.aligned.replace_all_uses_with(aligned);
        self.aligned.erase();
        if let Some(function) = ir::function(module, ALIGNED) {
            function.delete();
        }
        found && !too_wide
    }
}
