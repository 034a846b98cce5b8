//! Relaxed arithmetic: what a launch allows may happen, and nothing else; approximate functions by name.

use legionella::prelude::*;
use legionella::{Kernel, Launch, fast};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::arrays;

fn multiply_and_add(at: Item, x: &[[f32; 3]], mut y: Disjoint<f32>) {
    if let (Some([a, b, c]), Some(y)) = (x.get(at.global()), y.at(&at)) {
        *y = a * b + c;
    }
}

fn divide(at: Item, x: &[[f32; 3]], mut y: Disjoint<f32>) {
    if let (Some([a, b, c]), Some(y)) = (x.get(at.global()), y.at(&at)) {
        *y = a / b + c / b;
    }
}

fn functions(at: Item, x: &[[f32; 3]], mut y: Disjoint<f32>) {
    if let (Some([a, b, c]), Some(y)) = (x.get(at.global()), y.at(&at)) {
        *y = a.exp() * b.sin() + c.abs().ln() + b.abs().powf(*a);
    }
}

/// What vendors' libraries have assembly for: quotients, and multiples of π in large arguments.
fn by_assembly(at: Item, x: &[[f32; 3]], mut y: Disjoint<f32>) {
    if let (Some([a, b, c]), Some(y)) = (x.get(at.global()), y.at(&at)) {
        let power = f64::from(c.abs()).powf(f64::from(*a));
        *y = a.tanh() + (b * FAR).sin() + b.tan().atan() + power as f32;
    }
}

/// Beyond what numbers reach that are reduced in one step.
const FAR: f32 = 1e7;

fn by_name(at: Item, x: &[[f32; 3]], mut y: Disjoint<f32>) {
    if let (Some([a, b, c]), Some(y)) = (x.get(at.global()), y.at(&at)) {
        let product = fast::exp(*a) * fast::sin(*b);
        *y = product + fast::ln(c.abs()) + fast::powf(b.abs(), *a);
    }
}

/// Numbers of ordinary size.
fn inputs() -> Vec<[f32; 3]> {
    let ordinary = |bits: u32| {
        let one = f32::from_bits(0x3f80_0000 | bits >> 9);
        let size = [0.25, 0.5, 1.0, 2.0, 4.0][bits as usize % 5];
        if bits & 1 == 0 {
            one * size
        } else {
            -one * size
        }
    };
    let arrays = arrays::<u32, 3>(3000).into_iter();
    arrays.map(|three| three.map(ordinary)).collect()
}

type Arguments<'a> = (&'a Buffer<[f32; 3]>, &'a mut Buffer<f32>);
type Parameters<'a> = (Item, &'a [[f32; 3]], Disjoint<'a, f32>);

impl Trial<'_> {
    /// What a kernel makes of the inputs.
    fn results<K>(&self, kernel: K) -> Result<Vec<f32>, Failure>
    where
        K: for<'a> Launch<Arguments<'a>, Parameters<'a>>
            + for<'a> Kernel<Arguments<'a>, Parameters<'a>>,
    {
        let x = self.accelerator.upload(&inputs())?;
        let mut y = self.accelerator.zeroed(x.len())?;
        self.accelerator
            .launch(kernel, x.len(), (&x, &mut y))?
            .wait()?;
        Ok(y.to_vec()?)
    }
}

/// Every result is one of those that are allowed.
fn one_of(results: &[f32], allowed: impl Fn([f32; 3]) -> Vec<f32>) -> Verdict {
    for (result, input) in results.iter().zip(inputs()) {
        let allowed = allowed(input);
        if !allowed.iter().any(|one| one.to_bits() == result.to_bits()) {
            return Err(Failure::unexpected(
                format!("one of {allowed:?} for {input:?}"),
                result,
            ));
        }
    }
    Ok(())
}

/// Every result is near another one.
fn near(results: &[f32], exact: impl Fn([f64; 3]) -> f64, limit: f64) -> Verdict {
    for (result, input) in results.iter().zip(inputs()) {
        let exact = exact(input.map(f64::from));
        let off = (f64::from(*result) - exact).abs() / exact.abs().max(1.0);
        if off > limit {
            return Err(Failure::unexpected(
                format!("{exact:e} for {input:?}"),
                format!("{result:e}, off by {off:e}"),
            ));
        }
    }
    Ok(())
}

/// In `f64`, what [`functions`] computes.
fn exact([a, b, c]: [f64; 3]) -> f64 {
    a.exp() * b.sin() + c.abs().ln() + b.abs().powf(a)
}

/// In `f64`, what [`by_assembly`] computes.
fn exact_by_assembly([a, b, c]: [f64; 3]) -> f64 {
    let far = f64::from(b as f32 * FAR);
    a.tanh() + far.sin() + b.tan().atan() + c.abs().powf(a)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("relaxed/nothing", |t| {
        let strict = |[a, b, c]: [f32; 3]| vec![a * b + c];
        one_of(&t.results(relaxed(multiply_and_add))?, strict)
    });
    suite.case("relaxed/contract", |t| {
        let either = |[a, b, c]: [f32; 3]| vec![a * b + c, a.mul_add(b, c)];
        one_of(&t.results(relaxed(multiply_and_add).contract())?, either)
    });
    suite.case("relaxed/contract_is_no_licence_for_else", |t| {
        let strict = |[a, b, c]: [f32; 3]| vec![a / b + c / b];
        one_of(&t.results(relaxed(divide).contract())?, strict)
    });
    suite.case("relaxed/reciprocal", |t| {
        let results = t.results(relaxed(divide).reciprocal())?;
        near(&results, |[a, b, c]| a / b + c / b, 1e-5)
    });
    suite.case("relaxed/approximate", |t| {
        near(&t.results(relaxed(functions).approximate())?, exact, 1e-4)
    });
    suite.case("relaxed/vendor", |t| {
        near(&t.results(relaxed(functions).vendor())?, exact, 1e-5)
    });
    suite.case("relaxed/vendor_by_assembly", |t| {
        let results = t.results(relaxed(by_assembly).vendor())?;
        near(&results, exact_by_assembly, 1e-5)
    });
    suite.case("relaxed/everything", |t| {
        let kernel = relaxed(functions).contract().reciprocal().approximate();
        near(&t.results(kernel)?, exact, 1e-4)
    });
    suite.case("relaxed/fast_by_name", |t| {
        near(&t.results(by_name)?, exact, 1e-4)
    });
}
