//! All operations of a kernel at one place, so that items come together whatever their ways are.
//!
//! Takes a shim with operations anywhere in its control flow; gives one that is a loop around all of it. Its
//! head is where items meet: an item that comes to an operation leaves there for what it came, the label,
//! and the number of the operation, and goes on behind it by that number. Values that outlast an operation are
//! in variables meanwhile, which LLVM turns back into registers.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::super::machine::run;
use super::super::meetings::{Kind, Site};
use super::groups::{Apart, Crowd, WAIT_WITH, helper};
use super::votes;
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Types, Value};

/// Puts values that are used in other blocks into variables.
const TO_VARIABLES: &str = "function(reg2mem)";

/// The other way round.
const TO_REGISTERS: &str = "function(mem2reg,simplifycfg,instcombine<no-verify-fixpoint>)";

/// Binds the operations of a shim.
pub(super) fn bind<'m>(
    module: &'m Module<'_>,
    machine: &TargetMachine,
    entry: Function<'m>,
    lanes: u64,
    sites: Vec<Site<'m>>,
) -> Result<(), Error> {
    // Each operation begins a block, and ends it.
    let behind: Vec<Block<'m>> = sites
        .iter()
        .map(|site| {
            let here = site.call.block().split_before(site.call);
            match site.call.next() {
                Some(next) => here.split_before(next),
                None => here,
            }
        })
        .collect();
    let crowd = Crowd::gather(module, entry, lanes, true)?;
    run(module, machine, TO_VARIABLES)?;
    let start = entry.blocks()[0];
    let meeting = Meeting::new(&crowd, entry, start);
    for (index, (site, behind)) in sites.iter().zip(&behind).enumerate() {
        meeting.send(site, index as u64 + 1, *behind);
    }
    let apart = Apart::new(module, entry, &sites)?;
    let behind: Vec<_> = (sites.iter().map(|site| site.kind).zip(behind)).collect();
    meeting.build(module, &crowd, &apart, &behind)?;
    run(module, machine, TO_REGISTERS)
}

/// The head of the loop, under construction.
struct Meeting<'m> {
    types: Types<'m>,
    head: Block<'m>,
    /// Where the shim goes on that has just begun.
    begin: Block<'m>,
    /// Variables: the number of the operation that an item came to, or 0 if it has just begun; what kind
    /// it is, and its label; what it gives, and the lane that it asks; what it gets.
    site: Value<'m>,
    kind: Value<'m>,
    label: Value<'m>,
    value: Value<'m>,
    lane: Value<'m>,
    result: Value<'m>,
}

impl<'m> Meeting<'m> {
    fn new(crowd: &Crowd<'m>, entry: Function<'m>, start: Block<'m>) -> Self {
        let types = Types::of_type(crowd.lanes.ty());
        let end = start.terminator();
        let begin = start.split_before(end);
        let head = entry.append_block("meet");
        let enter = start.terminator();
        let at = Builder::before(enter);
        let variable = |ty| {
            let at = Builder::before(start.instructions()[0]);
            at.allocas(ty, types.i32.constant(1), 8)
        };
        let words = [(); 5].map(|()| variable(types.i32));
        for word in words {
            at.store(types.i32.zero(), word);
        }
        let result = variable(types.i64);
        at.store(types.i64.zero(), result);
        at.branch(head);
        enter.erase();
        let [site, kind, label, value, lane] = words;
        Meeting {
            types,
            head,
            begin,
            site,
            kind,
            label,
            value,
            lane,
            result,
        }
    }

    /// Leads an operation, whose block it ends, to the head.
    fn send(&self, site: &Site<'m>, number: u64, behind: Block<'m>) {
        let at = Builder::before(site.call);
        let word = |value: u64| self.types.i32.constant(value);
        let operand = |index| site.call.operand(index);
        at.store(word(number), self.site);
        at.store(word(site.kind as u64), self.kind);
        if site.kind == Kind::Matrix {
            return self.send_for_matrix(site, number, behind);
        }
        match site.kind {
            Kind::Barrier => drop(at.store(operand(0), self.label)),
            Kind::Shuffle => {
                at.store(operand(0), self.value);
                at.store(operand(1), self.lane);
            }
            Kind::Ballot => drop(at.store(operand(0), self.value)),
            Kind::Matrix => {}
        }
        if site.kind != Kind::Barrier {
            at.store(word(0), self.label);
        }
        // What follows the operation in its block are copies of its result into variables.
        let block = site.call.block();
        let end = block.terminator();
        let moved: Vec<_> = (block.instructions().into_iter())
            .skip_while(|instruction| *instruction != site.call)
            .skip(1)
            .filter(|instruction| *instruction != end)
            .collect();
        let first = behind.instructions()[0];
        let after = Builder::before(first);
        let result = after.load(self.types.i64, self.result);
        let result = if site.kind == Kind::Shuffle {
            after.truncate(result, self.types.i32)
        } else {
            result
        };
        for instruction in moved {
            instruction.detach();
            after.insert(instruction);
        }
        if !site.call.is_void() {
            site.call.replace_all_uses_with(result);
        }
        let at = Builder::before(end);
        at.branch(self.head);
        end.erase();
        site.call.erase();
    }

