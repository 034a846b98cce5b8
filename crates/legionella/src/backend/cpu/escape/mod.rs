//! Calling generated code so that it can be left from within, without unwinding.
//!
//! [`enter`] saves what the calling convention promises to its caller, and calls, on another stack if
//! asked to; [`leave`], on the same thread and within that call, takes the stack back to where
//! `enter` was called and returns from there. What was on the stack in between is gone: nothing is
//! dropped. [`leave_from_signal`] makes a thread leave that is interrupted by a signal.
//!
//! This is no `setjmp`: `enter` returns once, whichever way, like any function, so the compiler
//! needs to know nothing about it.

use legionella_abi::cpu::{Launch, Progress, Run};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{enter, leave, leave_from_signal};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{enter, leave, leave_from_signal};

/// A call of generated code: its arguments, and where its caller's stack ends.
#[repr(C)]
pub(super) struct Call {
    pub(super) run: Run,
    pub(super) block: *const u8,
    pub(super) launch: *const Launch,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) progress: *mut Progress,
    /// Set by [`enter`].
    pub(super) stack: *mut u8,
    /// Where the stack begins that the call runs on, aligned to 16 bytes; null for the caller's.
    pub(super) top: *mut u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::ptr::null_mut;

    thread_local!(static CURRENT: Cell<*mut Call> = const { Cell::new(null_mut()) });

    fn call(run: Run, first: u64) -> (bool, u64) {
        let mut progress = Progress { item: [0; 3] };
        let launch = Launch {
            grid: [1; 3],
            group: [1; 3],
            groups: [1; 3],
            shared: 0,
            kept: u64::MAX,
        };
        let mut call = Call {
            run,
            block: (&raw const run).cast(),
            launch: &launch,
            first,
            end: 7,
            progress: &mut progress,
            stack: null_mut(),
            top: null_mut(),
        };
        CURRENT.set(&mut call);
        // SAFETY: the functions below are valid for these arguments.
        let left = unsafe { enter(&mut call) };
        (left != 0, progress.item[0])
    }

    unsafe extern "C" fn deep(
        block: *const u8,
        launch: *const Launch,
        first: u64,
        end: u64,
        progress: *mut Progress,
    ) {
        // SAFETY: as `call` promises.
        unsafe {
            (*progress).item[0] += end;
            if first == 0 {
                leave(CURRENT.get());
            }
            if first < 100 {
                (*block.cast::<Run>())(block, launch, first - 1, end, progress);
            }
        }
    }

    #[test]
    fn returns_either_way_with_the_callers_state_intact() {
        // Live across the calls, so that some of it is in registers that `enter` must save.
        let numbers: [f64; 16] = std::array::from_fn(|i| (i as f64).sqrt());
        let mut sum = 0.0;
        for round in 0..10 {
            assert_eq!(call(deep, 100), (false, 7));
            assert_eq!(call(deep, round), (true, 7 * (round + 1)));
            sum += numbers[round as usize];
        }
        assert_eq!(sum, numbers[..10].iter().sum::<f64>());
    }
}
