//! Calls into generated code, and what it calls back.
//!
//! Takes a range of work-groups, runs it, and gives the panic of the first work-item that
//! panicked, if one did.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use legionella_abi::cpu::{Host, Launch, Panic, Progress, Run};
use legionella_abi::protocol::Source;
use legionella_device::heap::layout::Heap;

use super::escape::{self, Call};
use super::scratch::Scratch;
use super::stack::{self, Bounds};

/// Variable with the bytes of stack that a work-item has, as a size such as `64M`.
pub(super) const SIZE: &str = "LEGIONELLA_STACK";

/// What generated code calls back.
pub(super) static HOST: Host = Host {
    alloc: host_alloc,
    alloc_zeroed: host_alloc_zeroed,
    dealloc: host_dealloc,
    realloc: host_realloc,
    panic: host_panic,
    scratch: host_scratch,
    pause: host_pause,
    running_item: host_running_item,
};

/// What a call finds around it.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'l> {
    /// When this is set, items that wait give up.
    pub(super) cancelled: &'l AtomicBool,
    /// What items allocate from, if not by the program's allocator.
    pub(super) heap: Option<Heap>,
}

/// Why a call was left.
#[derive(Debug)]
pub(super) enum Left {
    /// A work-item panicked.
    Panicked(ItemPanic),
    /// A work-item waited, and the launch was cancelled.
    Cancelled,
}

/// A work-item's panic.
#[derive(Debug)]
pub(super) struct ItemPanic {
    pub(super) message: String,
    pub(super) source: Source,
    pub(super) item: [u64; 3],
}

/// A call in progress on this thread, for [`host_panic`] and [`overflow`].
#[repr(C)]
struct InProgress {
    call: Call,
    progress: Progress,
    panic: Option<ItemPanic>,
    stack: Bounds,
    /// Whether the stack didn't suffice.
    overflowed: bool,
    /// Whether a function of the application runs, which generated code called.
    in_application: AtomicBool,
    scratch: Scratch,
    cancelled: *const AtomicBool,
    /// Whether the call was left because of that.
    gave_up: bool,
    heap: Option<Heap>,
}

thread_local! {
    static IN_PROGRESS: Cell<*mut InProgress> = const { Cell::new(null_mut()) };
}

/// Runs the work-groups `first..end`, or up to the first one in which a work-item panics. Items that
/// wait give up when the launch is cancelled.
///
/// # Safety
/// `run` is code of a kernel that `block` is an argument block of, and that may run over `launch`.
pub(super) unsafe fn run(
    run: Run,
    block: *const u8,
    launch: &Launch,
    first: u64,
    end: u64,
    surroundings: Surroundings<'_>,
) -> Result<(), Left> {
    let stack = match stack::of_thread() {
        Ok(stack) => stack,
        Err(error) => return Err(nowhere(format!("no memory for a stack: {error}"), [0; 3])),
    };
    let outer = IN_PROGRESS.get();
    let mut state = InProgress {
        call: Call {
            run,
            block,
            launch,
            first,
            end,
            progress: null_mut(),
            stack: null_mut(),
            // A launch from within a function that a kernel called: this is the stack already.
            top: if outer.is_null() {
                stack.top
            } else {
                null_mut()
            },
        },
        progress: Progress { item: [0; 3] },
        panic: None,
        stack,
        overflowed: false,
        in_application: AtomicBool::new(false),
        scratch: Scratch::default(),
        cancelled: surroundings.cancelled,
        heap: surroundings.heap,
        gave_up: false,
    };
    let state = &raw mut state;
    IN_PROGRESS.set(state);
    // SAFETY: `state` lives on this stack until the function returns, and is used through this
    // one pointer. The call is the caller's promise.
    let panic = unsafe {
        (*state).call.progress = &raw mut (*state).progress;
        let left = escape::enter(&raw mut (*state).call);
        order_stores();
        if left == 0 {
            None
        } else {
            Some((*state).panic.take())
        }
    };
    IN_PROGRESS.set(outer);
    // SAFETY: as above.
    let (item, overflowed) = unsafe { ((*state).progress.item, (*state).overflowed) };
    // SAFETY: as above.
    let gave_up = unsafe { (*state).gave_up };
    match panic {
        None => Ok(()),
        Some(Some(panic)) => Err(Left::Panicked(panic)),
        Some(None) if gave_up => Err(Left::Cancelled),
        Some(None) if overflowed => {
            let size = stack.size() >> 10;
            let message = format!("stack overflow: a work-item has {size} KiB, see {SIZE}");
            Err(nowhere(message, item))
        }
        // The panic could not be described, for want of memory.
        Some(None) => Err(nowhere(String::new(), item)),
    }
}

