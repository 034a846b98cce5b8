//! Random kernels of one kind each, small, so that many go into a minute: at what other kernels come by too rarely.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::kernel::{self, Expr, Operation, Place, Question, Step, Test};
use super::together::{common, edge, test};
use super::{expr, looked_at, some_steps};

/// The variable of integers of 64 bits.
const WIDE: usize = 2;

/// Those that are set to what all items have in common, first.
const ALIKE: [usize; 3] = [WIDE, 0, 5];

/// Numbers without sign, whose order a guard decides for a strip of items.
const ORDERS: [Question; 6] = [
    Question::Below,
    Question::AtMost,
    Question::Above,
    Question::AtLeast,
    Question::Equal,
    Question::Differ,
];

/// Straight kernels whose items panic unless indices pass checks, or do one thing or another: indices that wrap, and
/// bounds at edges.
pub(super) fn checks(in_groups: bool) -> BoxedStrategy<Vec<Step>> {
    let check = || check(in_groups);
    let panic = || (1u32..100).prop_map(|line| vec![Step::Panic(line, Expr::Id(0))]);
    let output = || {
        let parts = (0..kernel::OUTPUTS, index(in_groups));
        parts.prop_map(|(place, value)| vec![Step::Output(place, WIDE, value)])
    };
    let (fails, panics) = (1 + u32::from(!in_groups), 1);
    let step = prop_oneof![
        fails => (check(), panic()).prop_map(|(test, panic)| Step::If(test, vec![], panic)),
        panics => (check(), panic()).prop_map(|(test, panic)| Step::If(test, panic, vec![])),
        2 => (check(), output(), output()).prop_map(|(test, yes, no)| Step::If(test, yes, no)),
    ];
    let steps = vec(step, 1..4);
    let steps = steps.prop_map(move |mut steps| {
        if in_groups {
            steps.insert(steps.len() / 2, Step::Barrier(0));
        }
        steps
    });
    looked_at(steps.boxed()).boxed()
}

/// A test of what grows with the item against a bound: any, or what an item at an end has.
fn check(in_groups: bool) -> impl Strategy<Value = Test> + Clone {
    let any_bound = (index(in_groups), common(in_groups));
    let at_end = (
        id(in_groups),
        prop_oneof![Just(0), edge()],
        0..ENDS.len(),
        0i64..2,
    )
        .prop_map(|(id, by, end, off)| {
            let sum = Expr::Binary(Operation::Add, Box::new(id), Box::new(Expr::Constant(by)));
            let bound = by.wrapping_add(ENDS[end] + off);
            (sum, Expr::Constant(bound))
        });
    let parts = (
        any::<bool>(),
        0..ORDERS.len(),
        prop_oneof![1 => any_bound, 2 => at_end],
    );
    parts.prop_map(|(swapped, question, (index, bound))| {
        let (left, right) = if swapped {
            (bound, index)
        } else {
            (index, bound)
        };
        Test {
            question: ORDERS[question],
            of: WIDE,
            left,
            right,
        }
    })
}

/// Items at the ends of vectors, rows and grids.
const ENDS: [i64; 12] = [3, 7, 11, 15, 31, 32, 40, 47, 63, 69, 74, 127];

fn id(in_groups: bool) -> BoxedStrategy<Expr> {
    if in_groups {
        prop_oneof![
            4 => Just(Expr::Place(Place::Local(0))),
            1 => Just(Expr::Place(Place::Rank)),
            1 => Just(Expr::Id(0)),
        ]
        .boxed()
    } else {
        prop_oneof![
            4 => Just(Expr::Id(0)),
            1 => Just(Expr::Place(Place::Linear)),
        ]
        .boxed()
    }
}

/// What grows with the item.
fn index(in_groups: bool) -> impl Strategy<Value = Expr> + Clone {
    let id = id(in_groups);
    let moved = (id.clone(), 0usize..2, edge()).prop_map(|(id, operation, by)| {
        let operation = [Operation::Add, Operation::Sub][operation];
        Expr::Binary(operation, Box::new(id), Box::new(Expr::Constant(by)))
    });
    let moved = prop_oneof![1 => id, 2 => moved];
    let scaled = (moved.clone(), any::<bool>(), 1i64..5).prop_map(|(index, shifts, by)| {
        let operation = if shifts {
            Operation::Shl
        } else {
            Operation::Mul
        };
        Expr::Binary(operation, Box::new(index), Box::new(Expr::Constant(by)))
    });
    prop_oneof![3 => moved, 1 => scaled]
}

