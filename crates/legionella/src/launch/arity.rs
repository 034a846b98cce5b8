//! Kernels of 0 to 12 parameters, and the entry shims that call them.
//!
//! For each arity there is an argument block, in C's layout, with one [`Form`] an argument; the
//! shim that a device enters with a pointer to it; and the statement that functions of that arity
//! are kernels. Shims are generic over the forms, not the arguments, so that a kernel has one shim
//! whether it is launched with buffers or with slices.

use std::mem::offset_of;
use std::ptr::NonNull;

use legionella_abi::record::{ArgumentLayout, MAX_ARGUMENTS};
use legionella_device::Token;

use super::form::Form;
use super::{Binder, Kernel, Launch, Pass, PassAs};
use crate::error::Result;

/// The entry shim of a kernel: what a launch site's record names and a device enters.
///
/// The kernel's type is its first parameter, by which tools know the kernel's name.
///
/// The block is a reference, from which the driver knows its size and alignment.
///
/// # Safety
/// As for [`Enter::enter`].
pub(super) unsafe extern "C" fn entry<K, B: Enter<K, P>, P>(block: &B) {
    // SAFETY: passed on.
    unsafe { block.enter() }
}

/// An argument block for kernels of type `K` with parameters `P`, the token first.
pub trait Enter<K, P>: Copy {
    /// Number of arguments.
    const COUNT: u32;
    /// Where each argument lies; zeros past the last.
    const ARGUMENTS: [ArgumentLayout; MAX_ARGUMENTS];

    /// Calls the kernel for the work-item that runs.
    ///
    /// # Safety
    /// On the device, once a work-item of a launch of the kernel with this block. `K` has no size,
    /// and a value of it exists that may be copied to this thread.
    unsafe fn enter(&self);
}

const NONE: ArgumentLayout = ArgumentLayout {
    offset: 0,
    size: 0,
    align: 0,
};

macro_rules! arity {
    ($block:ident, $count:literal: $($argument:ident $form:ident $parameter:ident $field:ident)*) => {
        /// An argument block.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $block<$($form),*> {
            $($field: $form,)*
        }

        impl<Function, First, $($form, $parameter),*> Enter<Function, (First, $($parameter,)*)>
            for $block<$($form),*>
        where
            First: Token,
            Function: Fn(First, $($parameter),*),
            $($form: Form<$parameter>,)*
        {
            const COUNT: u32 = $count;

            const ARGUMENTS: [ArgumentLayout; MAX_ARGUMENTS] = {
                let arguments: [ArgumentLayout; $count] = [$(
                    ArgumentLayout {
                        offset: offset_of!(Self, $field) as u32,
                        size: size_of::<$form>() as u32,
                        align: align_of::<$form>() as u32,
                    },
                )*];
                let mut all = [NONE; MAX_ARGUMENTS];
                let mut index = 0;
                while index < arguments.len() {
                    all[index] = arguments[index];
                    index += 1;
                }
                all
            };

            #[inline(always)]
            unsafe fn enter(&self) {
                // SAFETY: a kernel has no size, so that any address is one of it. A value exists
                // and may be copied here, by the caller's promise.
                let kernel: &Function = unsafe { NonNull::dangling().as_ref() };
                // SAFETY: this is a work-item, on the device; the call is its only one.
                let token = unsafe { First::current() };
                let _position = 0;
                $(
                    // SAFETY: the launch binds its arguments to these; this is the item's only call.
                    let $field = unsafe { self.$field.materialise(token.item(), _position) };
                    let _position = _position + 1;
                )*
                kernel(token, $($field),*)
            }
        }

        impl<Function, First, $($argument, $parameter),*>
            Kernel<($($argument,)*), (First, $($parameter,)*)> for Function
        where
            First: Token,
            Function: Fn(First, $($parameter),*) + Copy + Send + 'static,
            $($argument: Pass<$parameter>,)*
        {
            type Block = $block<$($argument::Form),*>;

            #[inline]
            fn block(
                ($($field,)*): ($($argument,)*),
                _binder: &mut Binder<'_>,
            ) -> Result<Self::Block> {
                Ok($block { $($field: $field.bind(_binder)?,)* })
            }
        }

        impl<Function, First, $($argument, $parameter),*>
            Launch<($($argument,)*), (First, $($parameter,)*)> for Function
        where
            First: Token,
            Function: Fn(First, $($parameter),*) + Copy + Send + 'static,
            $($argument: PassAs<$parameter>,)*
        {
        }
    };
}

arity!(Block0, 0:);
arity!(Block1, 1: A0 F0 P0 a0);
arity!(Block2, 2: A0 F0 P0 a0 A1 F1 P1 a1);
arity!(Block3, 3: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2);
arity!(Block4, 4: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3);
arity!(Block5, 5: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4);
arity!(Block6, 6: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5);
arity!(Block7, 7: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6);
arity!(Block8, 8: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6 A7 F7 P7 a7);
arity!(Block9, 9: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6 A7 F7 P7 a7 A8 F8 P8 a8);
arity!(Block10, 10: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6 A7 F7 P7 a7 A8 F8 P8 a8 A9 F9 P9 a9);
arity!(Block11, 11: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6 A7 F7 P7 a7 A8 F8 P8 a8 A9 F9 P9 a9 A10 F10 P10 a10);
arity!(Block12, 12: A0 F0 P0 a0 A1 F1 P1 a1 A2 F2 P2 a2 A3 F3 P3 a3 A4 F4 P4 a4 A5 F5 P5 a5
    A6 F6 P6 a6 A7 F7 P7 a7 A8 F8 P8 a8 A9 F9 P9 a9 A10 F10 P10 a10 A11 F11 P11 a11);
