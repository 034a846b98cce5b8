//! Random kernels whose items mostly go the same way: tests of numbers that grow from item to item
//! against bounds that all have in common, at edges, and parts of such numbers by powers of two.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::kernel::{self, Expr, Operation, Part, Place, Step, Test};
use super::{QUESTIONS, looked_at};

/// Variables of integers of 64, 32 and 16 bits, which indices go through.
const WIDTHS: [usize; 4] = [2, 0, 6, 5];

const PARTS: [Part; 5] = [
    Part::Low,
    Part::Multiple,
    Part::High,
    Part::Quotient,
    Part::Remainder,
];

/// Numbers at which something changes: lanes, sizes, and ends of types.
pub(super) fn edge() -> impl Strategy<Value = i64> + Clone {
    let power = (0u32..=6, -2i64..3).prop_map(|(by, off)| (1 << by) + off);
    let wrap = (0usize..6, -40i64..40)
        .prop_map(|(by, off)| (1i64 << [7, 8, 15, 16, 31, 32][by]).wrapping_add(off));
    let end = (any::<bool>(), -40i64..40)
        .prop_map(|(high, off)| if high { i64::MAX } else { 0 }.wrapping_add(off));
    prop_oneof![4 => 0i64..70, 4 => power, 2 => wrap, 2 => end]
}

/// What all items of a group have in common.
pub(super) fn common(in_groups: bool) -> impl Strategy<Value = Expr> + Clone {
    let shared = u32::from(in_groups);
    let leaf = prop_oneof![
        4 => edge().prop_map(Expr::Constant),
        4 => (2usize..4).prop_map(Expr::Argument),
        1 => (0usize..3).prop_map(|dimension| Expr::Place(Place::Grid(dimension))),
        shared => (0usize..3).prop_map(|dimension| Expr::Place(Place::Group(dimension))),
        1 => (0i64..64).prop_map(|index| Expr::Input(Box::new(Expr::Constant(index)))),
    ];
    let also = leaf.clone();
    prop_oneof![
        4 => leaf.clone(),
        1 => (0..3usize, leaf, also).prop_map(|(operation, a, b)| {
            let operation = [Operation::Add, Operation::Sub, Operation::Mul][operation];
            Expr::Binary(operation, Box::new(a), Box::new(b))
        }),
    ]
}

/// What grows from item to item, and parts of it.
fn index(in_groups: bool) -> impl Strategy<Value = Expr> + Clone {
    let shared = u32::from(in_groups);
    let leaf = prop_oneof![
        2 => (0usize..3).prop_map(Expr::Id),
        2 => Just(Expr::Place(Place::Linear)),
        6 * shared => Just(Expr::Place(Place::Rank)),
        6 * shared => (0usize..3).prop_map(|dimension| Expr::Place(Place::Local(dimension))),
        1 => (0usize..4).prop_map(|variable| Expr::Variable(WIDTHS[variable])),
    ];
    leaf.prop_recursive(4, 8, 2, move |inner| {
        let boxed = inner.prop_map(Box::new);
        let other = common(in_groups).prop_map(Box::new);
        let small = (0i64..9).prop_map(|by| Box::new(Expr::Constant(by)));
        const SUMS: [Operation; 6] = [
            Operation::Add,
            Operation::Sub,
            Operation::UpTo,
            Operation::DownTo,
            Operation::Lowest,
            Operation::Xor,
        ];
        prop_oneof![
            4 => (0usize..SUMS.len(), boxed.clone(), other)
                .prop_map(|(operation, a, b)| Expr::Binary(SUMS[operation], a, b)),
            1 => (0usize..3, boxed.clone(), boxed.clone())
                .prop_map(|(operation, a, b)| Expr::Binary(SUMS[operation], a, b)),
            2 => (any::<bool>(), boxed.clone(), small).prop_map(|(shift, a, b)| {
                let operation = if shift { Operation::Shl } else { Operation::Mul };
                Expr::Binary(operation, a, b)
            }),
            6 => (0..PARTS.len(), 0u32..8, boxed.clone())
                .prop_map(|(part, by, value)| Expr::Part(PARTS[part], by, value)),
            1 => (boxed.clone(), edge()).prop_map(|(value, mask)| {
                Expr::Binary(Operation::And, value, Box::new(Expr::Constant(mask)))
            }),
            1 => (0usize..4, boxed.clone()).prop_map(|(ty, value)| Expr::As(WIDTHS[ty], value)),
            1 => (0usize..4, boxed).prop_map(|(ty, value)| Expr::Unsigned(WIDTHS[ty], value)),
        ]
    })
}