    /// Leads an operation on matrices to the head, with its number as label: lanes have to be at one instruction
    /// for it. It is done behind that, so that its block moves there as a whole.
    fn send_for_matrix(&self, site: &Site<'m>, number: u64, behind: Block<'m>) {
        let block = site.call.block();
        let end = block.terminator();
        let first = behind.instructions()[0];
        let after = Builder::before(first);
        // What was stored for the head stays.
        let label = Builder::before(end);
        label.store(self.types.i32.constant(number), self.label);
        let ours = [self.site, self.kind, self.label];
        let moved = block.instructions().into_iter().filter(|instruction| {
            *instruction != end
                && !(instruction.is(LLVMOpcode::LLVMStore)
                    && ours.contains(&instruction.operand(1)))
        });
        for instruction in moved.collect::<Vec<_>>() {
            instruction.detach();
            after.insert(instruction);
        }
        Builder::before(end).branch(self.head);
        end.erase();
    }

    /// Builds what happens at the head.
    fn build(
        &self,
        module: &'m Module<'_>,
        crowd: &Crowd<'m>,
        apart: &Apart<'m>,
        behind: &[(Kind, Block<'m>)],
    ) -> Result<(), Error> {
        let types = &self.types;
        let entry = self.head.function();
        let [meet, together, wait, shuffles, votes, matrices, on] = [
            "compare", "together", "wait", "shuffle", "vote", "multiply", "go_on",
        ]
        .map(|name| entry.append_block(name));
        let same = |at: &Builder<'m>, a, b| at.compare(LLVMIntPredicate::LLVMIntEQ, a, b);
        let first = ir::intrinsic(module, "llvm.amdgcn.readfirstlane", &[types.i32]);
        let of_lane = ir::intrinsic(module, "llvm.amdgcn.readlane", &[types.i32]);
        let trailing = ir::intrinsic(module, "llvm.cttz", &[types.i64]);

        let at = Builder::at_end(self.head);
        let site = at.load(types.i32, self.site);
        at.branch_if(same(&at, site, types.i32.zero()), self.begin, meet);

        // Within the wavefront: all came for what the first lane did, with its label.
        let at = Builder::at_end(meet);
        let kind = at.load(types.i32, self.kind);
        let label = at.load(types.i32, self.label);
        let here = crowd.here(&at);
        let first_kind = at.call(first, &[kind]);
        let first_label = at.call(first, &[label]);
        let first_site = at.call(first, &[site]);
        let alike = at.binary(
            LLVMOpcode::LLVMAnd,
            same(&at, kind, first_kind),
            same(&at, label, first_label),
        );
        let agree = crowd.ballot(&at, alike);
        let rest = at.binary(
            LLVMOpcode::LLVMAnd,
            here,
            at.binary(LLVMOpcode::LLVMXor, agree, types.i64.constant(u64::MAX)),
        );
        let some = at.compare(LLVMIntPredicate::LLVMIntNE, rest, types.i64.zero());
        let index = at.select(
            some,
            at.truncate(at.call(trailing, &[rest, types.i1.zero()]), types.i32),
            types.i32.zero(),
        );
        let another = at.call(of_lane, &[site, index]);
        let another = at.select(some, another, types.i32.zero());
        let other = at.select(alike, another, first_site);
        let complete = same(&at, agree, crowd.lanes);
        let failed = at.binary(LLVMOpcode::LLVMXor, complete, types.i1.constant(1));
        let end = at.branch(together);
        apart.leave_if(failed, site, other, end);

        let at = Builder::at_end(together);
        let word = |kind: Kind| types.i32.constant(kind as u64);
        at.switch(
            first_kind,
            wait,
            &[
                (word(Kind::Shuffle), shuffles),
                (word(Kind::Ballot), votes),
                (word(Kind::Matrix), matrices),
            ],
        );

        let at = Builder::at_end(wait);
        let count = crowd.count(&at);
        let met = at.call(
            helper(module, WAIT_WITH)?,
            &[crowd.wave, count, label, site, crowd.first],
        );
        let failed = at.compare(
            LLVMIntPredicate::LLVMIntNE,
            met,
            types.i32.constant(u32::MAX.into()),
        );
        let end = at.branch(on);
        apart.leave_if(failed, site, met, end);

        let at = Builder::at_end(shuffles);
        let value = at.load(types.i32, self.value);
        let lane = at.load(types.i32, self.lane);
        let result = votes::shuffle(module, &at, value, lane);
        at.store(at.zero_extend(result, types.i64), self.result);
        at.branch(on);

        let at = Builder::at_end(votes);
        let bit = at.truncate(at.load(types.i32, self.value), types.i1);
        at.store(crowd.ballot(&at, bit), self.result);
        at.branch(on);

        let nowhere = entry.append_block("nowhere");
        Builder::at_end(nowhere).unreachable();
        let cases = |wanted: fn(Kind) -> bool| -> Vec<_> {
            (behind.iter().enumerate())
                .filter(|(_, (kind, _))| wanted(*kind))
                .map(|(index, (_, block))| (types.i32.constant(index as u64 + 1), *block))
                .collect()
        };
        Builder::at_end(on).switch(site, nowhere, &cases(|kind| kind != Kind::Matrix));
        // All lanes came to the same, so that all go on there.
        Builder::at_end(matrices).switch(first_site, nowhere, &cases(|kind| kind == Kind::Matrix));
        Ok(())
    }
}
