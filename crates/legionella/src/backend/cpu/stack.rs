//! The stacks that generated code runs on, and what becomes of a work-item that needs more.
//!
//! Each thread that runs kernels has one stack for them, below which lies memory that nothing may
//! touch, the *guard*. Generated code touches every page of a frame that is larger than a page
//! ("stack probes"), so a stack that overflows does so in the guard, and the processor faults. The
//! handler of that fault recognises the guard of a call in progress and continues the thread where
//! the call is left, as after a panic; any other fault goes to the handler that was there before.
//!
//! Checks in the code instead, at the entry of recursive functions, would cost each call, and miss
//! frames that are too large by themselves. Stacks of our own, rather than those of the threads,
//! are the same whichever thread runs a kernel, and have a guard that is known.
//!
//! Who replaces the handler for `SIGSEGV` after the first launch without calling the one before
//! has stack overflows end the process again.

use std::cell::OnceCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::{self, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{call, escape};

/// Unless something else is asked for, bytes of a stack; only those that are used take memory.
const DEFAULT: usize = 64 << 20;

/// Bytes of a guard. Probes are a page apart; the rest is for what has none.
const GUARD: usize = 64 << 10;

/// Bytes of the stack that the handler runs on: the registers that the system saves there, and its
/// few frames.
const HANDLER: usize = 64 << 10;

/// Bytes that must be left for the application's functions that generated code calls.
const RESERVE: usize = 128 << 10;

/// The smallest stack that makes sense.
pub(super) const LEAST: usize = 2 * RESERVE;

/// The largest: what is larger is a slip of the pen.
pub(super) const MOST: usize = 256 << 30;

static SIZE: AtomicUsize = AtomicUsize::new(DEFAULT);

/// Sets the size of the stacks of threads that have none yet.
pub(super) fn set_size(bytes: usize) {
    SIZE.store(bytes, Ordering::Relaxed);
}

thread_local! {
    static STACK: OnceCell<Stack> = const { OnceCell::new() };
}

/// Memory of a thread: a guard, the stack, another guard, and the handler's stack.
struct Stack {
    start: *mut u8,
    /// Bytes of the stack itself.
    size: usize,
    /// Whether the thread's signals are handled on our memory.
    signals: bool,
}

/// Where a stack lies.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Behind its last byte, where it begins.
    pub(super) top: *mut u8,
    /// Its first byte, above the guard.
    pub(super) bottom: *mut u8,
}

impl Bounds {
    /// Whether so little is left that the application's functions might not do with it.
    pub(super) fn is_nearly_full(self) -> bool {
        let here = 0u8;
        let here = (&raw const here).addr();
        here.wrapping_sub(self.bottom.addr()) < RESERVE
    }

    /// Bytes of the stack.
    pub(super) fn size(self) -> usize {
        self.top.addr() - self.bottom.addr()
    }

    /// Whether an address lies in the guard.
    pub(super) fn guards(self, address: usize) -> bool {
        (self.bottom.addr() - GUARD..self.bottom.addr()).contains(&address)
    }
}

/// The stack of this thread.
///
/// # Errors
/// If the system has no memory for it.
pub(super) fn of_thread() -> io::Result<Bounds> {
    STACK.with(|stack| {
        if let Some(stack) = stack.get() {
            return Ok(stack.bounds());
        }
        let new = Stack::new(SIZE.load(Ordering::Relaxed))?;
        Ok(stack.get_or_init(|| new).bounds())
    })
}

impl Stack {
    fn new(size: usize) -> io::Result<Self> {
        handle_faults()?;
        let size = size.next_multiple_of(GUARD);
        let len = GUARD + size + GUARD + HANDLER;
        // SAFETY: new memory, and protections of parts of it, which are multiples of a page.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
            let start = libc::mmap(
                null_mut(),
                len,
                libc::PROT_NONE,
                flags | libc::MAP_NORESERVE,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            start.cast::<u8>()
        };
        let mut stack = Stack {
            start,
            size,
            signals: false,
        };
        let usable = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: both parts lie in the memory that was mapped just now and that nothing uses.
        unsafe {
            let parts = [
                (stack.bounds().bottom, size),
                (stack.handler_stack(), HANDLER),
            ];
            for (part, len) in parts {
                if libc::mprotect(part.cast(), len, usable) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
        }
        stack.handle_signals()?;
        Ok(stack)
    }

    fn bounds(&self) -> Bounds {
        // SAFETY: both lie in the mapping.
        unsafe {
            Bounds {
                bottom: self.start.add(GUARD),
                top: self.start.add(GUARD + self.size),
            }
        }
    }

    fn handler_stack(&self) -> *mut u8 {
        // SAFETY: it lies in the mapping.
        unsafe { self.start.add(GUARD + self.size + GUARD) }
    }

    /// Gives the thread a stack for signals, unless it has one.
    fn handle_signals(&mut self) -> io::Result<()> {
        // SAFETY: the old setting is written to valid memory; the new one names memory that stays
        // mapped until `drop` has taken the setting back.
        unsafe {
            let mut old: libc::stack_t = std::mem::zeroed();
            if libc::sigaltstack(ptr::null(), &mut old) != 0 {
                return Err(io::Error::last_os_error());
            }
            if old.ss_flags & libc::SS_DISABLE != 0 {
                let new = libc::stack_t {
                    ss_sp: self.handler_stack().cast(),
                    ss_flags: 0,
                    ss_size: HANDLER,
                };
                if libc::sigaltstack(&new, null_mut()) != 0 {
                    return Err(io::Error::last_os_error());
                }
                self.signals = true;
            }
        }
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the thread ends, or `new` failed: no code runs on the stack, and no signal will.
        unsafe {
            if self.signals {
                let mut current: libc::stack_t = std::mem::zeroed();
                let ours = libc::sigaltstack(ptr::null(), &mut current) == 0
                    && current.ss_sp == self.handler_stack().cast();
                if ours {
                    current.ss_flags = libc::SS_DISABLE;
                    libc::sigaltstack(&current, null_mut());
                }
            }
            let len = GUARD + self.size + GUARD + HANDLER;
            libc::munmap(self.start.cast(), len);
        }
    }
}

/// What handled faults before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once in a process.
fn handle_faults() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let install = || {
        // SAFETY: the actions are valid; the handler is one that `SA_SIGINFO` asks for.
        let status = unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let mut status = libc::sigaction(libc::SIGSEGV, ptr::null(), &mut before);
            if status == 0 {
                // First, as the handler needs it.
                BEFORE.get_or_init(|| before);
                let mut action: libc::sigaction = std::mem::zeroed();
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
                action.sa_sigaction = handler as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                status = libc::sigaction(libc::SIGSEGV, &action, null_mut());
            }
            status
        };
        match status {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        }
    };
    INSTALLED
        .get_or_init(install)
        .map_err(io::Error::from_raw_os_error)
}

