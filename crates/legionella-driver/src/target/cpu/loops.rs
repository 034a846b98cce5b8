//! Loops under construction, and the claim that one is parallel.

use std::collections::HashSet;

use inkwell::module::Module;
use llvm_sys::LLVMIntPredicate;
use llvm_sys::core as c;
use llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef};

use crate::ir::metadata::{describe_loop, kind, node, property, text};
use crate::ir::{self, Block, Builder, Function, Value, debug, llvm};

/// What a loop over work-items is called in remarks.
const ITEMS: &str = "the loop over the work-items of a strip";

/// A loop `for index in (first..end).step_by(step)` under construction, with its exit test on top.
pub(super) struct Counter<'m> {
    pub(super) header: Block<'m>,
    exit: Block<'m>,
    step: Value<'m>,
    pub(super) index: Value<'m>,
    /// A second value that goes round: its phi and what it becomes.
    carried: Option<(Value<'m>, Option<Value<'m>>)>,
    /// Where the body is built.
    pub(super) body: Builder<'m>,
}

impl<'m> Counter<'m> {
    pub(super) fn begin(
        function: Function<'m>,
        before: &Builder<'m>,
        first: Value<'m>,
        end: Value<'m>,
        step: Value<'m>,
    ) -> Self {
        let header = function.append_block("head");
        let body = function.append_block("body");
        let exit = function.append_block("done");
        let from = before.block();
        before.branch(header);
        let head = Builder::at_end(header);
        let index = head.phi(first.ty());
        index.add_incoming(first, from);
        let more = head.compare(LLVMIntPredicate::LLVMIntULT, index, end);
        head.branch_if(more, body, exit);
        Counter {
            header,
            exit,
            step,
            index,
            carried: None,
            body: Builder::at_end(body),
        }
    }

    /// Adds a value that goes round the loop.
    pub(super) fn carry(&mut self, first: Value<'m>) -> Value<'m> {
        let phi = Builder::before(self.index).phi(first.ty());
        let (_, from) = self.index.incoming()[0];
        phi.add_incoming(first, from);
        self.carried = Some((phi, None));
        phi
    }

    pub(super) fn set_carried(&mut self, next: Value<'m>) {
        if let Some((_, becomes)) = &mut self.carried {
            *becomes = Some(next);
        }
    }

    /// Closes the loop where the body's builder stands; gives the place behind it and the latch.
    pub(super) fn finish(self) -> (Builder<'m>, Value<'m>) {
        let Counter {
            header,
            exit,
            step,
            index,
            carried,
            body,
        } = self;
        let next = body.add(index, step);
        let latch = body.block();
        let branch = body.branch(header);
        index.add_incoming(next, latch);
        if let Some((phi, Some(value))) = carried {
            phi.add_incoming(value, latch);
        }
        (Builder::at_end(exit), branch)
    }

    /// Closes the loop from another place than its body's first block.
    pub(super) fn finish_from(mut self, at: Builder<'m>) -> (Builder<'m>, Value<'m>) {
        self.body = at;
        self.finish()
    }
}

/// A loop over `0..end` in strips, under construction, whose body decides how it goes on.
pub(super) struct Strips<'m> {
    header: Block<'m>,
    exit: Block<'m>,
    latch: Block<'m>,
    /// What goes round: where the strip begins, and what else the body decides.
    carried: Vec<Value<'m>>,
    /// What each becomes.
    next: Vec<Value<'m>>,
    /// Where the body is built.
    pub(super) body: Builder<'m>,
}

impl<'m> Strips<'m> {
    /// Begins a loop; what goes round besides the strip's first index starts as `others`.
    pub(super) fn begin(
        function: Function<'m>,
        before: &Builder<'m>,
        end: Value<'m>,
        others: &[Value<'m>],
    ) -> Self {
        let [header, body, latch, exit] = ["strip_head", "strip", "strip_latch", "strip_exit"]
            .map(|name| function.append_block(name));
        let from = before.block();
        before.branch(header);
        let head = Builder::at_end(header);
        let zero = end.ty().zero();
        let mut carried = Vec::new();
        for first in std::iter::once(&zero).chain(others) {
            let phi = head.phi(first.ty());
            phi.add_incoming(*first, from);
            carried.push(phi);
        }
        let more = head.compare(LLVMIntPredicate::LLVMIntULT, carried[0], end);
        head.branch_if(more, body, exit);
        let latch_builder = Builder::at_end(latch);
        let next = carried
            .iter()
            .map(|phi| latch_builder.phi(phi.ty()))
            .collect();
        Strips {
            header,
            exit,
            latch,
            carried,
            next,
            body: Builder::at_end(body),
        }
    }

    /// Where the strip begins.
    pub(super) fn first(&self) -> Value<'m> {
        self.carried[0]
    }

    /// The others of what goes round.
    pub(super) fn other(&self, index: usize) -> Value<'m> {
        self.carried[1 + index]
    }

    /// Goes round from a place in the body, where the next strip begins at the first of `next`.
    pub(super) fn go_on(&self, from: &Builder<'m>, next: &[Value<'m>]) {
        for (phi, value) in self.next.iter().zip(next) {
            phi.add_incoming(*value, from.block());
        }
        from.branch(self.latch);
    }

    /// Closes the loop; gives the place behind it and the branch of its latch.
    pub(super) fn finish(self) -> (Builder<'m>, Value<'m>) {
        for (phi, next) in self.carried.iter().zip(&self.next) {
            phi.add_incoming(*next, self.latch);
        }
        let branch = Builder::at_end(self.latch).branch(self.header);
        (Builder::at_end(self.exit), branch)
    }
}

