//! The conformance suite: one set of kernels for every accelerator, each compared bit for bit with
//! the same function called on the host.
//!
//! `conformance --accelerator NAME [--filter TEXT] [--exact] [--part K/N] [--list] [--json]` runs all cases whose name
//! contains the text, or is it, says first what the accelerator is, and closes with `N passed, N failed, N skipped`.
//! Several processes run it together if each is given another part.

// Kernels are written in every way that people write, also in those that clippy would not.
#![allow(
    clippy::double_ended_iterator_last,
    clippy::manual_is_multiple_of,
    clippy::type_complexity,
    clippy::useless_vec
)]

mod bits;
mod both;
mod cases;
mod counting;
mod panics;
mod rejected;
mod suite;
mod trial;
mod values;

use std::process::ExitCode;
use std::time::Instant;

use legionella::Accelerator;

use suite::{Case, Outcome, Suite};

const USAGE: &str = "usage: conformance --accelerator NAME [--filter TEXT] [--exact] [--part K/N] [--list] [--json]\n\
     \n\
     --accelerator NAME  where kernels run; `cpu` is always there\n\
     --filter TEXT       only the cases whose name contains TEXT\n\
     --exact             only the case whose name is TEXT\n\
     --part K/N          of these every Nth, from the Kth\n\
     --list              print the names of the cases and run none\n\
     --json              one JSON object a case";

/// What the command line asks for.
#[derive(Default)]
struct Options {
    accelerator: Option<String>,
    filter: String,
    exact: bool,
    part: Option<Part>,
    list: bool,
    json: bool,
}

/// Every so many-th case.
#[derive(Clone, Copy)]
struct Part {
    /// The first one, from 0.
    first: usize,
    of: usize,
}

impl Part {
    /// From `K/N`, where K goes from 1 to N.
    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let (number, of): (usize, usize) = (number.parse().ok()?, of.parse().ok()?);
        let first = number.checked_sub(1).filter(|first| *first < of)?;
        Some(Part { first, of })
    }
}

impl Options {
    /// The cases that are asked for.
    fn cases<'a>(&'a self, suite: &'a Suite) -> impl Iterator<Item = &'a Case> {
        let Part { first, of } = self.part.unwrap_or(Part { first: 0, of: 1 });
        let all = suite.matching(&self.filter, self.exact);
        all.skip(first).step_by(of)
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--accelerator" => options.accelerator = Some(value()?),
            "--filter" => options.filter = value()?,
            "--exact" => options.exact = true,
            "--part" => {
                let part = value()?;
                let bad = || format!("{part} is no part: write 1/2 or 2/2, for example");
                options.part = Some(Part::parse(&part).ok_or_else(bad)?);
            }
            "--list" => options.list = true,
            "--json" => options.json = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let suite = cases::all();
    if let Some(name) = suite.ambiguous() {
        eprintln!("two cases are called {name}");
        return ExitCode::from(2);
    }
    if options.cases(&suite).next().is_none() {
        eprintln!("no case is called so: {}", options.filter);
        return ExitCode::from(2);
    }
    if options.list {
        for case in options.cases(&suite) {
            println!("{}", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let Some(name) = &options.accelerator else {
        eprintln!("which accelerator?\n{USAGE}");
        return ExitCode::from(2);
    };
    match Accelerator::by_name(name) {
        // What was said where, for those who report it.
        Ok(accelerator) if !options.json => println!("{name}: {}", accelerator.description()),
        Ok(_) => {}
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    }
    run(&suite, name, &options)
}

/// Runs the cases that the options ask for, with one line each.
fn run(suite: &Suite, accelerator: &str, options: &Options) -> ExitCode {
    panics::keep_quiet();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in options.cases(suite) {
        let start = Instant::now();
        // Anew for each case: one that loses the accelerator fails alone.
        let outcome = match Accelerator::by_name(accelerator) {
            Ok(accelerator) => case.run(&accelerator),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let detail = match &outcome {
            Outcome::Passed => {
                passed += 1;
                ""
            }
            Outcome::Failed(detail) => {
                failed += 1;
                detail
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                reason
            }
        };
        if options.json {
            let line = serde_json::json!({
                "case": case.name,
                "outcome": outcome.to_string().to_lowercase(),
                "detail": detail,
                "milliseconds": milliseconds,
            });
            println!("{line}");
        } else {
            println!("{outcome:<7} {:<44} {milliseconds:>8.1} ms", case.name);
            for line in detail.lines() {
                println!("        {line}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
