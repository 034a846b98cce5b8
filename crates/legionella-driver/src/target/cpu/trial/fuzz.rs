//! Random kernels, run by generated code and by plain interpretation of each item.
//!
//! `LEGIONELLA_FUZZ_SECONDS` says how long; what is found is made smaller and printed.

mod aimed;
mod together;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::kernel::{self, At, Expr, Memory, Operation, Place, Question, Step, Test};
use super::{Panicked, Program};
use crate::target::cpu::regions::Policy;

const OPERATIONS: [Operation; 15] = [
    Operation::Add,
    Operation::Sub,
    Operation::Mul,
    Operation::Div,
    Operation::Rem,
    Operation::And,
    Operation::Or,
    Operation::Xor,
    Operation::Shl,
    Operation::Lshr,
    Operation::Ashr,
    Operation::Least,
    Operation::Lowest,
    Operation::UpTo,
    Operation::DownTo,
];

const QUESTIONS: [Question; 9] = [
    Question::Less,
    Question::Equal,
    Question::Differ,
    Question::Below,
    Question::AtMost,
    Question::Above,
    Question::AtLeast,
    Question::SumOverflows,
    Question::ProductOverflows,
];

fn question() -> impl Strategy<Value = Question> + Clone {
    (0..QUESTIONS.len()).prop_map(|question| QUESTIONS[question])
}

/// A number; in group kernels also of what is shared.
fn expr(in_groups: bool) -> impl Strategy<Value = Expr> + Clone {
    let leaf = prop_oneof![
        (-3i64..70).prop_map(Expr::Constant),
        (0usize..8).prop_map(Expr::Variable),
        (0usize..8).prop_map(Expr::Variable),
        (0usize..3).prop_map(Expr::Id),
        (0usize..2).prop_map(Expr::Argument),
    ];
    let shared = u32::from(in_groups);
    leaf.prop_recursive(3, 8, 2, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let test = test_of(inner.clone(), inner.clone()).prop_map(Box::new);
        prop_oneof![
            4 => (0..OPERATIONS.len(), boxed.clone(), boxed.clone())
                .prop_map(|(operation, a, b)| Expr::Binary(OPERATIONS[operation], a, b)),
            1 => boxed.clone().prop_map(Expr::Input),
            2 * shared => boxed.clone().prop_map(Expr::Shared),
            1 => (0usize..2, boxed.clone()).prop_map(|(array, index)| Expr::Element(array, index)),
            1 => (test, boxed.clone(), boxed.clone()).prop_map(|(t, a, b)| Expr::Choose(t, a, b)),
            1 => (0usize..8, boxed).prop_map(|(ty, value)| Expr::As(ty, value)),
        ]
    })
}

fn test_of<L, R>(left: L, right: R) -> impl Strategy<Value = Test> + Clone
where
    L: Strategy<Value = Expr> + Clone,
    R: Strategy<Value = Expr> + Clone,
{
    let parts = (question(), 0usize..8, left, right);
    parts.prop_map(|(question, of, left, right)| Test {
        question,
        of,
        left,
        right,
    })
}

/// A test whose outcome all items of a group have in common, mostly.
fn uniform_test() -> impl Strategy<Value = Test> + Clone {
    let leaf = prop_oneof![
        8 => (-3i64..70).prop_map(Expr::Constant),
        4 => (0usize..2).prop_map(Expr::Argument),
        4 => (0i64..64).prop_map(|index| Expr::Shared(Box::new(Expr::Constant(index)))),
        2 => (0i64..64).prop_map(|index| Expr::Input(Box::new(Expr::Constant(index)))),
        1 => (0usize..8).prop_map(Expr::Variable),
    ];
    test_of(leaf.clone(), leaf)
}

/// Steps of a group kernel: phases of steps that items take for themselves, and what they do together
/// between, under control flow that they mostly share.
fn group_steps() -> impl Strategy<Value = Vec<Step>> {
    let expr = || expr(true);
    let together = prop_oneof![
        8 => (0u32..2).prop_map(Step::Barrier),
        8 => expr().prop_map(Step::Share),
        3 => (0usize..8, expr(), expr()).prop_map(|(to, value, lane)| Step::Shuffle(to, value, lane)),
        2 => (0usize..8, test_of(expr(), expr())).prop_map(|(to, test)| Step::Ballot(to, test)),
    ];
    let together = together.prop_map(|step| vec![step]).boxed();
    let alone = some_steps(true, 1);
    let some = vec(prop_oneof![2 => together, 1 => alone], 1..5);
    let mut nested = some.prop_map(|parts| parts.concat()).boxed();
    for _ in 0..2 {
        let branch = (uniform_test(), nested.clone(), nested.clone())
            .prop_map(|(test, yes, no)| vec![Step::If(test, yes, no)]);
        let repeat = (uniform_test(), 1u64..6, nested.clone())
            .prop_map(|(test, most, steps)| vec![Step::While(test, most, steps)]);
        let part = prop_oneof![3 => nested.clone(), 1 => branch, 2 => repeat];
        nested = vec(part, 1..3).prop_map(|parts| parts.concat()).boxed();
    }
    looked_at(nested)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    looked_at(some_steps(false, 3))
}

