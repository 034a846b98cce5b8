//! Building instructions.

use std::marker::PhantomData;

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::prelude::LLVMBuilderRef;
use llvm_sys::{
    LLVMAtomicOrdering, LLVMAtomicRMWBinOp, LLVMIntPredicate, LLVMOpcode, LLVMRealPredicate,
};

use super::{Block, Function, Type, Types, Value, llvm};

const UNNAMED: *const std::ffi::c_char = c"".as_ptr();

/// Inserts instructions at one place.
pub(crate) struct Builder<'m>(LLVMBuilderRef, PhantomData<&'m ()>);

impl Drop for Builder<'_> {
    fn drop(&mut self) {
        llvm!(c::LLVMDisposeBuilder(self.0));
    }
}

impl<'m> Builder<'m> {
    /// Inserts at the end of a block.
    pub(crate) fn at_end(block: Block<'m>) -> Self {
        let function = llvm!(c::LLVMGetBasicBlockParent(block.raw()));
        let context = llvm!(c::LLVMGetTypeContext(c::LLVMTypeOf(function)));
        let builder = llvm!(c::LLVMCreateBuilderInContext(context));
        llvm!(c::LLVMPositionBuilderAtEnd(builder, block.raw()));
        Builder(builder, PhantomData)
    }

    /// Inserts before an instruction.
    pub(crate) fn before(instruction: Value<'m>) -> Self {
        let builder = Builder::at_end(instruction.block());
        llvm!(c::LLVMPositionBuilderBefore(builder.0, instruction.raw()));
        builder
    }

