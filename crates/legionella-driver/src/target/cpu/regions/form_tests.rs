//! How values differ from lane to lane and from row to row, by the values' names.

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;

use super::forms::{Form, Forms};
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
