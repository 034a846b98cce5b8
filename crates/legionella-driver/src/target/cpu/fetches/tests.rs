//! What is fetched, and what isn't.

use std::collections::BTreeSet;

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::targets::TargetMachine;

use super::super::super::affine::Affine;
use super::super::regions::type_size;
use super::super::trial;
use super::{Streams, build};
use crate::ir;

/// Runs `look` on a module, given as text, for this machine.
fn of<T>(text: &str, look: impl FnOnce(&Module<'_>, &TargetMachine) -> T) -> T {
    let machine = trial::machine("x86-64-v3");
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "text");
    let module = context.create_module_from_ir(buffer).unwrap();
    look(&module, &machine)
}

/// How many loads of a loop over `%lane` are worth a fetch; `%n` is the same for all lanes.
fn streams(loads: &str) -> usize {
    let text = format!(
        "define void @run(ptr %base, ptr %other, i64 %n) {{
        start:
            br label %turn
        turn:
            %lane = phi i64 [ 0, %start ], [ %next, %turn ]
            {loads}
            %next = add i64 %lane, 16
            %over = icmp eq i64 %next, %n
            br i1 %over, label %end, label %turn
        end:
            ret void
        }}"
    );
    of(&text, |module, machine| {
        let run = ir::function(module, "run").unwrap();
        let block = run.blocks()[1];
        let affine = Affine {
            lane: block.phis()[0],
            header: block,
            blocks: &BTreeSet::from([block]),
            row: None,
        };
        let mut streams = Streams::new();
        for instruction in block.instructions() {
            streams.add(instruction, &affine, |ty| type_size(machine, ty));
        }
        streams.len()
    })
}

#[test]
fn each_line_of_a_turn_is_fetched_once() {
    let neighbours = "
        %here = getelementptr float, ptr %base, i64 %lane
        %a = load <16 x float>, ptr %here
        %more = add i64 %lane, 1
        %behind = getelementptr float, ptr %base, i64 %more
        %b = load <16 x float>, ptr %behind
        %before = getelementptr i8, ptr %here, i64 -4
        %c = load <16 x float>, ptr %before";
    let lines = "
        %here = getelementptr float, ptr %base, i64 %lane
        %a = load <16 x float>, ptr %here
        %next.line = getelementptr i8, ptr %here, i64 64
        %b = load <16 x float>, ptr %next.line
        %line.before = getelementptr i8, ptr %here, i64 -64
        %c = load <16 x float>, ptr %line.before";
    let rows = "
        %here = getelementptr float, ptr %base, i64 %lane
        %a = load <16 x float>, ptr %here
        %below = add i64 %lane, %n
        %there = getelementptr float, ptr %base, i64 %below
        %b = load <16 x float>, ptr %there
        %elsewhere = getelementptr float, ptr %other, i64 %lane
        %c = load <16 x float>, ptr %elsewhere";
    assert_eq!(streams(neighbours), 1);
    assert_eq!(streams(lines), 3);
    assert_eq!(streams(rows), 3);
}

#[test]
fn what_stays_or_is_scattered_is_not_fetched() {
    let stays = "
        %here = getelementptr float, ptr %base, i64 %n
        %a = load float, ptr %here";
    let scattered = "
        %which.at = getelementptr i64, ptr %other, i64 %lane
        %which = load i64, ptr %which.at
        %here = getelementptr float, ptr %base, i64 %which
        %a = load float, ptr %here";
    assert_eq!(streams(stays), 0);
    // The numbers of what is scattered lie one behind the other.
    assert_eq!(streams(scattered), 1);
}