/// Adds a look at what was computed.
fn looked_at(steps: BoxedStrategy<Vec<Step>>) -> impl Strategy<Value = Vec<Step>> {
    (steps, 0usize..8).prop_map(|(mut steps, variable)| {
        steps.push(Step::Output(0, variable, Expr::Variable(variable)));
        let next = (variable + 3) % 8;
        steps.push(Step::Output(1, next, Expr::Variable(next)));
        steps
    })
}

/// Steps that an item takes for itself, with loops and branches of that depth.
fn some_steps(in_groups: bool, depth: usize) -> BoxedStrategy<Vec<Step>> {
    let expr = || expr(in_groups);
    let test = || test_of(expr(), expr());
    let step = prop_oneof![
        8 => (0usize..8, expr()).prop_map(|(variable, value)| Step::Set(variable, value)),
        2 => (0usize..2, expr(), expr())
            .prop_map(|(array, index, value)| Step::SetElement(array, index, value)),
        2 => (0..kernel::OUTPUTS, 0usize..8, expr())
            .prop_map(|(place, ty, value)| Step::Output(place, ty, value)),
        1 => (expr(), expr()).prop_map(|(index, value)| Step::Sum(index, value)),
    ];
    let leave = prop_oneof![
        (0usize..2).prop_map(Step::Break),
        (0usize..2).prop_map(Step::Continue),
        Just(Step::Return),
        (1u32..100, expr()).prop_map(|(line, column)| Step::Panic(line, column)),
    ];
    let plain = step.prop_map(|step| vec![step]).boxed();
    let leave = (test(), leave).prop_map(|(test, leave)| vec![Step::If(test, vec![leave], vec![])]);
    let some = vec(prop_oneof![4 => plain, 1 => leave.boxed()], 1..4);
    let some = some.prop_map(|parts| parts.concat()).boxed();
    let mut nested = some.clone();
    for _ in 0..depth {
        let branch = (test(), nested.clone(), nested.clone())
            .prop_map(|(test, yes, no)| vec![Step::If(test, yes, no)]);
        let repeat = (test(), 1u64..6, nested)
            .prop_map(|(test, most, steps)| vec![Step::While(test, most, steps)]);
        let part = prop_oneof![1 => some.clone(), 1 => branch, 2 => repeat];
        nested = vec(part, 1..3).prop_map(|parts| parts.concat()).boxed();
    }
    nested
}

/// Grids and their groups: rows shorter and longer than the lanes, cut off, and enough of them to go
/// side by side.
const SHAPES: [([u64; 3], [u64; 3]); 5] = [
    ([75, 1, 1], [64, 1, 1]),
    ([5, 3, 5], [4, 2, 2]),
    ([33, 2, 1], [40, 1, 1]),
    ([19, 12, 1], [16, 9, 1]),
    ([9, 8, 1], [8, 7, 1]),
];

/// The same, and some with sizes that are multiples of the lanes.
const MORE_SHAPES: [([u64; 3], [u64; 3]); 11] = [
    ([128, 1, 1], [64, 1, 1]),
    ([75, 1, 1], [64, 1, 1]),
    ([32, 4, 1], [32, 2, 1]),
    ([48, 3, 2], [16, 2, 2]),
    ([70, 2, 1], [32, 2, 1]),
    ([41, 3, 1], [20, 3, 1]),
    ([33, 2, 1], [40, 1, 1]),
    ([8, 3, 3], [8, 2, 2]),
    ([16, 9, 1], [16, 4, 1]),
    ([16, 10, 1], [16, 10, 1]),
    ([16, 18, 1], [16, 16, 1]),
];

/// Bounds that launches give, in pairs.
const BOUNDS: [[i64; 2]; 8] = [
    [0, 64],
    [17, 3],
    [-1, 16],
    [32, -5],
    [0xfff0, 0x1_0000],
    [0xffff_fff8, 12],
    [i64::MAX - 20, 1],
    [63, 0x7ff8],
];

