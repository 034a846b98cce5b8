//! Leaving generated code on x86-64 with the System V calling convention.
//!
//! Callee-saved are `rbx`, `rbp`, `rsp`, `r12` to `r15`, and the control bits of `mxcsr` and of
//! the x87 control word ("System V ABI, AMD64 supplement", 3.2.1). The direction flag is clear at
//! calls and returns.

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
pub(in super::super) unsafe extern "sysv64" fn enter(call: *mut Call) -> u32 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        // With the return address this makes 64 bytes: the stack is aligned for the call.
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi + {stack}], rsp",
        "mov rbx, rdi",
        "mov r11, [rdi + {top}]",
        "test r11, r11",
        "jz 2f",
        "mov rsp, r11",
        "2:",
        "mov rax, [rdi + {run}]",
        "mov rsi, [rdi + {launch}]",
        "mov rdx, [rdi + {first}]",
        "mov rcx, [rdi + {end}]",
        "mov r8, [rdi + {progress}]",
        "mov rdi, [rdi + {block}]",
        "call rax",
        "mov rsp, [rbx + {stack}]",
        "xor eax, eax",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
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
pub(in super::super) unsafe extern "sysv64" fn leave(call: *mut Call) -> ! {
    naked_asm!(
        "mov rsp, [rdi + {stack}]",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "mov eax, 1",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
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
    let leave: unsafe extern "sysv64" fn(*mut Call) -> ! = leave;
    // SAFETY: the caller's promise. The thread goes on as if it had called `leave`, which uses
    // nothing of the stack that it comes from.
    unsafe {
        let registers = &mut (*context).uc_mcontext.gregs;
        registers[libc::REG_RDI as usize] = call.expose_provenance() as i64;
        registers[libc::REG_RIP as usize] = leave as usize as i64;
    }
}