/// A test of an index against a bound, or of several at once.
pub(super) fn test(in_groups: bool) -> impl Strategy<Value = Test> + Clone {
    let parts = (
        any::<bool>(),
        0..QUESTIONS.len(),
        0..WIDTHS.len(),
        index(in_groups),
        common(in_groups),
    );
    parts.prop_map(|(swapped, question, of, index, bound)| {
        let (left, right) = if swapped {
            (bound, index)
        } else {
            (index, bound)
        };
        Test {
            question: QUESTIONS[question],
            of: WIDTHS[of],
            left,
            right,
        }
    })
}

/// A number that is looked up at an index, or chosen by a test.
fn number(in_groups: bool) -> impl Strategy<Value = Expr> + Clone {
    let shared = u32::from(in_groups);
    let index = || index(in_groups).prop_map(Box::new);
    prop_oneof![
        2 => index().prop_map(|index| *index),
        2 => index().prop_map(Expr::Input),
        2 * shared => index().prop_map(Expr::Shared),
        1 => (0usize..2, index()).prop_map(|(array, index)| Expr::Element(array, index)),
        1 => (test(in_groups).prop_map(Box::new), index(), index())
            .prop_map(|(test, yes, no)| Expr::Choose(test, yes, no)),
        1 => (0usize..8).prop_map(Expr::Variable),
    ]
}

/// Steps of a kernel whose items mostly stay together.
pub(super) fn steps(in_groups: bool) -> BoxedStrategy<Vec<Step>> {
    let shared = u32::from(in_groups);
    let number = || number(in_groups);
    let step = prop_oneof![
        6 => (0usize..8, number()).prop_map(|(variable, value)| Step::Set(variable, value)),
        3 => (0..kernel::OUTPUTS, 0usize..8, number())
            .prop_map(|(place, ty, value)| Step::Output(place, ty, value)),
        1 => (0usize..2, index(in_groups), number())
            .prop_map(|(array, index, value)| Step::SetElement(array, index, value)),
        2 * shared => number().prop_map(Step::Share),
    ];
    let leave = prop_oneof![
        2 => (0usize..2).prop_map(Step::Break),
        2 => (0usize..2).prop_map(Step::Continue),
        1 => Just(Step::Return),
        1 => (1u32..100, number()).prop_map(|(line, column)| Step::Panic(line, column)),
    ];
    let plain = step.prop_map(|step| vec![step]).boxed();
    let leave = (test(in_groups), leave)
        .prop_map(|(test, leave)| vec![Step::If(test, vec![leave], vec![])]);
    let some = vec(prop_oneof![6 => plain, 1 => leave.boxed()], 1..4);
    let some = some.prop_map(|parts| parts.concat()).boxed();
    let mut nested = some.clone();
    for _ in 0..2 {
        let branch = (test(in_groups), nested.clone(), nested.clone())
            .prop_map(|(test, yes, no)| vec![Step::If(test, yes, no)]);
        let repeat = (test(in_groups), 1u64..6, nested)
            .prop_map(|(test, most, steps)| vec![Step::While(test, most, steps)]);
        let part = prop_oneof![1 => some.clone(), 3 => branch, 1 => repeat];
        nested = vec(part, 1..3).prop_map(|parts| parts.concat()).boxed();
    }
    if in_groups {
        // All come to these.
        let wait = [Step::Barrier(0)];
        let phases = vec(nested, 1..3);
        nested = phases
            .prop_map(move |phases| phases.join(&wait[..]))
            .boxed();
    }
    looked_at(nested).boxed()
}
