//! Where kernels come from and where they are launched: private modules, other crates, generic
//! code, many places at once.

use conformance_kernels as library;
use legionella::prelude::*;

use crate::bits::Observed;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Trial, Verdict, output};
use crate::values::values;

mod private {
    use legionella::prelude::*;

    pub(super) mod deeper {
        use super::*;

        pub(in crate::cases::places) fn negate(at: Item, x: &[i32], mut y: Disjoint<i32>) {
            if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
                *y = super::secret(*x);
            }
        }
    }

    fn secret(x: i32) -> i32 {
        x.wrapping_neg() ^ 0x00ff_00ff
    }
}

struct Model;

impl Model {
    const SCALE: u32 = 7;

    /// A kernel that is an associated function.
    fn scale(at: Item, x: &[u32], mut y: Disjoint<u32>) {
        if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
            *y = x.wrapping_mul(Self::SCALE);
        }
    }
}

/// A kernel that is a trait's method, different for each type.
trait Rule {
    fn apply(at: Item, x: &[u32], y: Disjoint<u32>);
}

struct Invert;
struct Double;

impl Rule for Invert {
    fn apply(at: Item, x: &[u32], mut y: Disjoint<u32>) {
        if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
            *y = !x;
        }
    }
}

impl Rule for Double {
    fn apply(at: Item, x: &[u32], mut y: Disjoint<u32>) {
        if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
            *y = x.wrapping_add(*x);
        }
    }
}

fn apply_rule<R: Rule + 'static>(t: &mut Trial) -> Verdict {
    let x = values::<u32>(77);
    let y = output::<u32>(77);
    both!(t, R::apply, Grid::over(77), [read x], [write y])
}

fn convert<A: Copy, B: From<A>>(at: Item, x: &[A], mut y: Disjoint<B>) {
    if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
        *y = B::from(*x);
    }
}

fn increment(at: Item, mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y += 1;
    }
}

fn first_place(accelerator: &Accelerator, y: &mut Buffer<u32>) -> legionella::Result<()> {
    accelerator.launch(increment, Grid::over(5), (y,))?.wait()
}

fn second_place(accelerator: &Accelerator, y: &mut Buffer<u32>) -> legionella::Result<()> {
    accelerator
        .launch(increment, Grid::over(y.len()), (y,))?
        .wait()
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("places/private_module", |t| {
        let x = values::<i32>(100);
        let y = output::<i32>(100);
        both!(t, private::deeper::negate, Grid::over(100), [read x], [write y])
    });
    suite.case("places/associated_function", |t| {
        let x = values::<u32>(100);
        let y = output::<u32>(100);
        both!(t, Model::scale, Grid::over(100), [read x], [write y])
    });
    suite.case("places/trait_method", |t| {
        apply_rule::<Invert>(t)?;
        apply_rule::<Double>(t)
    });
    suite.case("places/generic", |t| {
        let x = values::<u8>(100);
        let wide = output::<u64>(100);
        both!(t, convert::<u8, u64>, Grid::over(100), [read x], [write wide])?;
        let float = output::<f32>(100);
        both!(t, convert::<u8, f32>, Grid::over(100), [read x], [write float])
    });
    suite.case("places/function_as_argument", |t| {
        fn through<F: Fn(u32) -> u64>(at: Item, f: F, x: &[u32], mut y: Disjoint<u64>) {
            if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
                *y = f(*x);
            }
        }
        let x = values::<u32>(100);
        let y = output::<u64>(100);
        let square = |x: u32| u64::from(x).wrapping_pow(3);
        both!(t, through, Grid::over(100), [value function(square)], [read x], [write y])?;
        both!(t, through, Grid::over(100), [value function(u64::from)], [read x], [write y])
    });
    suite.case("places/local_function", |t| {
        fn local(at: Item, mut y: Disjoint<usize>) {
            if let Some(y) = y.at(&at) {
                *y = at.global() * 3;
            }
        }
        let y = output::<usize>(40);
        both!(t, local, Grid::over(40), [write y])
    });
    suite.case("places/closures_alike", |t| {
        // Two closures with the same text are two kernels.
        let y = output::<u32>(40);
        let a = |at: Item, mut y: Disjoint<u32>| {
            if let Some(y) = y.at(&at) {
                *y = 1;
            }
        };
        let b = |at: Item, mut y: Disjoint<u32>| {
            if let Some(y) = y.at(&at) {
                *y = 2;
            }
        };
        both!(t, a, Grid::over(40), [write y])?;
        both!(t, b, Grid::over(40), [write y])
    });
    suite.case("places/many_launches", |t| {
        let mut y = t.accelerator.upload(&[0u32; 9])?;
        for _ in 0..50 {
            first_place(t.accelerator, &mut y)?;
            second_place(t.accelerator, &mut y)?;
            t.accelerator
                .launch(increment, Grid::over(3), (&mut y,))?
                .wait()?;
        }
        let expected = vec![150u32, 150, 150, 100, 100, 50, 50, 50, 50];
        let found = t.observe("y", &y)?;
        t.compare(&[Observed::new("y", expected)], &[found])
    });
    suite.case("places/many_threads", |t| {
        let accelerator = t.accelerator;
        let ended = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8u32)
                .map(|thread| {
                    scope.spawn(move || -> Result<Vec<u32>, legionella::Error> {
                        let mut y = accelerator.upload(&vec![thread; 1000])?;
                        for _ in 0..20 {
                            accelerator
                                .launch(increment, Grid::over(1000), (&mut y,))?
                                .wait()?;
                        }
                        let mut values = vec![0; 1000];
                        y.download(&mut values)?;
                        Ok(values)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join())
                .collect::<Vec<_>>()
        });
        for (thread, values) in ended.into_iter().enumerate() {
            let values = values.expect("the thread does not panic")?;
            let expected = vec![thread as u32 + 20; 1000];
            t.compare(
                &[Observed::new("y", expected)],
                &[Observed::new("y", values)],
            )?;
        }
        Ok(())
    });
    suite.case("places/other_crate", |t| {
        let x = values::<u32>(100);
        let y = output::<u32>(100);
        both!(t, library::scramble, Grid::over(100), [read x], [write y])?;
        let sums = output::<i64>(100);
        let x = values::<i64>(100);
        both!(t, library::prefix::<i64>, Grid::over(100), [read x], [write sums])
    });
    suite.case("places/launched_by_other_crate", |t| {
        let x = values::<i32>(333);
        let host: Vec<i32> = x.iter().map(|x| x.wrapping_mul(5) ^ 2).collect();
        let device = library::transform(t.accelerator, &x, |x| x.wrapping_mul(5) ^ 2)?;
        t.compare(&[Observed::new("y", host)], &[Observed::new("y", device)])?;
        let host: Vec<f64> = x.iter().map(|x| f64::from(*x) / 3.0).collect();
        let device = library::transform(t.accelerator, &x, |x: i32| f64::from(x) / 3.0)?;
        t.compare(&[Observed::new("y", host)], &[Observed::new("y", device)])
    });
    suite.case("places/wholly_in_other_crate", |t| {
        let found = library::squares(t.accelerator, 100)?;
        let expected: Vec<u64> = (0..100).map(|x| x * x).collect();
        t.compare(
            &[Observed::new("y", expected)],
            &[Observed::new("y", found)],
        )
    });
}
