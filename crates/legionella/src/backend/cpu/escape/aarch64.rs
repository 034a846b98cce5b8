//! Leaving generated code on AArch64.
//!
//! Callee-saved are `x19` to `x28`, the frame pointer `x29`, `sp`, the low halves of `v8` to `v15`,
//! and the control bits of `fpcr` ("Procedure Call Standard for the Arm 64-bit Architecture", 6.1).
//! The link register `x30` holds where [`enter`] returns to.

use std::arch::naked_asm;
use std::ffi::c_void;
use std::mem::offset_of;

use super::Call;

/// Runs `call`; gives 0 if it returned and 1 if it ended by [`leave`].
///
/// # Safety
/// The call's function may be called with the call's arguments, `call` is valid for reads and writes,
/// and nothing else uses the stack that it names.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn enter(call: *mut Call) -> u32 {
    naked_asm!(
        "stp x29, x30, [sp, #-176]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mrs x9, fpcr",
        "str x9, [sp, #160]",
        "mov x9, sp",
        "str x9, [x0, #{stack}]",
        "mov x19, x0",
        "ldr x9, [x0, #{top}]",
        "cbz x9, 2f",
        "mov sp, x9",
        "2:",
        "ldr x9, [x0, #{run}]",
        "ldr x1, [x0, #{launch}]",
        "ldr x2, [x0, #{first}]",
        "ldr x3, [x0, #{end}]",
        "ldr x4, [x0, #{progress}]",
        "ldr x0, [x0, #{block}]",
        "blr x9",
        "ldr x9, [x19, #{stack}]",
        "mov sp, x9",
        "mov w0, #0",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #176",
        "ret",
        stack = const offset_of!(Call, stack),
        top = const offset_of!(Call, top),
        run = const offset_of!(Call, run),
        launch = const offset_of!(Call, launch),
        first = const offset_of!(Call, first),
        end = const offset_of!(Call, end),
        progress = const offset_of!(Call, progress),
        block = const offset_of!(Call, block),
    )
}

/// Ends a call from within.
///
/// # Safety
/// `call` was given to [`enter`] on this thread, which has not returned, and no frame since then
/// has anything to drop.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn leave(call: *mut Call) -> ! {
    naked_asm!(
        "ldr x9, [x0, #{stack}]",
        "mov sp, x9",
        "ldr x9, [sp, #160]",
        "msr fpcr, x9",
        "mov w0, #1",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #176",
        "ret",
        stack = const offset_of!(Call, stack),
    )
}

/// Has an interrupted thread end a call, once the handler of the signal returns.
///
/// # Safety
/// As for [`leave`], on the interrupted thread, whose `ucontext_t` the context is.
pub(in super::super) unsafe fn leave_from_signal(context: *mut c_void, call: *mut Call) {
    let context = context.cast::<libc::ucontext_t>();
    let leave: unsafe extern "C" fn(*mut Call) -> ! = leave;
    // SAFETY: the caller's promise. The thread goes on as if it had called `leave`, which uses
    // nothing of the stack that it comes from.
    unsafe {
        let machine = &mut (*context).uc_mcontext;
        machine.regs[0] = call.expose_provenance() as u64;
        machine.pc = leave as usize as u64;
    }
}
