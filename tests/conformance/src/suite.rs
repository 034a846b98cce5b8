//! The list of cases and how one is run. Knows nothing of what cases do.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use legionella::Accelerator;

use crate::trial::{Failure, Trial};

/// One case: a name and what must hold on every accelerator.
pub struct Case {
    /// Folder-like name, such as `slices/sort_unstable`.
    pub name: &'static str,
    run: fn(&mut Trial) -> Result<(), Failure>,
}

/// All cases, in the order that they were added.
#[derive(Default)]
pub struct Suite {
    cases: Vec<Case>,
}

impl Suite {
    /// Adds a case.
    pub fn case(&mut self, name: &'static str, run: fn(&mut Trial) -> Result<(), Failure>) {
        self.cases.push(Case { name, run });
    }

    /// The cases whose names contain `filter`, or with `exact` that of this name.
    pub fn matching<'suite>(
        &'suite self,
        filter: &str,
        exact: bool,
    ) -> impl Iterator<Item = &'suite Case> {
        self.cases.iter().filter(move |case| match exact {
            true => case.name == filter,
            false => case.name.contains(filter),
        })
    }

    /// A name that two cases have.
    pub fn ambiguous(&self) -> Option<&'static str> {
        let mut names: Vec<_> = self.cases.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names
            .windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
    }
}

/// How a case ended.
#[derive(Debug)]
pub enum Outcome {
    /// Everything held.
    Passed,
    /// What did not hold.
    Failed(String),
    /// Why the case can't be asked here.
    Skipped(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        })
    }
}

impl Case {
    /// Runs the case on an accelerator.
    pub fn run(&self, accelerator: &Accelerator) -> Outcome {
        let run = || (self.run)(&mut Trial::on(accelerator));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(Failure::Inapplicable(reason))) => Outcome::Skipped(reason),
            Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
            Err(payload) => {
                let text = payload
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| payload.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                Outcome::Failed(format!("the case itself panicked: {text}"))
            }
        }
    }
}
