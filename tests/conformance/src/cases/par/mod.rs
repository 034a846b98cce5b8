//! Parallel building blocks: each against a plain function of a vector, at numbers of elements around
//! every boundary of the algorithms and in groups of any size.

mod chains;
mod folds;
mod order;
mod selections;

use std::fmt::Debug;

use legionella::DeviceData;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::bits::{Bits, Observed};
use crate::suite::Suite;
use crate::trial::{Failure, Verdict};

/// Numbers of elements at which algorithms begin another column, run, block, chunk or round.
const BOUNDARIES: [usize; 12] = [
    0, 1, 32, 64, 96, 128, 2048, 4096, 8192, 16_384, 65_536, 131_072,
];

/// What a property is asked for.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// Number of elements.
    len: usize,
    /// What the elements are made of.
    seed: u64,
    /// Size of work-groups, if not the accelerator's choice.
    group: Option<usize>,
}

fn questions() -> impl Strategy<Value = Question> {
    let around = (select(&BOUNDARIES[..]), 0..3usize)
        .prop_map(|(len, offset)| (len + offset).saturating_sub(1));
    let len = prop_oneof![2 => around, 1 => 0..6000usize];
    let group = proptest::option::of(1..300usize);
    (len, any::<u64>(), group).prop_map(|(len, seed, group)| Question { len, seed, group })
}

/// Asks for many numbers of elements, the same in each run; of those that fail tells one of the least.
fn always(holds: impl Fn(Question) -> Verdict) -> Verdict {
    let config = Config {
        cases: 48,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&questions(), |question| {
        holds(question).map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, question)) => Err(Failure::unexpected(
            format!("a pass for {question:?}"),
            reason,
        )),
        Err(error) => Err(Failure::unexpected("passes", error)),
    }
}

/// That a result has the bits of what the host says.
fn same<T: Bits + Debug>(host: &[T], device: Vec<T>) -> Verdict {
    let host = Observed::new("result", host.to_vec());
    match host.difference(&Observed::new("result", device)) {
        None => Ok(()),
        Some(difference) => Err(Failure::Differs {
            output: "result",
            difference,
        }),
    }
}

/// Elements that are made of a question.
fn elements<T: DeviceData>(question: Question, element: impl Fn(u64) -> T) -> Vec<T> {
    let mut generator = crate::values::Generator::new(question.seed);
    (0..question.len)
        .map(|_| element(generator.bits()))
        .collect()
}

/// The elements of a buffer, launched as the question says.
macro_rules! par {
    ($buffer:expr, $question:expr) => {
        match $question.group {
            Some(size) => $buffer.par().group(size),
            None => $buffer.par(),
        }
    };
}

use par;

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    chains::add(suite);
    folds::add(suite);
    selections::add(suite);
    order::add(suite);
}
