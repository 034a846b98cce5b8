//! Kernels in phases that went wrong, or may, each by itself.

use crate::target::cpu::regions::Policy;
use crate::target::cpu::trial::Program;

/// What the kernels below begin with. The block: an output, an input, a number. Items have an element
/// of each, by their rank in the one group.
const HEAD: &str = "
    declare i64 @legionella.local_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
    declare i64 @legionella.group_size(i32) nounwind willreturn nosync nofree speculatable memory(none)
    declare void @legionella.barrier(i32, ptr) convergent nounwind nofree
    declare ptr @legionella.cpu.scratch(i64, i64)
    declare void @llvm.trap()
    @place = private constant i8 0
    define void @legionella.alloc_error(i64 %align, i64 %size) noreturn {
        call void @llvm.trap()
        unreachable
    }
    define void @legionella.barrier_failed(ptr %place, ptr %other) noreturn {
        call void @llvm.trap()
        unreachable
    }
    define void @kernel(ptr noundef readonly %block) nounwind {
    entry:
        %out = load ptr, ptr %block
        %in.at = getelementptr i8, ptr %block, i64 8
        %in = load ptr, ptr %in.at
        %number.at = getelementptr i8, ptr %block, i64 16
        %number = load i64, ptr %number.at
        %x = call i64 @legionella.local_id(i32 0)
        %y = call i64 @legionella.local_id(i32 1)
        %width = call i64 @legionella.group_size(i32 0)
        %row = mul i64 %y, %width
        %rank = add i64 %row, %x
        %mine = getelementptr i32, ptr %out, i64 %rank
        %mine.in = getelementptr i32, ptr %in, i64 %rank
";

#[repr(C)]
struct Block(*mut u32, *const u32, u64);

/// Runs a kernel for one group of a width and height.
fn run(
    body: &str,
    [width, height]: [u64; 2],
    input: impl Fn(u32) -> u32,
    number: u64,
) -> (Vec<u32>, String) {
    let program = Program::compile(
        &format!("{HEAD}{body}}}"),
        "native",
        false,
        Policy::Worthwhile,
    );
    let items = (width * height) as u32;
    let mut out = vec![u32::MAX; items as usize];
    let input: Vec<u32> = (0..items).map(input).collect();
    let block = Block(out.as_mut_ptr(), input.as_ptr(), number);
    let size = [width, height, 1];
    // SAFETY: the block is what the kernel's head loads from.
    let outcome = unsafe { program.launch((&raw const block).cast(), size, size) };
    assert_eq!(outcome, Ok(()));
    (out, program.way)
}

/// A division of what a vector's lanes have in common, as rows begin at a multiple of the lanes, which
/// not all lanes get to, the first not among them.
#[test]
fn divisions_of_what_a_vector_has_in_common() {
    let (out, way) = run(
        "   call void @legionella.barrier(i32 0, ptr @place)
            %own = load i32, ptr %mine.in
            %q0 = icmp eq i32 %own, 0
            br i1 %q0, label %done, label %divide
        divide:
            %cut = and i64 %x, -16
            %rest = urem i64 %cut, %number
            %entry.at = getelementptr i32, ptr %in, i64 %rest
            %result = load i32, ptr %entry.at
            br label %done
        done:
            %value = phi i32 [ 99, %entry ], [ %result, %divide ]
            store i32 %value, ptr %mine
            ret void",
        [64, 4],
        |at| at % 4,
        7,
    );
    assert!(way.contains("lanes"), "{way}");
    let expected = (0..256).map(|at| match at % 4 {
        0 => 99,
        _ => at % 64 / 16 * 16 % 7 % 4,
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// Rows side by side whose items part before anything else: each row goes on from the beginning.
#[test]
fn rows_that_part_at_once() {
    let (out, way) = run(
        "   call void @legionella.barrier(i32 0, ptr @place)
            %own = load i32, ptr %mine.in
            %odd = trunc i32 %own to i1
            br i1 %odd, label %done, label %double
        double:
            %twice = mul i32 %own, 2
            br label %done
        done:
            %value = phi i32 [ %own, %entry ], [ %twice, %double ]
            store i32 %value, ptr %mine
            ret void",
        [64, 9],
        |at| at / 3,
        0,
    );
    assert!(way.contains("rows side by side"), "{way}");
    let expected = (0..64 * 9).map(|at| at / 3).map(|own| own * (2 - own % 2));
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// A number that is one less than an index, of which the first is the largest that there is.
#[test]
fn numbers_that_wrap_from_row_to_row() {
    let (out, way) = run(
        "   call void @legionella.barrier(i32 0, ptr @place)
            %before = sub i64 %rank, 1
            %is_low = icmp ult i64 %before, %number
            br i1 %is_low, label %low, label %done
        low:
            %own = load i32, ptr %mine.in
            br label %done
        done:
            %value = phi i32 [ 7, %entry ], [ %own, %low ]
            store i32 %value, ptr %mine
            ret void",
        [64, 9],
        |at| at + 100,
        16,
    );
    assert!(way.contains("rows side by side"), "{way}");
    let expected = (0..64 * 9).map(|at| if (1..=16).contains(&at) { at + 100 } else { 7 });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// Values that become each other from turn to turn are not kept in one place, and those that are
/// have what they became.
#[test]
fn values_that_change_places_between_phases() {
    let (out, _) = run(
        "   %own = load i32, ptr %mine.in
            br label %turn
        turn:
            %count = phi i64 [ 0, %entry ], [ %further, %turn ]
            %one = phi i32 [ %own, %entry ], [ %other, %turn ]
            %other = phi i32 [ 1, %entry ], [ %sum, %turn ]
            call void @legionella.barrier(i32 0, ptr @place)
            %sum = add i32 %one, %other
            call void @legionella.barrier(i32 1, ptr @place)
            %further = add i64 %count, 1
            %more = icmp ult i64 %further, %number
            br i1 %more, label %turn, label %end
        end:
            %result = xor i32 %one, %sum
            store i32 %result, ptr %mine
            ret void",
        [16, 3],
        |at| at * 5,
        6,
    );
    let expected = (0..48u32).map(|at| {
        let (mut one, mut other, mut before) = (at * 5, 1, 0);
        for _ in 0..6 {
            before = one;
            (one, other) = (other, one + other);
        }
        before ^ other
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}