/// Loops that count alike for all items, and that each leaves where it likes: what they counted is looked at behind them.
pub(super) fn counting() -> BoxedStrategy<Vec<Step>> {
    let which = || (0..ALIKE.len()).prop_map(|which| ALIKE[which]);
    let count = (which(), 0usize..3, -3i64..9).prop_map(|(variable, operation, by)| {
        let operation = [Operation::Add, Operation::Sub, Operation::Xor][operation];
        let by = Box::new(Expr::Constant(by));
        let value = Expr::Binary(operation, Box::new(Expr::Variable(variable)), by);
        Step::Set(variable, value)
    });
    let leave = prop_oneof![
        3 => (0usize..2).prop_map(Step::Break),
        2 => (0usize..2).prop_map(Step::Continue),
        1 => Just(Step::Return),
    ];
    let leave = (test(false), leave).prop_map(|(test, leave)| Step::If(test, vec![leave], vec![]));
    let look = (0..kernel::OUTPUTS, which(), any::<bool>()).prop_map(|(place, variable, reads)| {
        let value = Expr::Variable(variable);
        let value = if reads {
            Expr::Input(Box::new(value))
        } else {
            value
        };
        Step::Output(place, WIDE, value)
    });
    let set =
        (which(), 0i64..9).prop_map(|(variable, value)| Step::Set(variable, Expr::Constant(value)));
    let part = prop_oneof![4 => count, 3 => leave, 2 => look.clone(), 1 => set];
    let part = vec(part, 1..4).boxed();
    let until = (which(), test(false)).prop_map(|(variable, mut test)| {
        test.right = Expr::Variable(variable);
        test
    });
    let until = prop_oneof![until, test(false)].boxed();
    let mut nested = part.clone();
    for _ in 0..2 {
        let kind = any::<bool>();
        let repeat = (kind, until.clone(), 2u64..12, nested.clone());
        let repeat = repeat.prop_map(|(first, test, most, steps)| {
            let kind = if first { Step::While } else { Step::Until };
            vec![kind(test, most, steps)]
        });
        let branch = (test(false), nested.clone(), nested)
            .prop_map(|(test, yes, no)| vec![Step::If(test, yes, no)]);
        let parts = vec(
            prop_oneof![2 => part.clone(), 4 => repeat, 1 => branch],
            1..3,
        );
        nested = parts.prop_map(|parts| parts.concat()).boxed();
    }
    let begin = vec(edge(), ALIKE.len()).prop_map(|values| {
        let values = values.into_iter().map(Expr::Constant);
        let set = ALIKE.into_iter().zip(values);
        set.map(|(variable, value)| Step::Set(variable, value))
            .collect::<Vec<_>>()
    });
    let steps = (begin, nested, vec(look, 1..3))
        .prop_map(|(begin, nested, looks)| [begin, nested, looks].concat());
    looked_at(steps.boxed()).boxed()
}

/// Kernels with calls that aren't inlined, in which items may panic, and with atomic operations whose results matter.
pub(super) fn apart(in_groups: bool) -> BoxedStrategy<Vec<Step>> {
    let alone = u32::from(!in_groups);
    let call = (0usize..8, expr(in_groups)).prop_map(|(variable, value)| {
        // Mostly a number for which nobody panics.
        let even = Expr::Binary(Operation::Shl, Box::new(value), Box::new(Expr::Constant(1)));
        vec![Step::Call(variable, even)]
    });
    let panics = (0usize..8, expr(in_groups))
        .prop_map(|(variable, value)| vec![Step::Call(variable, value)]);
    let count = (0..kernel::OUTPUTS, 0usize..8, expr(in_groups))
        .prop_map(|(place, variable, value)| vec![Step::Count(place, variable, value)]);
    let wait = Just(vec![Step::Barrier(0)]);
    let part = prop_oneof![
        3 => some_steps(in_groups, 1),
        2 => call,
        1 => panics,
        3 * alone => count,
        2 - 2 * alone => wait,
    ];
    let steps = vec(part, 2..5).prop_map(|parts| parts.concat());
    looked_at(steps.boxed()).boxed()
}