/// What a kernel is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Items by themselves.
    Items,
    /// Groups, with barriers and subgroups.
    Groups,
    /// Either, with tests that neighbours mostly answer alike.
    Together { in_groups: bool },
    /// Either without loops, with checks that a guard may decide, or that all answer alike.
    Checks { in_groups: bool },
    /// Items with loops that count alike, and that each leaves where it likes.
    Counting,
    /// Either, with calls that aren't inlined and atomic operations.
    Apart { in_groups: bool },
}

impl Kind {
    /// All, with the ways that items are made to take: the last one's run in loops with guards, where
    /// they have none of their own.
    const ALL: [(Kind, Policy); 13] = [
        (Kind::Items, Policy::Always),
        (Kind::Groups, Policy::Always),
        (Kind::Together { in_groups: false }, Policy::Always),
        (Kind::Checks { in_groups: false }, Policy::Worthwhile),
        (Kind::Together { in_groups: true }, Policy::Always),
        (Kind::Checks { in_groups: false }, Policy::Worthwhile),
        (Kind::Counting, Policy::Always),
        (Kind::Apart { in_groups: false }, Policy::Always),
        (Kind::Checks { in_groups: true }, Policy::Always),
        (Kind::Counting, Policy::Always),
        (Kind::Apart { in_groups: true }, Policy::Always),
        (Kind::Together { in_groups: false }, Policy::Worthwhile),
        (Kind::Checks { in_groups: false }, Policy::Worthwhile),
    ];

    fn in_groups(self) -> bool {
        match self {
            Kind::Groups => true,
            Kind::Together { in_groups }
            | Kind::Checks { in_groups }
            | Kind::Apart { in_groups } => in_groups,
            Kind::Items | Kind::Counting => false,
        }
    }

    fn steps(self) -> BoxedStrategy<Vec<Step>> {
        match self {
            Kind::Items => steps().boxed(),
            Kind::Groups => group_steps().boxed(),
            Kind::Together { in_groups } => together::steps(in_groups),
            Kind::Checks { in_groups } => aimed::checks(in_groups),
            Kind::Counting => aimed::counting(),
            Kind::Apart { in_groups } => aimed::apart(in_groups),
        }
    }

    /// Grids, groups and bounds that it is launched with.
    fn launches(self) -> Vec<([u64; 3], [u64; 3], [i64; 2])> {
        if let Kind::Items | Kind::Groups | Kind::Apart { .. } = self {
            return SHAPES.map(|(grid, group)| (grid, group, [7, 40])).into();
        }
        let shapes = MORE_SHAPES.into_iter();
        let all = shapes.flat_map(|(grid, group)| BOUNDS.map(|bounds| (grid, group, bounds)));
        // A part of all pairs, in which each shape and each bound comes often.
        all.enumerate()
            .filter(|(number, _)| (number + number / 8) % 2 == 0)
            .map(|(_, launch)| launch)
            .collect()
    }
}

/// Machines whose code this processor can run.
fn machines() -> Vec<&'static str> {
    let mut all = vec!["native"];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        all.extend(["x86-64-v2", "x86-64-v3"]);
    }
    all
}

