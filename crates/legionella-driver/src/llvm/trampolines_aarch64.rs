//! The trampolines of [`super`] on AArch64 ELF: load `SLOTS[INDEX]` and branch to it.
//!
//! `x16` and `x17` belong to whatever stands between a call and its target (AAPCS64, 6.1.1); `w17`
//! tells `legionella_llvm_missing`, to which every slot leads at first, which function was meant.

use std::arch::global_asm;

global_asm!(
    ".macro trampoline index:req, name:req",
    ".globl \\name",
    ".hidden \\name",
    ".type \\name, %function",
    "\\name:",
    "mov w17, #\\index",
    "adrp x16, {slots} + 8 * \\index",
    "ldr x16, [x16, #:lo12:{slots} + 8 * \\index]",
    "br x16",
    ".size \\name, . - \\name",
    ".endm",
    ".pushsection .text.legionella_llvm, \"ax\", %progbits",
    ".p2align 2",
    ".globl legionella_llvm_missing",
    ".hidden legionella_llvm_missing",
    ".type legionella_llvm_missing, %function",
    "legionella_llvm_missing:",
    "mov w0, w17",
    "bl {missing}",
    "brk #1",
    ".size legionella_llvm_missing, . - legionella_llvm_missing",
    include_str!(concat!(env!("OUT_DIR"), "/trampolines.s")),
    ".popsection",
    ".purgem trampoline",
    slots = sym super::SLOTS,
    missing = sym super::missing,
);
