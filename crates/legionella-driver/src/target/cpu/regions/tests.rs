//! Kernels that went wrong, or may, each by itself: what lanes share, and what the code does.

use crate::target::cpu::regions::Policy;
use crate::target::cpu::trial::{Program, llvm};

/// What the kernels below begin with. The block: an output, an input, a number of items, a limit.
const HEAD: &str = "
    declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
    define void @kernel(ptr noundef readonly %block) nounwind {
    entry:
        %out = load ptr, ptr %block
        %in.at = getelementptr i8, ptr %block, i64 8
        %in = load ptr, ptr %in.at
        %items.at = getelementptr i8, ptr %block, i64 16
        %items = load i64, ptr %items.at
        %limit.at = getelementptr i8, ptr %block, i64 24
        %limit = load i64, ptr %limit.at
        %x = call i64 @legionella.global_id(i32 0)
        %mine = getelementptr i32, ptr %out, i64 %x
        %mine.in = getelementptr i32, ptr %in, i64 %x
        %inside = icmp ult i64 %x, %items
        br i1 %inside, label %start, label %end
    start:
";

#[repr(C)]
struct Block(*mut u32, *const u32, u64, u64);

/// Runs a kernel for 75 items, of which the last three are beyond the items that there are.
fn run(body: &str, input: impl Fn(u32) -> u32, limit: u64) -> (Vec<u32>, String) {
    let program = Program::compile(
        &format!("{HEAD}{body}}}"),
        "native",
        false,
        Policy::Worthwhile,
    );
    let mut out = vec![u32::MAX; 75];
    let input: Vec<u32> = (0..75).map(input).collect();
    let block = Block(out.as_mut_ptr(), input.as_ptr(), 72, limit);
    // SAFETY: the block is what the kernel's head loads from.
    let outcome = unsafe { program.launch((&raw const block).cast(), [75, 1, 1], [64, 1, 1]) };
    assert_eq!(outcome, Ok(()));
    assert_eq!(out[72..], [u32::MAX; 3]);
    out.truncate(72);
    (out, program.way)
}

/// Lanes leave the loop in different turns: what the counter was is each lane's own then, although
/// those that stay share it.
#[test]
fn a_counter_is_shared_within_a_loop_and_not_behind_it() {
    let (out, way) = run(
        "   br label %loop
        loop:
            %i = phi i32 [ 0, %start ], [ %next, %loop ]
            %next = add i32 %i, 1
            %last = load i32, ptr %mine.in
            %more = icmp ult i32 %i, %last
            br i1 %more, label %loop, label %done
        done:
            store i32 %i, ptr %mine
            br label %end
        end: ret void",
        |x| x * 7 % 23,
        0,
    );
    assert!(way.contains("region 1: shares 2 values"), "{way}");
    assert_eq!(out, (0..72).map(|x| x * 7 % 23).collect::<Vec<_>>());
}

/// A lane that has left waits behind the loop; the others' later turns must not touch its values.
#[test]
fn lanes_that_wait_keep_what_they_left_with() {
    let (out, _) = run(
        "   %own = load i32, ptr %mine.in
            br label %loop
        loop:
            %i = phi i32 [ 0, %start ], [ %next, %latch ]
            %sum = phi i32 [ 0, %start ], [ %more, %latch ]
            %more = add i32 %sum, %own
            %first = icmp eq i32 %i, %own
            br i1 %first, label %a, label %latch
        latch:
            %next = add i32 %i, 1
            %over = icmp ugt i32 %more, 100
            br i1 %over, label %b, label %loop
        a:
            %from.a = phi i32 [ %more, %loop ]
            br label %done
        b:
            %from.b = phi i32 [ %next, %latch ]
            br label %done
        done:
            %result = phi i32 [ %from.a, %a ], [ %from.b, %b ]
            store i32 %result, ptr %mine
            br label %end
        end: ret void",
        |x| x % 31 + 1,
        0,
    );
    let expected = (0..72u32).map(|x| {
        let own = x % 31 + 1;
        let (mut i, mut sum) = (0, 0);
        loop {
            sum += own;
            if i == own {
                return sum;
            }
            i += 1;
            if sum > 100 {
                return i;
            }
        }
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// The value that lanes share is taken over by those that go on, also if the first lanes leave.
#[test]
fn what_is_shared_comes_from_lanes_that_go_on() {
    let (out, _) = run(
        "   %own = load i32, ptr %mine.in
            br label %outer
        outer:
            %i = phi i32 [ 0, %start ], [ %i.next, %outer.latch ]
            %sum = phi i32 [ 0, %start ], [ %sum.next, %outer.latch ]
            br label %inner
        inner:
            %j = phi i32 [ 0, %outer ], [ %j.next, %inner ]
            %s = phi i32 [ %sum, %outer ], [ %s.next, %inner ]
            %ij = mul i32 %i, %j
            %s.next = add i32 %s, %ij
            %j.next = add i32 %j, 1
            %again = icmp ult i32 %j.next, %own
            br i1 %again, label %inner, label %outer.latch
        outer.latch:
            %sum.next = phi i32 [ %s.next, %inner ]
            %i.next = add i32 %i, 1
            %wide = zext i32 %i.next to i64
            %more = icmp ult i64 %wide, %limit
            br i1 %more, label %outer, label %done
        done:
            %result = phi i32 [ %sum.next, %outer.latch ]
            store i32 %result, ptr %mine
            br label %end
        end: ret void",
        |x| 9 - x % 8,
        6,
    );
    let expected = (0..72u32).map(|x| {
        let own = 9 - x % 8;
        (0..6)
            .flat_map(|i| (0..own).map(move |j| i * j))
            .sum::<u32>()
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// An id that all items of a strip have in common may be what a phi starts from.
#[test]
fn ids_of_the_strip_cross_regions() {
    let (out, _) = run(
        "   %y = call i64 @legionella.global_id(i32 1)
            br label %loop
        loop:
            %k = phi i64 [ %y, %start ], [ %next, %loop ]
            %next = add i64 %k, %x
            %more = icmp ult i64 %next, %limit
            br i1 %more, label %loop, label %done
        done:
            %result = trunc i64 %next to i32
            store i32 %result, ptr %mine
            br label %end
        end: ret void",
        |x| x,
        // Item 0 would turn forever.
        0,
    );
    assert_eq!(out, (0..72).collect::<Vec<_>>());
}

/// The sum of an item is that of its own elements in their order, to the last bit.
#[test]
fn sums_of_floats_are_not_reordered() {
    let (out, way) = run(
        "   br label %loop
        loop:
            %i = phi i64 [ 0, %start ], [ %next, %loop ]
            %sum = phi float [ 0.0, %start ], [ %more, %loop ]
            %at = getelementptr i32, ptr %in, i64 %i
            %bits = load i32, ptr %at
            %number = uitofp i32 %bits to float
            %third = fdiv float %number, 3.0
            %xf = uitofp i64 %x to float
            %term = fmul float %third, %xf
            %more = fadd float %sum, %term
            %next = add i64 %i, 1
            %go = icmp ult i64 %next, %limit
            br i1 %go, label %loop, label %done
        done:
            %result = bitcast float %more to i32
            store i32 %result, ptr %mine
            br label %end
        end: ret void",
        |x| x * x + 1,
        70,
    );
    assert!(way.contains("region 1: shares"), "{way}");
    let expected = (0..72u32).map(|x| {
        let terms = (0..70u32).map(|i| (i * i + 1) as f32 / 3.0 * x as f32);
        terms.fold(0.0, |sum, term| sum + term).to_bits()
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// Divisions whose operands all items have in common, which only some items get to, the first of a
/// vector not among them; item by item too.
#[test]
fn divisions_that_not_all_get_to() {
    for (operation, limit, expected) in [
        ("udiv", 7, 14),
        ("urem", 7, 2),
        ("sdiv", 7u64.wrapping_neg(), 50),
        ("srem", 7u64.wrapping_neg(), 2),
    ] {
        let divide = format!(
            "   %by = trunc i64 %limit to i32
                %hundred = trunc i64 %items to i32
                %more = add i32 %hundred, 28
                %own = load i32, ptr %mine.in
                %q0 = icmp eq i32 %own, 0
                br i1 %q0, label %done, label %divide
            divide:
                %q = {operation} i32 %more, %by
                %wide = zext i32 %q to i64
                %index = and i64 %wide, 63
                %entry.at = getelementptr i32, ptr %in, i64 %index
                %result = load i32, ptr %entry.at
                br label %done
            done:
                %value = phi i32 [ 99, %start.or.loop ], [ %result, %divide ]
                store i32 %value, ptr %mine
                br label %end
            end: ret void"
        );
        let straight = divide.replace("%start.or.loop", "%start");
        let looped = divide.replace("%start.or.loop", "%behind");
        let looped = format!(
            "   br label %loop
            loop:
                %i = phi i32 [ 0, %start ], [ %next, %loop ]
                %next = add i32 %i, 1
                %times = load i32, ptr %mine.in
                %again = icmp ult i32 %next, %times
                br i1 %again, label %loop, label %behind
            behind: {looped}"
        );
        for body in [straight, looped] {
            let (out, _) = run(&body, |x| x, limit);
            let all = (0..72).map(|x| if x == 0 { 99 } else { expected });
            assert_eq!(out, all.collect::<Vec<_>>(), "{operation}");
        }
    }
}

/// Why a kernel runs item by item.
fn refusal(body: &str) -> String {
    llvm();
    Program::compile(
        &format!("{HEAD}{body}}}"),
        "native",
        false,
        Policy::Worthwhile,
    )
    .way
}

#[test]
fn refusals_say_why() {
    let straight = refusal("store i32 1, ptr %mine br label %end end: ret void");
    assert_eq!(straight, "item by item: it has no loop\n");
    let atomic = refusal(
        "   br label %loop
        loop:
            %i = phi i64 [ 0, %start ], [ %next, %loop ]
            %old = atomicrmw add ptr %out, i32 1 monotonic
            %next = add i64 %i, 1
            %go = icmp ult i64 %next, %limit
            br i1 %go, label %loop, label %end
        end: ret void",
    );
    assert_eq!(
        atomic,
        "item by item: a loop over it has atomic operations\n"
    );
    let tangled = refusal(
        "   %odd = icmp eq i64 %limit, 7
            br i1 %odd, label %a, label %b
        a:  %u = load volatile i1, ptr %in
            br i1 %u, label %b, label %end
        b:  %v = load volatile i1, ptr %in
            br i1 %v, label %a, label %end
        end: ret void",
    );
    assert_eq!(tangled, "item by item: it has a cycle that is no loop\n");
}