/// Compares a kernel's code with what the kernel means.
fn compare(
    steps: &[Step],
    kind: Kind,
    policy: Policy,
    cpu: &str,
    tell: &mut dyn FnMut(String),
) -> Result<(), TestCaseError> {
    let in_groups = kind.in_groups();
    let text = kernel::text(steps, in_groups);
    let program = match Program::compile_if_cut(&text, cpu, true, policy) {
        Ok(program) => program,
        Err(way) => {
            tell(way.trim_end().to_owned());
            return Ok(());
        }
    };
    tell(program.way.lines().next().unwrap_or_default().to_owned());
    for (grid, group, bounds) in kind.launches() {
        let items = grid.iter().product::<u64>() as usize;
        let mut expected = Memory {
            inputs: (0..kernel::INPUTS as i64)
                .map(|i| i * 7919 % 256 - 100)
                .collect(),
            integer: 5,
            float: 0.75,
            bounds,
            outputs: vec![0; items * kernel::OUTPUTS],
            sums: vec![0; kernel::SUMS],
        };
        let mut actual = expected.clone();
        let mut panics = Vec::new();
        let groups = [0, 1, 2].map(|d| grid[d].div_ceil(group[d]));
        for index in (0..groups.iter().product()).filter(|_| in_groups) {
            let row = index / groups[0];
            let at = [index % groups[0], row % groups[1], row / groups[1]];
            let failed = kernel::run_group(steps, &mut expected, grid, group, at);
            panics.extend(failed.err().into_iter().flatten());
        }
        for linear in (0..items as u64).filter(|_| !in_groups) {
            let row = linear / grid[0];
            let at = At {
                id: [linear % grid[0], row % grid[1], row / grid[1]],
                linear,
                grid,
                group,
            };
            panics.extend(kernel::run(steps, &mut expected, at).err());
        }
        let block = Block {
            inputs: actual.inputs.as_ptr(),
            outputs: actual.outputs.as_mut_ptr(),
            sums: actual.sums.as_mut_ptr(),
            integer: actual.integer,
            float: actual.float,
            nothing: 0,
            bounds: actual.bounds,
        };
        // SAFETY: the block is as the kernel's text has it.
        let outcome: Result<(), Panicked> =
            unsafe { program.launch((&raw const block).cast(), grid, group) };
        match outcome {
            Ok(()) => {
                prop_assert!(
                    panics.is_empty(),
                    "no panic, {} missing\n{text}",
                    panics.len()
                );
                prop_assert_eq!(
                    &actual,
                    &expected,
                    "{} {:?} {:?}\n{}",
                    program.way,
                    grid,
                    bounds,
                    text
                );
            }
            Err(panicked) => prop_assert!(
                panics.contains(&panicked),
                "{panicked:?} is none of {panics:?}\n{text}"
            ),
        }
    }
    Ok(())
}

/// The argument block of the kernels.
#[repr(C)]
struct Block {
    inputs: *const i64,
    outputs: *mut u64,
    sums: *mut u64,
    integer: i64,
    float: f64,
    nothing: i64,
    bounds: [i64; 2],
}

/// Stack of the thread that makes kernels: without optimisation, what makes them nests deep in large frames.
const STACK: usize = 64 << 20;

#[test]
fn random_kernels_mean_what_they_say() {
    let thread = std::thread::Builder::new().stack_size(STACK);
    let compared = thread.spawn(compare_random_kernels).unwrap().join();
    if let Err(panic) = compared {
        std::panic::resume_unwind(panic);
    }
}

/// A plane's number becomes what a loop's variable is, which then is a phi of another function.
#[test]
fn ids_become_values_of_loops() {
    let test = Test {
        question: Question::Less,
        of: 2,
        left: Expr::Id(0),
        right: Expr::Constant(0),
    };
    let number = |value| Box::new(Expr::Constant(value));
    let nothing = Box::new(Expr::Binary(Operation::Mul, number(0), number(0)));
    let plane = Box::new(Expr::Place(Place::Local(2)));
    let sum = Expr::Binary(Operation::Add, plane, nothing);
    let steps = [
        Step::While(test, 2, vec![Step::Set(2, sum)]),
        Step::Output(0, 7, Expr::Variable(7)),
        Step::Output(1, 2, Expr::Variable(2)),
    ];
    let kind = Kind::Together { in_groups: true };
    for cpu in machines() {
        compare(&steps, kind, Policy::Always, cpu, &mut |_| {}).unwrap();
    }
}

fn compare_random_kernels() {
    let seconds = std::env::var("LEGIONELLA_FUZZ_SECONDS").ok();
    let seconds = seconds.map_or(5, |text| text.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    // The same kernels each time, or others if asked to look for long.
    let first = match seconds {
        0..=60 => 0,
        _ => std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| since.as_secs() << 20),
    };
    let machines = machines();
    let mut count = 0;
    let ways = RefCell::new(BTreeMap::new());
    while Instant::now() < end {
        let cpu = machines[count % machines.len()];
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(first + count as u64).to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let (kind, policy) = Kind::ALL[count % Kind::ALL.len()];
        let outcome = runner.run(&kind.steps(), |steps| {
            compare(&steps, kind, policy, cpu, &mut |way| {
                *ways.borrow_mut().entry(way).or_default() += 1
            })
        });
        match outcome {
            Ok(()) => count += 1,
            Err(TestError::Fail(why, steps)) => {
                panic!("on {cpu}, after {count} kernels: {why}\n{steps:#?}")
            }
            Err(other) => panic!("{other}"),
        }
    }
    let ways = ways.into_inner();
    println!(
        "{count} kernels; ways of {} launches:",
        ways.values().sum::<usize>()
    );
    for (way, count) in ways {
        println!("{count:6} {way}");
    }
}