/// What is fetched of a loop that keeps `%turn`, which grows by 16, in memory, and reads by `load`.
fn fetched(load: &str) -> Vec<String> {
    let text = format!(
        "define void @run(ptr %frame, ptr %base, i64 %n, i64 %y) {{
        start:
            br label %head
        head:
            %turn = load i64, ptr %frame
            %more = add i64 %turn, 16
            store i64 %more, ptr %frame
            {load}
            %over = icmp ugt i64 %more, %n
            br i1 %over, label %end, label %head
        end:
            ret void
        }}"
    );
    of(&text, |module, machine| {
        build(module, ir::function(module, "run").unwrap(), machine, true);
        module.verify().unwrap();
        let text = module.print_to_string().to_string();
        let lines = text.lines().skip_while(|line| !line.contains("head:"));
        let fetches = lines.filter(|line| {
            line.contains("= getelementptr i8, ptr %here") || line.contains("= mul")
        });
        fetches.map(|line| line.trim().to_owned()).collect()
    })
}

#[test]
fn the_next_turns_rows_are_fetched() {
    let rows = "
        %first = mul i64 %turn, %n
        %index = add i64 %first, %y
        %here = getelementptr float, ptr %base, i64 %index
        %a = load <8 x float>, ptr %here";
    assert_eq!(
        fetched(rows),
        [
            "%first = mul i64 %turn, %n",
            "%0 = mul i64 16, %n",
            "%1 = mul i64 %0, 4",
            "%2 = getelementptr i8, ptr %here, i64 %1",
        ]
    );
}

#[test]
fn what_the_next_turn_reads_again_is_not() {
    let stays = "
        %here = getelementptr float, ptr %base, i64 %y
        %a = load <8 x float>, ptr %here";
    let near = "
        %here = getelementptr i8, ptr %base, i64 %turn
        %a = load <8 x float>, ptr %here";
    let few = "
        %here = getelementptr <4 x float>, ptr %base, i64 %turn
        %a = load float, ptr %here";
    for load in [stays, near, few] {
        assert_eq!(fetched(load), [""; 0], "{load}");
    }
}

/// How many fetches there are before a loop over elements that each of some items has of its own, with
/// `%from` and `%to` as its bounds.
fn before_rows(loads: &str) -> usize {
    let text = format!(
        "define void @run(ptr %base, ptr %other, ptr %out, i64 %n) {{
        start:
            %own = alloca [64 x i64]
            br label %item
        item:
            %x = phi i64 [ 0, %start ], [ %x.next, %over ]
            %from.at = getelementptr i64, ptr %base, i64 %x
            %from = load i64, ptr %from.at
            %x.next = add i64 %x, 1
            br label %row
        row:
            %k = phi i64 [ %from, %item ], [ %k.next, %row ]
            {loads}
            %k.next = add i64 %k, 1
            %last = icmp eq i64 %k.next, %n
            br i1 %last, label %over, label %row
        over:
            store i64 %k, ptr %out
            %end.here = icmp eq i64 %x.next, %n
            br i1 %end.here, label %end, label %item
        end:
            ret void
        }}"
    );
    of(&text, |module, machine| {
        build(module, ir::function(module, "run").unwrap(), machine, false);
        module.verify().unwrap();
        let text = module.print_to_string().to_string();
        let (before, row) = text.split_once("row:").unwrap();
        assert!(!row.contains("call void @llvm.prefetch"));
        before.matches("call void @llvm.prefetch").count()
    })
}

#[test]
fn rows_of_later_items_are_fetched() {
    let sparse = "
        %column.at = getelementptr i64, ptr %other, i64 %k
        %column = load i64, ptr %column.at
        %value.at = getelementptr float, ptr %base, i64 %k
        %value = load float, ptr %value.at
        %x.at = getelementptr float, ptr %base, i64 %column
        %element = load float, ptr %x.at";
    assert_eq!(before_rows(sparse), 2);
    let vectors = "
        %value.at = getelementptr float, ptr %base, i64 %k
        %value = load <8 x float>, ptr %value.at";
    let own = "
        %value.at = getelementptr i64, ptr %own, i64 %k
        %value = load i64, ptr %value.at";
    for loads in [vectors, own] {
        assert_eq!(before_rows(loads), 0, "{loads}");
    }
}