/// Has all stores of this thread come before whatever it stores next, non-temporal ones too, which other
/// threads might otherwise see late.
fn order_stores() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE, which has the instruction, is part of the architecture.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// A panic whose source is not known.
fn nowhere(message: String, item: [u64; 3]) -> Left {
    Left::Panicked(ItemPanic {
        message,
        source: Source {
            file: String::new(),
            line: 0,
            column: 0,
        },
        item,
    })
}

/// If this thread is in generated code, and an address lies where its stack has overflowed to:
/// notes so, and gives the call that is to be left. Async-signal-safe.
pub(super) fn overflow(address: usize) -> Option<*mut Call> {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return None;
    }
    // SAFETY: the call in progress on this thread, whose caller waits for it.
    unsafe {
        let entered = !(*state).call.stack.is_null();
        let in_application = (*state).in_application.load(Ordering::Relaxed);
        if !entered || in_application || !(*state).stack.guards(address) {
            return None;
        }
        (*state).overflowed = true;
        Some(&raw mut (*state).call)
    }
}

/// Runs what generated code calls of the application, which is not left by [`overflow`]: it may
/// hold locks. So there must be stack enough.
fn in_application<T>(function: impl FnOnce() -> T) -> T {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return function();
    }
    // SAFETY: the call in progress on this thread. It is left, if at all, with frames of generated
    // code and this one on the stack, which has nothing to drop: functions given are plain data.
    unsafe {
        if (*state).stack.is_nearly_full() {
            (*state).overflowed = true;
            escape::leave(&raw mut (*state).call);
        }
        (*state).in_application.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let result = function();
        compiler_fence(Ordering::SeqCst);
        (*state).in_application.store(false, Ordering::Relaxed);
        result
    }
}

/// Records a work-item's panic and leaves the call that it happened in.
unsafe extern "C" fn host_panic(panic: *const Panic) -> ! {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        // Code that no launch called: there is nothing to return to.
        abort();
    }
    // SAFETY: generated code passes a valid panic. `state` is the call in progress on this thread.
    in_application(|| unsafe { record(state, panic) });
    // SAFETY: `enter` was called with this call by `run` on this thread, further down this stack.
    // Frames since then are those of generated code, in which a panic drops nothing by design, and
    // of this function, which holds nothing: what `record` made is dropped or in `state`.
    unsafe { escape::leave(&raw mut (*state).call) }
}

/// # Safety
/// `state` is the call in progress on this thread; `panic` and its texts are readable.
unsafe fn record(state: *mut InProgress, panic: *const Panic) {
    let describe = || {
        // SAFETY: the caller's promise; a text without bytes may have any address.
        let text = |start: *const u8, len: usize| unsafe {
            match len {
                0 => String::new(),
                _ => String::from_utf8_lossy(std::slice::from_raw_parts(start, len)).into_owned(),
            }
        };
        // SAFETY: the caller's promise.
        let (panic, item) = unsafe { (&*panic, (*state).progress.item) };
        ItemPanic {
            message: text(panic.message, panic.message_len),
            source: Source {
                file: text(panic.file, panic.file_len),
                line: panic.line,
                column: panic.column,
            },
            item,
        }
    };
    // No unwinding gets into generated code. A payload is not dropped, as that may panic again.
    match catch_unwind(AssertUnwindSafe(describe)) {
        // SAFETY: as above; generated code doesn't reach this field.
        Ok(described) => unsafe { (*state).panic = Some(described) },
        Err(payload) => std::mem::forget(payload),
    }
}

