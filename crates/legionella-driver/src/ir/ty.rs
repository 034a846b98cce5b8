//! Handles of types.

use std::ffi::CStr;
use std::marker::PhantomData;

use llvm_sys::LLVMTypeKind;
use llvm_sys::core as c;
use llvm_sys::prelude::LLVMTypeRef;

use super::{Value, llvm};

/// A type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Type<'m>(LLVMTypeRef, PhantomData<&'m ()>);

impl<'m> Type<'m> {
    pub(crate) fn from_raw(raw: LLVMTypeRef) -> Self {
        Type(raw, PhantomData)
    }

    pub(crate) fn raw(self) -> LLVMTypeRef {
        self.0
    }

    pub(crate) fn kind(self) -> LLVMTypeKind {
        llvm!(c::LLVMGetTypeKind(self.0))
    }

    /// The type of functions with this result.
    pub(crate) fn function(self, parameters: &[Type<'m>]) -> Type<'m> {
        let mut raw: Vec<_> = parameters.iter().map(|ty| ty.0).collect();
        Type::from_raw(llvm!(c::LLVMFunctionType(
            self.0,
            raw.as_mut_ptr(),
            raw.len() as u32,
            0
        )))
    }

    /// What a function of this type gives.
    pub(crate) fn result(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMGetReturnType(self.0)))
    }

    /// The array type of `len` such elements.
    pub(crate) fn array(self, len: u64) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMArrayType2(self.0, len)))
    }

    /// The type of vectors of `len` such elements.
    pub(crate) fn vector(self, len: u64) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMVectorType(self.0, len as u32)))
    }

    /// The type of addresses in an address space, given any type of the context.
    pub(crate) fn pointer_in(self, space: u32) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMPointerTypeInContext(
            c::LLVMGetTypeContext(self.0),
            space
        )))
    }

    /// The type of integers of that many bits.
    pub(crate) fn integer(self, bits: u32) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMIntTypeInContext(
            c::LLVMGetTypeContext(self.0),
            bits
        )))
    }

    /// The struct type of these fields.
    pub(crate) fn structure(fields: &[Type<'m>], any: Type<'m>) -> Type<'m> {
        let context = llvm!(c::LLVMGetTypeContext(any.0));
        let mut raw: Vec<_> = fields.iter().map(|ty| ty.0).collect();
        Type::from_raw(llvm!(c::LLVMStructTypeInContext(
            context,
            raw.as_mut_ptr(),
            raw.len() as u32,
            0
        )))
    }

    pub(crate) fn constant(self, value: u64) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMConstInt(self.0, value, 0)))
    }

    /// A number of a type of floats, rounded to it.
    pub(crate) fn float(self, value: f64) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMConstReal(self.0, value)))
    }

    pub(crate) fn zero(self) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMConstNull(self.0)))
    }

    pub(crate) fn poison(self) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMGetPoison(self.0)))
    }

    /// How many fields a struct type has; 0 for others.
    pub(crate) fn field_count(self) -> u32 {
        if self.kind() == LLVMTypeKind::LLVMStructTypeKind {
            llvm!(c::LLVMCountStructElementTypes(self.0))
        } else {
            0
        }
    }

    /// The type of a field of a struct type.
    pub(crate) fn field(self, index: u32) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMStructGetTypeAtIndex(self.0, index)))
    }

    /// The type as LLVM writes it.
    pub(crate) fn text(self) -> String {
        let text = llvm!(c::LLVMPrintTypeToString(self.0));
        let shown = llvm!(CStr::from_ptr(text)).to_string_lossy().into_owned();
        llvm!(c::LLVMDisposeMessage(text));
        shown
    }

    /// What a vector type has several of.
    pub(crate) fn element(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMGetElementType(self.0)))
    }

    /// Elements of a vector type.
    pub(crate) fn vector_len(self) -> u64 {
        llvm!(c::LLVMGetVectorSize(self.0)).into()
    }

    /// Bits of an integer type; 0 for others.
    pub(crate) fn integer_width(self) -> u32 {
        if self.kind() == LLVMTypeKind::LLVMIntegerTypeKind {
            llvm!(c::LLVMGetIntTypeWidth(self.0))
        } else {
            0
        }
    }
}