/// Handles a fault: leaves the call whose stack overflowed, if it was that.
extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid description; that of this signal holds an address.
    let address = unsafe { (*info).si_addr() }.addr();
    if let Some(call) = call::overflow(address) {
        // SAFETY: the fault happened in generated code, and not within a function of the
        // application that it called, so that no frame since `enter` has anything to drop; the
        // context is that of this thread.
        unsafe { escape::leave_from_signal(context, call) };
        return;
    }
    // SAFETY: what the handler before expects; a default action takes place as the instruction
    // that faulted runs again.
    unsafe {
        let before = BEFORE.get();
        match before.map_or(libc::SIG_DFL, |before| before.sa_sigaction) {
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &action, null_mut());
            }
            handler if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) => {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::ptr::null;

    use legionella_abi::cpu::{Launch, Progress};

    use super::super::call::{HOST, Left, Surroundings, run};
    use std::sync::atomic::AtomicBool;

    const LAUNCH: Launch = Launch {
        grid: [1; 3],
        group: [1; 3],
        groups: [1; 3],
        shared: 0,
        kept: u64::MAX,
    };

    fn deep(rest: u64, on_the_way: &dyn Fn()) -> u64 {
        let page = black_box([rest; 512]);
        on_the_way();
        let below = if rest == 0 {
            0
        } else {
            deep(rest - 1, on_the_way)
        };
        below + page[rest as usize % 512]
    }

    unsafe extern "C" fn code(
        _: *const u8,
        _: *const Launch,
        depth: u64,
        allocates: u64,
        progress: *mut Progress,
    ) {
        // SAFETY: as the caller promises.
        unsafe { (*progress).item = [depth, 2, 3] };
        let allocate = || {
            // SAFETY: a valid layout, and what was allocated with it.
            unsafe { (HOST.dealloc)((HOST.alloc)(64, 8), 64, 8) }
        };
        let nothing = || {};
        black_box(deep(
            depth,
            if allocates == 0 { &nothing } else { &allocate },
        ));
    }

    fn call(depth: u64, allocates: bool) -> Result<(), (String, [u64; 3])> {
        let surroundings = Surroundings {
            cancelled: &AtomicBool::new(false),
            heap: None,
        };
        // SAFETY: `code` doesn't use the block.
        let ended = unsafe { run(code, null(), &LAUNCH, depth, allocates.into(), surroundings) };
        ended.map_err(|left| match left {
            Left::Panicked(panic) => (panic.message, panic.item),
            Left::Cancelled => unreachable!("nobody cancels"),
        })
    }

    #[test]
    fn a_stack_that_overflows_ends_the_item_and_nothing_else() {
        for allocates in [false, true] {
            for thread in 0..2 {
                let check = move || {
                    for depth in [10, u64::MAX, 8_000, u64::MAX - thread] {
                        let result = call(depth, allocates);
                        if depth <= 8_000 {
                            assert_eq!(result, Ok(()));
                        } else {
                            let (message, item) = result.unwrap_err();
                            assert!(message.starts_with("stack overflow"), "{message}");
                            assert_eq!(item, [depth, 2, 3]);
                        }
                    }
                };
                std::thread::spawn(check).join().unwrap();
            }
        }
    }

    #[test]
    fn other_faults_go_to_whom_they_went_before() {
        const CASE: &str = "LEGIONELLA_TEST_FAULT";
        if std::env::var_os(CASE).is_some() {
            assert_eq!(call(1, false), Ok(()));
            // SAFETY: not upheld; the process is here to die of it.
            unsafe { black_box(null::<u8>().wrapping_add(64)).read_volatile() };
            unreachable!("read what is not there");
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "backend::cpu::stack::tests::other_faults_go_to_whom_they_went_before",
            ])
            .env(CASE, "1")
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(libc::SIGSEGV), "{output:?}");
    }
}
