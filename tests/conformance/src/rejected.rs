//! Kernels that must be refused, before any code is generated, with every reason at once.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use legionella::code;
use legionella::prelude::*;
use legionella_abi::protocol::{Diagnostic, Problem};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};

/// One reason that a refusal must give.
struct Reason {
    problem: Problem,
    /// Part of the culprit's name.
    what: &'static str,
    /// Parts of the names of functions on the way from the kernel to the culprit, in order.
    through: &'static [&'static str],
}

fn reason(problem: Problem, what: &'static str, through: &'static [&'static str]) -> Reason {
    Reason {
        problem,
        what,
        through,
    }
}

impl Reason {
    fn is(&self, diagnostic: &Diagnostic) -> bool {
        let mut calls = diagnostic.chain.iter();
        diagnostic.problem == self.problem
            && diagnostic.what.contains(self.what)
            && !diagnostic.advice.is_empty()
            && self
                .through
                .iter()
                .all(|name| calls.any(|call| call.function.contains(name)))
            && says_where(diagnostic)
    }
}

/// Whether a chain starts at the kernel, has lines of this file, and full paths throughout, also of
/// functions that were inlined.
fn says_where(diagnostic: &Diagnostic) -> bool {
    let kernel = diagnostic.chain.first();
    kernel.is_some_and(|kernel| kernel.function.contains("conformance::rejected::"))
        && diagnostic
            .chain
            .iter()
            .all(|call| call.function.contains("::"))
        && diagnostic.chain.iter().any(|call| {
            let source = call.source.as_ref();
            source.is_some_and(|source| source.file.ends_with("rejected.rs") && source.line > 0)
        })
}

impl Trial<'_> {
    /// A function that no accelerator can run, as a kernel: the launch must be refused for these
    /// reasons and no others.
    fn refused(
        &mut self,
        function: impl Fn(u32) -> u32 + Copy + Send + Sync + 'static,
        reasons: &[Reason],
    ) -> Verdict {
        self.refused_as(function, |diagnostics| {
            let surplus = diagnostics
                .iter()
                .find(|found| !reasons.iter().any(|reason| reason.is(found)));
            match surplus {
                Some(surplus) => Err(Failure::unexpected(
                    "no such reason",
                    format!("{surplus:#?}"),
                )),
                None => all_of(reasons, diagnostics),
            }
        })
    }

    /// As [`Trial::refused`], where the standard library adds reasons of its own.
    fn refused_at_least(
        &mut self,
        function: impl Fn(u32) -> u32 + Copy + Send + Sync + 'static,
        reasons: &[Reason],
    ) -> Verdict {
        self.refused_as(function, |diagnostics| all_of(reasons, diagnostics))
    }

    /// A function that needs an operating system, as a kernel: every reason must come from the
    /// standard library, and one by way of the function that the kernel calls.
    fn refused_by_system(
        &mut self,
        called: &str,
        function: impl Fn(u32) -> u32 + Copy + Send + Sync + 'static,
    ) -> Verdict {
        self.refused_as(function, |diagnostics| {
            let named = |found: &Diagnostic| {
                found.what.contains(called)
                    || found
                        .chain
                        .iter()
                        .any(|call| call.function.contains(called))
            };
            if let Some(vague) = diagnostics.iter().find(|found| !says_where(found)) {
                return Err(Failure::unexpected(
                    "a line of the kernel",
                    format!("{vague:#?}"),
                ));
            }
            if diagnostics.iter().any(named) {
                return Ok(());
            }
            Err(Failure::unexpected(
                format!("a reason by way of {called}"),
                format!("{diagnostics:#?}"),
            ))
        })
    }

    fn refused_as(
        &mut self,
        function: impl Fn(u32) -> u32 + Copy + Send + Sync + 'static,
        check: impl Fn(&[Diagnostic]) -> Verdict,
    ) -> Verdict {
        let kernel = move |at: Item, mut y: Disjoint<u32>| {
            if let Some(y) = y.at(&at) {
                *y = function(*y);
            }
        };
        let mut y = self.accelerator.upload(&[1u32, 2, 3])?;
        let ended = self
            .accelerator
            .launch(kernel, Grid::over(3), (&mut y,))
            .and_then(|completion| completion.wait());
        let error = match ended {
            Err(legionella::Error::Code(error)) => error,
            Err(other) => return Err(Failure::unexpected("a refusal", other)),
            Ok(()) => return Err(Failure::unexpected("a refusal", "success")),
        };
        let code::Error::Refused { diagnostics, .. } = &*error else {
            return Err(Failure::unexpected("a refusal", &error));
        };
        check(diagnostics)?;
        // The accelerator goes on, and the buffer is as it was.
        let mut values = [0; 3];
        y.download(&mut values)?;
        if values != [1, 2, 3] {
            return Err(Failure::unexpected(
                "an untouched buffer",
                format!("{values:?}"),
            ));
        }
        self.map(|value: u32| value + 1, &[1, 2, 3])
    }
}

fn all_of(reasons: &[Reason], diagnostics: &[Diagnostic]) -> Verdict {
    match reasons
        .iter()
        .find(|reason| !diagnostics.iter().any(|found| reason.is(found)))
    {
        Some(missing) => Err(Failure::unexpected(
            format!(
                "{:?} of {} by way of {:?}",
                missing.problem, missing.what, missing.through
            ),
            format!("{diagnostics:#?}"),
        )),
        None => Ok(()),
    }
}