/// # Safety
/// The size and the power of two that generated code received as a layout.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the caller's promise.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// The heap that the items of the call in progress allocate from, if it is not the program's allocator,
/// and the number by which the thread spreads over it.
///
/// A heap needs no lock, so that an item may be left while it is in there: that may cost the object
/// that it was about to get or give.
fn heap() -> Option<(Heap, usize)> {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return None;
    }
    // SAFETY: the call in progress on this thread.
    let heap = unsafe { (*state).heap }?;
    // Where the state lies differs between threads, by much.
    let spread = (state.addr() as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    Some((heap, spread as usize))
}

unsafe extern "C" fn host_alloc(size: usize, align: usize) -> *mut u8 {
    if let Some((heap, spread)) = heap() {
        // SAFETY: the heap is valid while the call runs; generated code passes a valid layout.
        return unsafe { heap.alloc(size, align, spread) };
    }
    // SAFETY: generated code calls it as `alloc` is to be called.
    in_application(|| unsafe { alloc(layout(size, align)) })
}

unsafe extern "C" fn host_alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    if let Some((heap, spread)) = heap() {
        // SAFETY: as for `host_alloc`.
        return unsafe { heap.alloc_zeroed(size, align, spread) };
    }
    // SAFETY: generated code calls it as `alloc_zeroed` is to be called.
    in_application(|| unsafe { alloc_zeroed(layout(size, align)) })
}

unsafe extern "C" fn host_dealloc(memory: *mut u8, size: usize, align: usize) {
    if let Some((heap, _)) = heap() {
        // SAFETY: as for `host_alloc`, and what was allocated in launches with this heap.
        return unsafe { heap.dealloc(memory, size, align) };
    }
    // SAFETY: generated code calls it as `dealloc` is to be called.
    in_application(|| unsafe { dealloc(memory, layout(size, align)) })
}

unsafe extern "C" fn host_realloc(
    memory: *mut u8,
    old: usize,
    align: usize,
    new: usize,
) -> *mut u8 {
    if let Some((heap, spread)) = heap() {
        // SAFETY: as for `host_dealloc`.
        return unsafe { heap.realloc(memory, old, align, new, spread) };
    }
    // SAFETY: generated code calls it as `realloc` is to be called.
    in_application(|| unsafe { realloc(memory, layout(old, align), new) })
}

unsafe extern "C" fn host_scratch(size: usize, align: usize) -> *mut u8 {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return null_mut();
    }
    // SAFETY: `state` is the call in progress on this thread; nothing else uses the field meanwhile.
    in_application(|| unsafe { (*state).scratch.of(size, align) })
}

unsafe extern "C" fn host_pause() {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return;
    }
    // SAFETY: `state` is the call in progress on this thread, whose launch has not ended. Leaving is
    // as for a panic: generated code has nothing to drop, and this function holds nothing.
    unsafe {
        if (*(*state).cancelled).load(Ordering::Relaxed) {
            (*state).gave_up = true;
            escape::leave(&raw mut (*state).call);
        }
    }
    in_application(std::thread::yield_now);
}

unsafe extern "C" fn host_running_item(item: *mut [u64; 2]) {
    let state = IN_PROGRESS.get();
    if state.is_null() {
        return;
    }
    // SAFETY: the call in progress on this thread, whose launch lives; generated code passes memory
    // for two numbers. Blocks of launches in flight are apart.
    unsafe {
        let ([x, y, z], grid) = ((*state).progress.item, (*(*state).call.launch).grid);
        let linear = x + grid[0] * (y + grid[1] * z);
        item.write([(*state).call.block.addr() as u64, linear]);
    }
}