    /// The block that is built into.
    pub(crate) fn block(&self) -> Block<'m> {
        Block::from_raw(llvm!(c::LLVMGetInsertBlock(self.0)))
    }

    fn value(raw: llvm_sys::prelude::LLVMValueRef) -> Value<'m> {
        Value::from_raw(raw)
    }

    /// Puts an instruction here that is in no block yet.
    pub(crate) fn insert(&self, instruction: Value<'m>) {
        llvm!(c::LLVMInsertIntoBuilder(self.0, instruction.raw()));
    }

    pub(crate) fn binary(&self, opcode: LLVMOpcode, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildBinOp(
            self.0,
            opcode,
            a.raw(),
            b.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn add(&self, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildNUWAdd(self.0, a.raw(), b.raw(), UNNAMED)))
    }

    pub(crate) fn sub(&self, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        self.binary(LLVMOpcode::LLVMSub, a, b)
    }

    /// A product of unsigned integers that fits.
    pub(crate) fn mul_no_wrap(&self, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildNUWMul(self.0, a.raw(), b.raw(), UNNAMED)))
    }

    pub(crate) fn zero_extend(&self, value: Value<'m>, to: Type<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildZExt(
            self.0,
            value.raw(),
            to.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn truncate(&self, value: Value<'m>, to: Type<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildTrunc(
            self.0,
            value.raw(),
            to.raw(),
            UNNAMED
        )))
    }

    /// Stores `new` if there is `old`, atomically; gives what was there and whether that was so.
    pub(crate) fn compare_exchange(
        &self,
        address: Value<'m>,
        old: Value<'m>,
        new: Value<'m>,
        ordering: llvm_sys::LLVMAtomicOrdering,
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildAtomicCmpXchg(
            self.0,
            address.raw(),
            old.raw(),
            new.raw(),
            ordering,
            ordering,
            0
        )))
    }

    pub(crate) fn fence(&self, ordering: llvm_sys::LLVMAtomicOrdering, scope: u32) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildFenceSyncScope(
            self.0, ordering, scope, UNNAMED
        )))
    }

    pub(crate) fn mul(&self, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        self.binary(LLVMOpcode::LLVMMul, a, b)
    }

    pub(crate) fn compare(
        &self,
        predicate: LLVMIntPredicate,
        a: Value<'m>,
        b: Value<'m>,
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildICmp(
            self.0,
            predicate,
            a.raw(),
            b.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn select(&self, test: Value<'m>, yes: Value<'m>, no: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildSelect(
            self.0,
            test.raw(),
            yes.raw(),
            no.raw(),
            UNNAMED
        )))
    }

    /// Converts a value, by an instruction such as `zext`.
    pub(crate) fn cast(&self, opcode: LLVMOpcode, value: Value<'m>, to: Type<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildCast(
            self.0,
            opcode,
            value.raw(),
            to.raw(),
            UNNAMED
        )))
    }

    /// The value, or some other if it is undefined, but the same each time.
    pub(crate) fn freeze(&self, value: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildFreeze(self.0, value.raw(), UNNAMED)))
    }

    /// An integer of which LLVM doesn't know what it is computed of, at no cost.
    pub(crate) fn unforeseen(&self, value: Value<'m>) -> Value<'m> {
        // To what is no branch, it means nothing; and only what ends code generation looks through it.
        let module = llvm!(c::LLVMGetGlobalParent(self.block().function().raw()));
        let expected = super::intrinsic_in(module, "llvm.expect", &[value.ty()]);
        self.call(expected, &[value, value.ty().zero()])
    }

    /// The smaller of two unsigned integers.
    pub(crate) fn minimum(&self, a: Value<'m>, b: Value<'m>) -> Value<'m> {
        // As LLVM's peephole optimiser writes it, so that both are found to be the same.
        let module = llvm!(c::LLVMGetGlobalParent(self.block().function().raw()));
        let smaller = super::intrinsic_in(module, "llvm.umin", &[a.ty()]);
        self.call(smaller, &[a, b])
    }

    pub(crate) fn load(&self, ty: Type<'m>, from: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildLoad2(
            self.0,
            ty.raw(),
            from.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn store(&self, value: Value<'m>, to: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildStore(self.0, value.raw(), to.raw())))
    }

    /// The address of element `index` of an array of `ty` at `base`.
    pub(crate) fn element(&self, ty: Type<'m>, base: Value<'m>, index: Value<'m>) -> Value<'m> {
        let mut indices = [index.raw()];
        Self::value(llvm!(c::LLVMBuildInBoundsGEP2(
            self.0,
            ty.raw(),
            base.raw(),
            indices.as_mut_ptr(),
            1,
            UNNAMED
        )))
    }

    /// The address behind a base by indices into a type, of which nothing is promised; base and
    /// indices may be vectors.
    pub(crate) fn address(
        &self,
        ty: Type<'m>,
        base: Value<'m>,
        indices: &[Value<'m>],
    ) -> Value<'m> {
        let mut raw: Vec<_> = indices.iter().map(|index| index.raw()).collect();
        Self::value(llvm!(c::LLVMBuildGEP2(
            self.0,
            ty.raw(),
            base.raw(),
            raw.as_mut_ptr(),
            raw.len() as u32,
            UNNAMED
        )))
    }

    /// An element of a vector.
    pub(crate) fn element_of(&self, vector: Value<'m>, index: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildExtractElement(
            self.0,
            vector.raw(),
            index.raw(),
            UNNAMED
        )))
    }

    /// A vector with one element set.
    pub(crate) fn with_element(
        &self,
        vector: Value<'m>,
        index: Value<'m>,
        element: Value<'m>,
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildInsertElement(
            self.0,
            vector.raw(),
            element.raw(),
            index.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn compare_floats(
        &self,
        predicate: LLVMRealPredicate,
        a: Value<'m>,
        b: Value<'m>,
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildFCmp(
            self.0,
            predicate,
            a.raw(),
            b.raw(),
            UNNAMED
        )))
    }

    pub(crate) fn negate_float(&self, value: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildFNeg(self.0, value.raw(), UNNAMED)))
    }

    /// The vector whose elements are all `value`.
    pub(crate) fn splat(&self, value: Value<'m>, len: u64) -> Value<'m> {
        let vector = value.ty().vector(len);
        let lane = Types::of_type(value.ty()).i32.zero();
        let first = Self::value(llvm!(c::LLVMBuildInsertElement(
            self.0,
            vector.poison().raw(),
            value.raw(),
            lane.raw(),
            UNNAMED
        )));
        let mask = lane.ty().vector(len).zero();
        Self::value(llvm!(c::LLVMBuildShuffleVector(
            self.0,
            first.raw(),
            vector.poison().raw(),
            mask.raw(),
            UNNAMED
        )))
    }

    /// Changes the width of an integer; what is new is zero.
    pub(crate) fn resize(&self, value: Value<'m>, ty: Type<'m>) -> Value<'m> {
        let (old, new) = (value.ty().integer_width(), ty.integer_width());
        match old.cmp(&new) {
            std::cmp::Ordering::Less => Self::value(llvm!(c::LLVMBuildZExt(
                self.0,
                value.raw(),
                ty.raw(),
                UNNAMED
            ))),
            std::cmp::Ordering::Greater => Self::value(llvm!(c::LLVMBuildTrunc(
                self.0,
                value.raw(),
                ty.raw(),
                UNNAMED
            ))),
            std::cmp::Ordering::Equal => value,
        }
    }

    pub(crate) fn alloca(&self, ty: Type<'m>, align: u32) -> Value<'m> {
        let slot = llvm!(c::LLVMBuildAlloca(self.0, ty.raw(), UNNAMED));
        llvm!(c::LLVMSetAlignment(slot, align));
        Self::value(slot)
    }

    /// Makes `bytes` bytes from an address on zero.
    pub(crate) fn clear(&self, to: Value<'m>, bytes: u64, align: u32) -> Value<'m> {
        let types = Types::of_type(to.ty());
        Self::value(llvm!(c::LLVMBuildMemSet(
            self.0,
            to.raw(),
            types.i8.zero().raw(),
            types.i64.constant(bytes).raw(),
            align
        )))
    }

    /// A variable on the stack of `count` elements, in the module's own address space for these.
    pub(crate) fn allocas(&self, ty: Type<'m>, count: Value<'m>, align: u32) -> Value<'m> {
        let slot = llvm!(c::LLVMBuildArrayAlloca(
            self.0,
            ty.raw(),
            count.raw(),
            UNNAMED
        ));
        llvm!(c::LLVMSetAlignment(slot, align));
        Self::value(slot)
    }

    pub(crate) fn call(&self, function: Function<'m>, arguments: &[Value<'m>]) -> Value<'m> {
        self.call_pointer(function.signature(), function.value(), arguments)
    }

    pub(crate) fn call_pointer(
        &self,
        signature: Type<'m>,
        pointer: Value<'m>,
        arguments: &[Value<'m>],
    ) -> Value<'m> {
        let mut raw: Vec<_> = arguments.iter().map(|argument| argument.raw()).collect();
        Self::value(llvm!(c::LLVMBuildCall2(
            self.0,
            signature.raw(),
            pointer.raw(),
            raw.as_mut_ptr(),
            raw.len() as u32,
            UNNAMED
        )))
    }

    /// Instructions of the target, with constraints as LLVM has them (LLVM Language Reference, "Inline Assembler
    /// Expressions"), which do more than give their result.
    pub(crate) fn assembly(
        &self,
        text: &str,
        constraints: &str,
        result: Type<'m>,
        operands: &[Value<'m>],
    ) -> Value<'m> {
        self.inline(text, constraints, result, operands, true)
    }

    /// The same of instructions that only give their result, which depends on the operands alone.
    pub(crate) fn computation(
        &self,
        text: &str,
        constraints: &str,
        result: Type<'m>,
        operands: &[Value<'m>],
    ) -> Value<'m> {
        let computed = self.inline(text, constraints, result, operands, false);
        // `memory(none)`.
        for attribute in ["memory", "nounwind", "willreturn"] {
            computed.add_call_attribute(attribute);
        }
        computed
    }

    fn inline(
        &self,
        text: &str,
        constraints: &str,
        result: Type<'m>,
        operands: &[Value<'m>],
        does_more: bool,
    ) -> Value<'m> {
        let types: Vec<_> = operands.iter().map(|operand| operand.ty()).collect();
        let signature = result.function(&types);
        let assembly = Self::value(llvm!(c::LLVMGetInlineAsm(
            signature.raw(),
            text.as_ptr().cast(),
            text.len(),
            constraints.as_ptr().cast(),
            constraints.len(),
            i32::from(does_more),
            0,
            llvm_sys::LLVMInlineAsmDialect::LLVMInlineAsmDialectATT,
            0
        )));
        self.call_pointer(signature, assembly, operands)
    }

    /// Tells LLVM how an address is aligned (LLVM Language Reference, "Assume Operand Bundles").
    pub(crate) fn assume_aligned(&self, module: &'m Module<'_>, address: Value<'m>, bytes: u64) {
        const TAG: &str = "align";
        let types = Types::of(module);
        let assume = super::intrinsic(module, "llvm.assume", &[]);
        let mut condition = types.i1.constant(1).raw();
        let mut promise = [address.raw(), types.i64.constant(bytes).raw()];
        llvm!({
            let mut bundle = c::LLVMCreateOperandBundle(
                TAG.as_ptr().cast(),
                TAG.len(),
                promise.as_mut_ptr(),
                promise.len() as u32,
            );
            c::LLVMBuildCallWithOperandBundles(
                self.0,
                assume.signature().raw(),
                assume.raw(),
                &mut condition,
                1,
                &mut bundle,
                1,
                UNNAMED,
            );
            c::LLVMDisposeOperandBundle(bundle);
        });
    }

    pub(crate) fn phi(&self, ty: Type<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildPhi(self.0, ty.raw(), UNNAMED)))
    }

    pub(crate) fn extract(&self, aggregate: Value<'m>, index: u32) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildExtractValue(
            self.0,
            aggregate.raw(),
            index,
            UNNAMED
        )))
    }

    pub(crate) fn with(&self, aggregate: Value<'m>, index: u32, value: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildInsertValue(
            self.0,
            aggregate.raw(),
            value.raw(),
            index,
            UNNAMED
        )))
    }

    pub(crate) fn branch(&self, to: Block<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildBr(self.0, to.raw())))
    }

    pub(crate) fn branch_if(&self, test: Value<'m>, yes: Block<'m>, no: Block<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildCondBr(
            self.0,
            test.raw(),
            yes.raw(),
            no.raw()
        )))
    }

    /// Branches by the value of an integer; what is in no case goes to `default`.
    pub(crate) fn switch(
        &self,
        on: Value<'m>,
        default: Block<'m>,
        cases: &[(Value<'m>, Block<'m>)],
    ) -> Value<'m> {
        let switch = llvm!(c::LLVMBuildSwitch(
            self.0,
            on.raw(),
            default.raw(),
            cases.len() as u32
        ));
        for (value, block) in cases {
            llvm!(c::LLVMAddCase(switch, value.raw(), block.raw()));
        }
        Self::value(switch)
    }

    pub(crate) fn ret(&self, value: Option<Value<'m>>) -> Value<'m> {
        Self::value(match value {
            Some(value) => llvm!(c::LLVMBuildRet(self.0, value.raw())),
            None => llvm!(c::LLVMBuildRetVoid(self.0)),
        })
    }

    /// Adds to the float at an address, atomically; gives the one before.
    pub(crate) fn atomic_add_float(
        &self,
        address: Value<'m>,
        value: Value<'m>,
        ordering: LLVMAtomicOrdering,
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildAtomicRMW(
            self.0,
            LLVMAtomicRMWBinOp::LLVMAtomicRMWBinOpFAdd,
            address.raw(),
            value.raw(),
            ordering,
            0
        )))
    }

    /// Stores `new` at an address if there is `current`, atomically; gives what was there and whether
    /// that was so.
    pub(crate) fn atomic_exchange_if(
        &self,
        address: Value<'m>,
        current: Value<'m>,
        new: Value<'m>,
        (success, failure): (LLVMAtomicOrdering, LLVMAtomicOrdering),
    ) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildAtomicCmpXchg(
            self.0,
            address.raw(),
            current.raw(),
            new.raw(),
            success,
            failure,
            0
        )))
    }

    /// Stores a word at an address, atomically, in no order; gives the one before.
    pub(crate) fn atomic_exchange(&self, address: Value<'m>, word: Value<'m>) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildAtomicRMW(
            self.0,
            LLVMAtomicRMWBinOp::LLVMAtomicRMWBinOpXchg,
            address.raw(),
            word.raw(),
            LLVMAtomicOrdering::LLVMAtomicOrderingMonotonic,
            0
        )))
    }

    /// A fence, for all in the system.
    pub(crate) fn atomic_fence(&self, ordering: LLVMAtomicOrdering) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildFence(self.0, ordering, 0, UNNAMED)))
    }

    pub(crate) fn unreachable(&self) -> Value<'m> {
        Self::value(llvm!(c::LLVMBuildUnreachable(self.0)))
    }
}