/// The claim that a loop's iterations don't touch each other's memory (LLVM Language Reference,
/// `llvm.loop.parallel_accesses`), which holds for the safe outputs by construction and for raw
/// pointers by the obligations of an unchecked launch.
pub(super) struct Parallel<'m> {
    context: LLVMContextRef,
    group: LLVMMetadataRef,
    /// Whether the module has source lines, by which loops are named.
    has_lines: bool,
    lifetime: std::marker::PhantomData<&'m ()>,
}

impl<'m> Parallel<'m> {
    pub(super) fn new(module: &'m Module<'_>) -> Self {
        Parallel {
            context: llvm!(c::LLVMGetModuleContext(module.as_mut_ptr())),
            group: ir::distinct_node(module),
            has_lines: debug::has_lines(module),
            lifetime: std::marker::PhantomData,
        }
    }

    /// Puts an instruction, and what is inlined for it, under the claim.
    pub(super) fn mark(&self, instruction: Value<'m>) {
        llvm!(c::LLVMSetMetadata(
            instruction.raw(),
            kind(self.context, "llvm.access.group"),
            c::LLVMMetadataAsValue(self.context, self.group)
        ));
    }

    /// The property that names a loop, if there is anything to name it by.
    fn name(&self, latch: Value<'m>, text: &str) -> Vec<LLVMMetadataRef> {
        let name = self.has_lines.then(|| name(latch, text)).flatten();
        name.into_iter().collect()
    }

    /// Makes the claim for the loop of a latch, and asks for vector code.
    pub(super) fn finish(&self, latch: Value<'m>) {
        let mut properties = self.name(latch, ITEMS);
        properties.extend(self.claim());
        describe_loop(self.context, latch, &properties);
    }

    /// Makes the claim for the loop of a latch that turns `lanes` times, which is to become vector
    /// code that does it in one.
    pub(super) fn finish_lanes(&self, latch: Value<'m>, lanes: u64) {
        let mut properties = self.name(latch, &format!("a region's loop over {lanes} lanes"));
        properties.extend(self.claim());
        properties.extend([
            property(self.context, "llvm.loop.vectorize.width", 32, lanes),
            property(self.context, "llvm.loop.interleave.count", 32, 1),
            node(
                self.context,
                &mut [text(self.context, "llvm.loop.unroll.disable")],
            ),
        ]);
        describe_loop(self.context, latch, &properties);
    }

    fn claim(&self) -> [LLVMMetadataRef; 2] {
        let accesses = node(
            self.context,
            &mut [
                text(self.context, "llvm.loop.parallel_accesses"),
                self.group,
            ],
        );
        let enable = property(self.context, "llvm.loop.vectorize.enable", 1, 1);
        [accesses, enable]
    }
}

/// Keeps the loop of a latch from being unrolled: it runs a few times around the one that matters.
pub(super) fn keep_rolled(module: &Module<'_>, latch: Value<'_>) {
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let disable = node(context, &mut [text(context, "llvm.loop.unroll.disable")]);
    describe_loop(context, latch, &[disable]);
}

/// Has a loop that matters little vectorised, with little code.
pub(super) fn keep_small(module: &Module<'_>, latch: Value<'_>) {
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let disable = node(context, &mut [text(context, "llvm.loop.unroll.disable")]);
    let once = property(context, "llvm.loop.interleave.count", 32, 1);
    describe_loop(context, latch, &[disable, once]);
}

/// Keeps a loop that hardly ever runs as it is.
pub(super) fn keep_plain(module: &Module<'_>, latch: Value<'_>) {
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let unroll = node(context, &mut [text(context, "llvm.loop.unroll.disable")]);
    let scalar = property(context, "llvm.loop.vectorize.enable", 1, 0);
    describe_loop(context, latch, &[unroll, scalar]);
}

/// What names a loop in remarks, which is the location of something in it, where these are wanted.
fn name(latch: Value<'_>, name: &str) -> Option<LLVMMetadataRef> {
    let header = latch.successors().first().copied()?;
    let mut seen = HashSet::from([header]);
    let mut ahead = vec![header];
    let mut found = Vec::new();
    // What is ahead first is what is in the loop: an exit is the last way out of a block.
    while let Some(block) = ahead.pop() {
        for instruction in block.instructions() {
            if debug::is_located(instruction) {
                found.push(instruction);
            } else if let Some(called) = instruction.called_function() {
                let inside = called.instructions().into_iter();
                found.extend(inside.filter(|inside| debug::is_located(*inside)));
            }
        }
        // A block that is not finished is behind the loop.
        if !block.terminator().raw().is_null() {
            let next = block.successors().into_iter().rev();
            ahead.extend(next.filter(|next| seen.insert(*next)));
        }
    }
    // The shim around a kernel, which calls it by `Fn::call`, is not what somebody wrote.
    let is_kernel = |instruction: &&Value<'_>| {
        let frames = debug::frames(**instruction);
        let outer = frames.iter().rev().nth(1);
        let source = outer.and_then(|frame| frame.source.as_ref());
        source.is_some_and(|source| source.file.ends_with("/core/src/ops/function.rs"))
    };
    let chosen = found.iter().find(is_kernel).or(found.first())?;
    debug::name_loop(*chosen, name)
}