static COUNTER: AtomicU32 = AtomicU32::new(5);
static mut TOTAL: u32 = 7;
static LOCKED: Mutex<u32> = Mutex::new(1);

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(3) };
}

#[inline(never)]
fn count(x: u32) -> u32 {
    COUNTER.fetch_add(x, Ordering::Relaxed)
}

#[inline(never)]
fn through_two_functions(x: u32) -> u32 {
    count(x) + 1
}

/// Whether kernels of [`machine`] are for the architecture that this was compiled for.
fn x86_64() -> Verdict {
    if cfg!(target_arch = "x86_64") {
        Ok(())
    } else {
        Err(Failure::Inapplicable("it is written for x86-64"))
    }
}

/// What only x86-64 can do.
#[cfg(target_arch = "x86_64")]
mod machine {
    #[inline(never)]
    pub fn swap(x: u32) -> u32 {
        let mut y = x;
        // SAFETY: changes one register.
        unsafe { std::arch::asm!("bswap {0:e}", inout(reg) y, options(pure, nomem, nostack)) };
        y
    }

    #[inline(never)]
    pub fn checksum(x: u32) -> u32 {
        #[target_feature(enable = "sse4.2")]
        fn crc(x: u32) -> u32 {
            std::arch::x86_64::_mm_crc32_u32(1, x)
        }
        // SAFETY: never called: the launch is refused.
        unsafe { crc(x) }
    }
}

/// Stands where [`x86_64`] has returned.
#[cfg(not(target_arch = "x86_64"))]
mod machine {
    pub fn swap(x: u32) -> u32 {
        x
    }

    pub fn checksum(x: u32) -> u32 {
        x
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("rejected/inline_assembly", |t| {
        x86_64()?;
        t.refused(
            machine::swap,
            &[reason(Problem::InlineAssembly, "bswap", &["swap"])],
        )
    });
    suite.case("rejected/architecture_intrinsic", |t| {
        x86_64()?;
        t.refused(
            machine::checksum,
            &[reason(
                Problem::ArchitectureIntrinsic,
                "crc32",
                &["checksum"],
            )],
        )
    });
    suite.case("rejected/foreign_function", |t| {
        unsafe extern "C" {
            safe fn getppid() -> i32;
        }
        t.refused(
            |x| x + getppid() as u32,
            &[reason(Problem::ForeignFunction, "getppid", &["closure"])],
        )
    });
    suite.case("rejected/environment", |t| {
        t.refused_by_system("var_os", |x| {
            x + std::env::var_os("HOME").map_or(0, |home| home.len() as u32)
        })
    });
    suite.case("rejected/file", |t| {
        t.refused_by_system("read", |x| {
            std::fs::read("/etc/hostname").map_or(x, |bytes| bytes.len() as u32)
        })
    });
    suite.case("rejected/thread", |t| {
        t.refused_by_system("spawn", |x| {
            std::thread::spawn(move || x + 1).join().unwrap_or(0)
        })
    });
    suite.case("rejected/time", |t| {
        t.refused_by_system("now", |x| {
            x + std::time::Instant::now().elapsed().subsec_nanos()
        })
    });
    suite.case("rejected/println", |t| {
        t.refused(
            |x| {
                println!("x is {x}");
                x
            },
            &[reason(Problem::OperatingSystem, "println!", &["closure"])],
        )
    });
    suite.case("rejected/eprintln", |t| {
        t.refused(
            |x| {
                eprintln!("x is {x}");
                x
            },
            &[reason(Problem::OperatingSystem, "eprintln!", &["closure"])],
        )
    });
    suite.case("rejected/thread_local", |t| {
        t.refused(
            |x| OWN.replace(x),
            &[reason(Problem::ThreadLocal, "OWN", &["closure"])],
        )
    });
    suite.case("rejected/static_mut", |t| {
        t.refused(
            |x| {
                // SAFETY: never called: the launch is refused.
                unsafe {
                    TOTAL += x;
                    TOTAL
                }
            },
            &[reason(Problem::MutableStatic, "TOTAL", &["closure"])],
        )
    });
    suite.case("rejected/static_mut_read_only", |t| {
        // SAFETY: never called: the launch is refused.
        t.refused(
            |x| unsafe { x ^ TOTAL },
            &[reason(Problem::MutableStatic, "TOTAL", &["closure"])],
        )
    });
    suite.case("rejected/static_atomic", |t| {
        t.refused(
            through_two_functions,
            &[reason(
                Problem::MutableStatic,
                "COUNTER",
                &["through_two_functions", "count"],
            )],
        )
    });
    suite.case("rejected/static_mutex", |t| {
        t.refused_at_least(
            |x| LOCKED.lock().map_or(0, |locked| *locked + x),
            &[reason(Problem::MutableStatic, "LOCKED", &["closure"])],
        )
    });
    suite.case("rejected/everything_at_once", |t| {
        unsafe extern "C" {
            safe fn getpid() -> i32;
        }
        t.refused(
            |x| {
                println!("{x}");
                count(x) ^ OWN.get() ^ getpid() as u32
            },
            &[
                reason(Problem::OperatingSystem, "println!", &["closure"]),
                reason(Problem::MutableStatic, "COUNTER", &["count"]),
                reason(Problem::ThreadLocal, "OWN", &["closure"]),
                reason(Problem::ForeignFunction, "getpid", &["closure"]),
            ],
        )
    });
}
