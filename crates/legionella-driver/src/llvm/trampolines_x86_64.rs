//! The trampolines of [`super`] on x86-64 ELF: `LLVMName: mov r11d, INDEX; jmp [SLOTS + 8 * INDEX]`.
//!
//! `r11` is free at every call in the System V ABI (procedure linkage tables use it the same way);
//! it tells `legionella_llvm_missing`, to which every slot leads at first, which function was meant.

use std::arch::global_asm;

global_asm!(
    ".macro trampoline index:req, name:req",
    ".globl \\name",
    ".hidden \\name",
    ".type \\name, @function",
    "\\name:",
    "mov r11d, \\index",
    "jmp qword ptr [rip + {slots} + 8 * \\index]",
    ".size \\name, . - \\name",
    ".endm",
    ".pushsection .text.legionella_llvm, \"ax\", @progbits",
    ".globl legionella_llvm_missing",
    ".hidden legionella_llvm_missing",
    ".type legionella_llvm_missing, @function",
    "legionella_llvm_missing:",
    "mov edi, r11d",
    "and rsp, -16",
    "call {missing}",
    "ud2",
    ".size legionella_llvm_missing, . - legionella_llvm_missing",
    include_str!(concat!(env!("OUT_DIR"), "/trampolines.s")),
    ".popsection",
    ".purgem trampoline",
    slots = sym super::SLOTS,
    missing = sym super::missing,
);
