//! How values differ from lane to lane and from row to row, by the values' names.

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;

use super::forms::{Form, Forms};
use super::growth::Growth;
use super::rows::Rows;
use crate::ir;
use crate::target::cpu::trial::llvm;

const HEAD: &str = "
    declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
    declare i64 @legionella.local_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
    declare i64 @legionella.group_size(i32) nounwind willreturn nosync nofree speculatable memory(none)
    declare i64 @llvm.uadd.sat.i64(i64, i64)
    define void @kernel(ptr %block, i64 %n) {
        %x = call i64 @legionella.local_id(i32 0)
        %y = call i64 @legionella.local_id(i32 1)
        %width = call i64 @legionella.group_size(i32 0)
";

/// What is known of values in rows side by side, where vectors have 16 lanes: whether they differ from
/// row to row, and how they grow, in words.
fn in_rows(body: &str, names: &[&str]) -> (Vec<(bool, Option<String>)>, bool) {
    llvm();
    let context = Context::create();
    let text = format!("{HEAD}{body} ret void }}");
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    let module = context.create_module_from_ir(buffer).unwrap();
    let blocks = ir::function(&module, "kernel").unwrap().blocks();
    let forms = Forms::of(&blocks, 16, |_| 4);
    let rows = Rows::side_by_side(&blocks, &forms, |_| 4);
    let values = blocks.iter().flat_map(|block| block.instructions());
    let values: Vec<_> = values.collect();
    let of = |name: &&str| {
        let value = *values.iter().find(|value| value.name() == *name).unwrap();
        (rows.vary(value), rows.growths.get(value).map(words))
    };
    (names.iter().map(of).collect(), rows.on_sizes)
}

fn words(growth: &Growth<'_>) -> String {
    match growth {
        Growth::One => "1".to_owned(),
        Growth::Times(of, by) => format!("{} * {}", words(of), by.name()),
        Growth::Scaled(of, by) => format!("{} * {by}", words(of)),
        Growth::Cut(of, by) => format!("({} >> {by})", words(of)),
    }
}

/// Looks at the values of a function with 16 lanes.
fn look(body: &str, test: impl FnOnce(&dyn Fn(&str) -> (Form, bool), bool)) {
    llvm();
    let context = Context::create();
    let text = format!("{HEAD}{body} ret void }}");
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    let module = context.create_module_from_ir(buffer).unwrap();
    let blocks = ir::function(&module, "kernel").unwrap().blocks();
    let forms = Forms::of(&blocks, 16, |_| 4);
    let rows = Rows::of(&blocks);
    let values: Vec<_> = blocks
        .iter()
        .flat_map(|block| block.instructions())
        .collect();
    let of = |name: &str| {
        let value = values.iter().find(|value| value.name() == name).unwrap();
        (forms.get(*value), rows.vary(*value))
    };
    test(&of, forms.on_sizes);
}

#[test]
fn sums_of_ids_grow_from_lane_to_lane() {
    look(
        "%row = mul i64 %y, %n
         %at = add i64 %row, %x
         %double = mul i64 %at, 2
         %element = getelementptr float, ptr %block, i64 %at
         %apart = sub i64 %double, %at
         %none = sub i64 %at, %x
         %square = mul i64 %at, %x",
        |of, on_sizes| {
            assert_eq!(of("row"), (Form::Same, true));
            assert_eq!(of("at"), (Form::Step(1), true));
            assert_eq!(of("double"), (Form::Step(2), true));
            assert_eq!(of("element"), (Form::Step(4), true));
            assert_eq!(of("apart"), (Form::Step(1), true));
            assert_eq!(of("none"), (Form::Same, true));
            assert_eq!(of("square"), (Form::Each, true));
            assert_eq!(of("x"), (Form::Step(1), false));
            assert!(!on_sizes);
        },
    );
}

/// A vector begins at a multiple of its lanes within the group, and so lies between two multiples of 16,
/// but not of 8; of its place in the grid nothing is known.
#[test]
fn what_is_cut_off_by_powers_of_two() {
    look(
        "%row = mul i64 %y, %width
         %at = add i64 %row, %x
         %low = and i64 %at, 15
         %high = lshr i64 %at, 4
         %above = and i64 %at, -16
         %lower = and i64 %at, 7
         %middle = lshr i64 %at, 3",
        |of, on_sizes| {
            assert_eq!(of("low").0, Form::Step(1));
            assert_eq!(of("high").0, Form::Same);
            assert_eq!(of("above").0, Form::Same);
            assert_eq!(of("lower").0, Form::Each);
            assert_eq!(of("middle").0, Form::Each);
            assert!(on_sizes);
        },
    );
    look(
        "%at = call i64 @legionella.global_id(i32 0)
         %shifted = add i64 %x, 1
         %low = and i64 %at, 15
         %high = lshr i64 %at, 4
         %next = lshr i64 %shifted, 4",
        |of, _| {
            assert_eq!(of("low").0, Form::Each);
            assert_eq!(of("high").0, Form::Each);
            assert_eq!(of("next").0, Form::Each);
        },
    );
}

#[test]
fn sums_that_saturate_grow_if_they_are_small() {
    look(
        "%sum = call i64 @llvm.uadd.sat.i64(i64 %x, i64 %n)
         %large = mul i64 %x, 4294967296
         %beyond = call i64 @llvm.uadd.sat.i64(i64 %large, i64 %n)",
        |of, _| {
            assert_eq!(of("sum").0, Form::Step(1));
            assert_eq!(of("beyond").0, Form::Each);
        },
    );
}

#[test]
fn rows_share_what_does_not_come_from_their_id() {
    look(
        "br label %loop
        loop:
         %i = phi i64 [ 0, %0 ], [ %next, %loop ]
         %of_row = phi i64 [ %y, %0 ], [ %further, %loop ]
         %next = add i64 %i, 1
         %further = add i64 %of_row, %i
         %column = add i64 %i, %x
         %more = icmp ult i64 %next, %n
         br i1 %more, label %loop, label %end
        end:",
        |of, _| {
            assert_eq!(of("i"), (Form::Same, false));
            assert_eq!(of("column"), (Form::Step(1), false));
            assert_eq!(of("of_row"), (Form::Same, true));
            assert_eq!(of("further"), (Form::Same, true));
        },
    );
}

#[test]
fn indices_grow_from_row_to_row() {
    let (found, on_sizes) = in_rows(
        "%z = call i64 @legionella.local_id(i32 2)
         %plane = mul i64 %z, %n
         %line = add i64 %plane, %y
         %row = mul i64 %line, %width
         %at = add i64 %row, %x
         %low = and i64 %at, 15
         %high = lshr i64 %at, 4
         %lower = lshr i64 %at, 5
         %there = mul i64 %high, %n
         %element = getelementptr float, ptr %block, i64 %there
         %square = mul i64 %at, %y
         br label %loop
        loop:
         %i = phi i64 [ %at, %0 ], [ %next, %loop ]
         %apart = phi i64 [ %at, %0 ], [ %row, %loop ]
         %drifts = phi i64 [ %at, %0 ], [ %further, %loop ]
         %next = call i64 @llvm.uadd.sat.i64(i64 %i, i64 %n)
         %further = add i64 %drifts, %y
         %more = icmp ult i64 %next, %n
         br i1 %more, label %loop, label %end
        end:",
        &[
            "row", "at", "low", "high", "lower", "there", "element", "square", "i", "next",
            "apart", "drifts",
        ],
    );
    let grows = |by: &str| (true, Some(by.to_owned()));
    let width = "1 * width";
    assert_eq!(found[0], grows(width));
    assert_eq!(found[1], grows(width));
    assert_eq!(found[2], (false, None));
    assert_eq!(found[3], grows("(1 * width >> 4)"));
    assert_eq!(found[4], (true, None));
    assert_eq!(found[5], grows("(1 * width >> 4) * n"));
    assert_eq!(found[6], grows("(1 * width >> 4) * n * 4"));
    assert_eq!(found[7], (true, None));
    assert_eq!(found[8], grows(width));
    assert_eq!(found[9], grows(width));
    // In the first turn it differs from lane to lane, and then no more.
    assert_eq!(found[10], (true, None));
    assert_eq!(found[11], (true, None));
    assert!(on_sizes);
}

/// What is zero in the first lane alone is not the same in all rows.
#[test]
fn rows_differ_where_only_first_lanes_agree() {
    let (found, _) = in_rows(
        "%product = mul i64 %x, %y
         %low = and i64 %product, 15
         %high = lshr i64 %product, 4
         %large = mul i64 %x, 4294967296
         %beyond = call i64 @llvm.uadd.sat.i64(i64 %large, i64 %product)
         %rest = and i64 %beyond, 1",
        &["low", "high", "rest"],
    );
    assert_eq!(found, [(true, None), (true, None), (true, None)]);
}

/// A number that changes from turn to turn of a loop is no number to grow by.
#[test]
fn rows_grow_by_what_is_fixed() {
    let (found, on_sizes) = in_rows(
        "br label %loop
        loop:
         %i = phi i64 [ 0, %0 ], [ %next, %loop ]
         %next = add i64 %i, 1
         %there = mul i64 %y, %i
         %more = icmp ult i64 %next, %n
         br i1 %more, label %loop, label %end
        end:",
        &["i", "there"],
    );
    assert_eq!(found, [(false, None), (true, None)]);
    assert!(!on_sizes);
}
