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

/// Arithmetic that tells of overflow, of every kind and width, in a loop that becomes vectors.
#[test]
fn overflow_is_told_of() {
    for (bits, max) in [
        (8u32, u64::from(u8::MAX)),
        (32, u64::from(u32::MAX)),
        (64, u64::MAX),
    ] {
        for operation in ["uadd", "usub", "umul", "sadd", "ssub", "smul"] {
            // Numbers of all sizes: what a multiplication spreads, shifted by as much as the input says.
            let narrow = match bits {
                64 => "%a = or i64 %a0, 0 %b = or i64 %b0, 0".to_owned(),
                _ => format!("%a = trunc i64 %a0 to i{bits} %b = trunc i64 %b0 to i{bits}"),
            };
            let narrow = narrow.replace(" %b =", "\n%b =");
            let widen = match bits {
                64 => "%r = or i64 %part, 0".to_owned(),
                _ => format!("%r = zext i{bits} %part to i64"),
            };
            let body = format!(
                "   br label %loop
                loop:
                    %i = phi i32 [ 0, %start ], [ %next, %loop ]
                    %sum = phi i32 [ 0, %start ], [ %more, %loop ]
                    %own = load i32, ptr %mine.in
                    %wide = zext i32 %own to i64
                    %spread = mul i64 %wide, -7046029254386353131
                    %other = mul i64 %wide, -4417276706812531889
                    %turn = zext i32 %i to i64
                    %up = shl i64 %turn, 3
                    %down = sub i64 56, %up
                    %a0 = ashr i64 %spread, %up
                    %b0 = ashr i64 %other, %down
                    {narrow}
                    %pair = call {{i{bits}, i1}} @llvm.{operation}.with.overflow.i{bits}(i{bits} %a, i{bits} %b)
                    %part = extractvalue {{i{bits}, i1}} %pair, 0
                    %over = extractvalue {{i{bits}, i1}} %pair, 1
                    {widen}
                    %high = lshr i64 %r, 32
                    %both = xor i64 %r, %high
                    %short = trunc i64 %both to i32
                    %flag = zext i1 %over to i32
                    %twice = mul i32 %sum, 3
                    %with = add i32 %twice, %short
                    %shifted = mul i32 %flag, 77777
                    %more = add i32 %with, %shifted
                    %next = add i32 %i, 1
                    %again = icmp ult i32 %next, 8
                    br i1 %again, label %loop, label %done
                done:
                    store i32 %more, ptr %mine
                    br label %end
                end: ret void"
            );
            let (out, way) = run(&body, |x| x * x + 3, 0);
            assert!(
                way.contains(" regions, ") && !way.contains("not vectorised"),
                "{way}"
            );
            let expected = (0..72u32).map(|x| {
                let wide = u64::from(x * x + 3);
                let spread = wide.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64;
                let other = wide.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) as i64;
                (0..8).fold(0u32, |sum, turn| {
                    let (a, b) = (spread >> (8 * turn), other >> (56 - 8 * turn));
                    let signed = |n: i64| i128::from(n << (64 - bits) >> (64 - bits));
                    let unsigned = |n: i64| i128::from(n as u64 & max);
                    let (a, b, low, high) = match operation.starts_with('s') {
                        true => (
                            signed(a),
                            signed(b),
                            -(1 << (bits - 1)),
                            (1 << (bits - 1)) - 1,
                        ),
                        false => (unsigned(a), unsigned(b), 0, i128::from(max)),
                    };
                    let exact = match &operation[1..] {
                        "add" => a + b,
                        "sub" => a - b,
                        _ => a.wrapping_mul(b),
                    };
                    let overflow = match operation {
                        "umul" => (a as u128)
                            .checked_mul(b as u128)
                            .is_none_or(|p| p > max.into()),
                        _ => exact < low || exact > high,
                    };
                    let result = exact as u64 & max;
                    let short = (result ^ (result >> 32)) as u32;
                    let told = if overflow { 77777 } else { 0 };
                    sum.wrapping_mul(3).wrapping_add(short).wrapping_add(told)
                })
            });
            assert_eq!(
                out,
                expected.collect::<Vec<_>>(),
                "{operation} of {bits} bits"
            );
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
