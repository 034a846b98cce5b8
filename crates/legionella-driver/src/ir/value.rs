//! Handles of values.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::marker::PhantomData;

use llvm_sys::core as c;
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::{LLVMAttributeFunctionIndex, LLVMOpcode, LLVMTypeKind};

use super::{Block, Function, Type, llvm};

/// Any value: a constant, a parameter, an instruction, a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Value<'m>(LLVMValueRef, PhantomData<&'m ()>);

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = llvm!(c::LLVMPrintValueToString(self.0));
        let shown = llvm!(CStr::from_ptr(text)).to_string_lossy().into_owned();
        llvm!(c::LLVMDisposeMessage(text));
        f.write_str(&shown)
    }
}

impl<'m> Value<'m> {
    pub(crate) fn from_raw(raw: LLVMValueRef) -> Self {
        Value(raw, PhantomData)
    }

    pub(crate) fn raw(self) -> LLVMValueRef {
        self.0
    }

    pub(crate) fn ty(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMTypeOf(self.0)))
    }

    pub(crate) fn name(self) -> String {
        let mut len = 0;
        let start = llvm!(c::LLVMGetValueName2(self.0, &mut len));
        let bytes = llvm!(std::slice::from_raw_parts(start.cast::<u8>(), len));
        String::from_utf8_lossy(bytes).into_owned()
    }

    pub(crate) fn is_instruction(self) -> bool {
        !llvm!(c::LLVMIsAInstruction(self.0)).is_null()
    }

    pub(crate) fn is_constant(self) -> bool {
        llvm!(c::LLVMIsConstant(self.0)) != 0
    }

    pub(crate) fn is_poison(self) -> bool {
        llvm!(c::LLVMIsPoison(self.0)) != 0
    }

    pub(crate) fn is_argument(self) -> bool {
        !llvm!(c::LLVMIsAArgument(self.0)).is_null()
    }

    /// The address that this one is, in a space that not all addresses have.
    pub(crate) fn in_any_space(self) -> Self {
        if self.is(LLVMOpcode::LLVMAddrSpaceCast) {
            self.operand(0)
        } else {
            self
        }
    }

    pub(crate) fn is_inline_assembly(self) -> bool {
        !llvm!(c::LLVMIsAInlineAsm(self.0)).is_null()
    }

    /// Text and constraints of inline assembly.
    pub(crate) fn inline_assembly(self) -> Option<(String, String)> {
        if !self.is_inline_assembly() {
            return None;
        }
        let get = |function: unsafe extern "C" fn(LLVMValueRef, *mut usize) -> *const c_char| {
            let mut len = 0;
            let start = llvm!(function(self.0, &mut len));
            let bytes = llvm!(std::slice::from_raw_parts(start.cast::<u8>(), len));
            String::from_utf8_lossy(bytes).into_owned()
        };
        Some((
            get(c::LLVMGetInlineAsmAsmString),
            get(c::LLVMGetInlineAsmConstraintString),
        ))
    }

    pub(crate) fn as_function(self) -> Option<Function<'m>> {
        (!llvm!(c::LLVMIsAFunction(self.0)).is_null()).then(|| Function::from_raw(self.0))
    }

    /// The opcode of an instruction or constant expression.
    pub(crate) fn opcode(self) -> Option<LLVMOpcode> {
        if self.is_instruction() {
            Some(llvm!(c::LLVMGetInstructionOpcode(self.0)))
        } else if !llvm!(c::LLVMIsAConstantExpr(self.0)).is_null() {
            Some(llvm!(c::LLVMGetConstOpcode(self.0)))
        } else {
            None
        }
    }

    pub(crate) fn is(self, opcode: LLVMOpcode) -> bool {
        self.opcode() == Some(opcode)
    }

    /// A call, with or without exception handling.
    pub(crate) fn is_call(self) -> bool {
        matches!(
            self.opcode(),
            Some(LLVMOpcode::LLVMCall | LLVMOpcode::LLVMInvoke)
        ) && self.is_instruction()
    }

    /// What a call calls.
    pub(crate) fn callee(self) -> Option<Value<'m>> {
        self.is_call()
            .then(|| Value::from_raw(llvm!(c::LLVMGetCalledValue(self.0))))
    }

    /// The function that a call calls, if it is known.
    pub(crate) fn called_function(self) -> Option<Function<'m>> {
        self.callee()?.as_function()
    }

    /// A call by address.
    pub(crate) fn is_indirect_call(self) -> bool {
        self.callee()
            .is_some_and(|callee| callee.as_function().is_none() && !callee.is_inline_assembly())
    }

    /// Adds an attribute without a value to a call.
    pub(crate) fn add_call_attribute(self, name: &str) {
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        let attribute = llvm!(c::LLVMCreateEnumAttribute(context, kind, 0));
        llvm!(c::LLVMAddCallSiteAttribute(
            self.0,
            LLVMAttributeFunctionIndex,
            attribute
        ));
    }

    /// The number that an attribute says of a call's argument.
    pub(crate) fn argument_attribute(self, argument: u32, name: &str) -> Option<u64> {
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        // Arguments are counted from 1.
        let attribute = llvm!(c::LLVMGetCallSiteEnumAttribute(self.0, 1 + argument, kind));
        (!attribute.is_null()).then(|| llvm!(c::LLVMGetEnumAttributeValue(attribute)))
    }

    /// Notes something on a call that LLVM knows nothing of, and keeps.
    pub(crate) fn note_on_call(self, note: &str) {
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        let attribute = llvm!(c::LLVMCreateStringAttribute(
            context,
            note.as_ptr().cast(),
            note.len() as u32,
            std::ptr::null(),
            0
        ));
        llvm!(c::LLVMAddCallSiteAttribute(
            self.0,
            LLVMAttributeFunctionIndex,
            attribute
        ));
    }

    /// Whether this is a call on which that was noted.
    pub(crate) fn is_call_with_note(self, note: &str) -> bool {
        self.is_call()
            && !llvm!(c::LLVMGetCallSiteStringAttribute(
                self.0,
                LLVMAttributeFunctionIndex,
                note.as_ptr().cast(),
                note.len() as u32
            ))
            .is_null()
    }

    /// Removes an attribute without a value from a call.
    pub(crate) fn remove_call_attribute(self, name: &str) {
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        llvm!(c::LLVMRemoveCallSiteEnumAttribute(
            self.0,
            LLVMAttributeFunctionIndex,
            kind
        ));
    }

    pub(crate) fn operand(self, index: u32) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMGetOperand(self.0, index)))
    }

    pub(crate) fn set_operand(self, index: u32, value: Value<'m>) {
        llvm!(c::LLVMSetOperand(self.0, index, value.0));
    }

    /// Has an instruction take another value wherever an operand is this one.
    pub(crate) fn replace_operand(self, one: Value<'m>, other: Value<'m>) {
        for (index, operand) in (0..).zip(self.operands()) {
            if operand == one {
                self.set_operand(index, other);
            }
        }
    }

    /// Operands of an instruction, constant expression or aggregate; none for other values.
    pub(crate) fn operands(self) -> Vec<Value<'m>> {
        if llvm!(c::LLVMIsAUser(self.0)).is_null() {
            return Vec::new();
        }
        let count = llvm!(c::LLVMGetNumOperands(self.0)).max(0) as u32;
        (0..count)
            .map(|index| self.operand(index))
            .filter(|operand| !operand.0.is_null())
            .collect()
    }

    /// Everything that has this value as an operand, once for each time.
    pub(crate) fn users(self) -> Vec<Value<'m>> {
        let mut all = Vec::new();
        let mut next = llvm!(c::LLVMGetFirstUse(self.0));
        while !next.is_null() {
            all.push(Value::from_raw(llvm!(c::LLVMGetUser(next))));
            next = llvm!(c::LLVMGetNextUse(next));
        }
        all
    }

    /// The instruction behind an instruction in its block.
    pub(crate) fn next(self) -> Option<Value<'m>> {
        let next = llvm!(c::LLVMGetNextInstruction(self.0));
        (!next.is_null()).then(|| Value::from_raw(next))
    }

    /// Takes an instruction out of its block, to be put elsewhere.
    pub(crate) fn detach(self) {
        llvm!(c::LLVMInstructionRemoveFromParent(self.0));
    }

    /// Removes an instruction that is in no block.
    pub(crate) fn delete_detached(self) {
        llvm!(c::LLVMDeleteInstruction(self.0));
    }

    /// How a comparison of integers or addresses compares.
    pub(crate) fn predicate(self) -> Option<llvm_sys::LLVMIntPredicate> {
        (self.is_instruction() && self.is(LLVMOpcode::LLVMICmp))
            .then(|| llvm!(c::LLVMGetICmpPredicate(self.0)))
    }

    /// Whether an instruction reads or writes memory by itself or by a call.
    pub(crate) fn touches_memory(self) -> bool {
        use LLVMOpcode::*;
        matches!(
            self.opcode(),
            Some(LLVMLoad | LLVMStore | LLVMAtomicRMW | LLVMAtomicCmpXchg | LLVMFence | LLVMCall)
        )
    }

    /// The vector of these elements, which are constants.
    pub(crate) fn vector(elements: &[Value<'m>]) -> Value<'m> {
        let mut raw: Vec<_> = elements.iter().map(|element| element.0).collect();
        Value::from_raw(llvm!(c::LLVMConstVector(
            raw.as_mut_ptr(),
            raw.len() as u32
        )))
    }

    /// A copy of an instruction that is in no block yet.
    pub(crate) fn duplicate(self) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMInstructionClone(self.0)))
    }

    /// The type that an instruction on memory allocates.
    pub(crate) fn allocated(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMGetAllocatedType(self.0)))
    }

    /// Whether a load or store may be neither split nor dropped: it is atomic or volatile.
    pub(crate) fn is_ordered(self) -> bool {
        llvm!(c::LLVMGetVolatile(self.0)) != 0
            || llvm!(c::LLVMGetOrdering(self.0))
                != llvm_sys::LLVMAtomicOrdering::LLVMAtomicOrderingNotAtomic
    }

    /// The alignment of a load, a store or an allocation, in bytes.
    pub(crate) fn alignment(self) -> u32 {
        llvm!(c::LLVMGetAlignment(self.0))
    }

    /// Sets the alignment of a load, a store or an allocation, in bytes.
    pub(crate) fn set_alignment(self, bytes: u32) {
        llvm!(c::LLVMSetAlignment(self.0, bytes));
    }

    pub(crate) fn replace_all_uses_with(self, other: Value<'m>) {
        llvm!(c::LLVMReplaceAllUsesWith(self.0, other.0));
    }

    /// Removes a global variable that nothing refers to.
    pub(crate) fn delete_global(self) {
        llvm!(c::LLVMDeleteGlobal(self.0));
    }

    /// Removes an instruction. It must have no users left.
    pub(crate) fn erase(self) {
        llvm!(c::LLVMInstructionEraseFromParent(self.0));
    }

    /// A field of a struct that is a constant or was put together by insertions.
    pub(crate) fn field(self, index: u32) -> Option<Value<'m>> {
        let mut whole = self;
        while whole.is_instruction() && whole.is(LLVMOpcode::LLVMInsertValue) {
            if llvm!(*c::LLVMGetIndices(whole.0)) == index {
                return Some(whole.operand(1));
            }
            whole = whole.operand(0);
        }
        whole
            .is_constant()
            .then(|| Value::from_raw(llvm!(c::LLVMGetAggregateElement(whole.0, index))))
    }

    /// The block of an instruction.
    pub(crate) fn block(self) -> Block<'m> {
        Block::from_raw(llvm!(c::LLVMGetInstructionParent(self.0)))
    }

    /// Makes a load or store atomic.
    pub(crate) fn make_atomic(self, ordering: llvm_sys::LLVMAtomicOrdering, align: u32) {
        llvm!(c::LLVMSetOrdering(self.0, ordering));
        llvm!(c::LLVMSetAlignment(self.0, align));
    }

    /// Gives an instruction metadata without operands, such as `invariant.load`.
    pub(crate) fn set_empty_metadata(self, name: &str) {
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        let kind = llvm!(c::LLVMGetMDKindIDInContext(
            context,
            name.as_ptr().cast(),
            name.len() as u32
        ));
        let node = llvm!(c::LLVMMDNodeInContext2(context, std::ptr::null_mut(), 0));
        let node = llvm!(c::LLVMMetadataAsValue(context, node));
        llvm!(c::LLVMSetMetadata(self.0, kind, node));
    }

    /// Tells of a branch how often it goes each way, as a ratio.
    pub(crate) fn set_weights(self, weights: [u32; 2]) {
        const KIND: &str = "prof";
        const TEXT: &str = "branch_weights";
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        let kind = llvm!(c::LLVMGetMDKindIDInContext(
            context,
            KIND.as_ptr().cast(),
            KIND.len() as u32
        ));
        let i32 = super::Types::of_type(self.ty()).i32;
        let numbers =
            weights.map(|weight| llvm!(c::LLVMValueAsMetadata(i32.constant(weight.into()).raw())));
        let text = llvm!(c::LLVMMDStringInContext2(
            context,
            TEXT.as_ptr().cast(),
            TEXT.len()
        ));
        let mut parts = [text, numbers[0], numbers[1]];
        let node = llvm!(c::LLVMMDNodeInContext2(
            context,
            parts.as_mut_ptr(),
            parts.len()
        ));
        let node = llvm!(c::LLVMMetadataAsValue(context, node));
        llvm!(c::LLVMSetMetadata(self.0, kind, node));
    }

    /// Whether metadata of that name is attached.
    pub(crate) fn has_metadata(self, name: &str) -> bool {
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        let kind = llvm!(c::LLVMGetMDKindIDInContext(
            context,
            name.as_ptr().cast(),
            name.len() as u32
        ));
        !llvm!(c::LLVMGetMetadata(self.0, kind)).is_null()
    }

    /// Has an operation on floats be as free as another: none, unless that was asked for.
    pub(crate) fn take_float_rules(self, other: Value<'m>) {
        if llvm!(c::LLVMCanValueUseFastMathFlags(other.0)) != 0
            && self.is_instruction()
            && llvm!(c::LLVMCanValueUseFastMathFlags(self.0)) != 0
        {
            let flags = llvm!(c::LLVMGetFastMathFlags(other.0));
            llvm!(c::LLVMSetFastMathFlags(self.0, flags));
        }
    }

    /// The type of the elements among which an instruction computes an address.
    pub(crate) fn element_type(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMGetGEPSourceElementType(self.0)))
    }

    /// How many bytes an address lies behind a base, if that is a constant and told in bytes.
    pub(crate) fn distance_from(self, base: Value<'m>) -> Option<u64> {
        if self == base {
            return Some(0);
        }
        if self.is(LLVMOpcode::LLVMAddrSpaceCast) && self.is_instruction() {
            return self.operand(0).distance_from(base);
        }
        let by_bytes = self.is_instruction()
            && self.is(LLVMOpcode::LLVMGetElementPtr)
            && self.element_type().integer_width() == 8;
        let operands = self.operands();
        match operands[..] {
            [before, index] if by_bytes => {
                let before = before.distance_from(base)?;
                before.checked_add(index.constant_integer()?)
            }
            _ => None,
        }
    }

    /// The value of an integer constant of at most 64 bits.
    pub(crate) fn constant_integer(self) -> Option<u64> {
        (!llvm!(c::LLVMIsAConstantInt(self.0)).is_null() && self.ty().integer_width() <= 64)
            .then(|| llvm!(c::LLVMConstIntGetZExtValue(self.0)))
    }

    /// The value of a constant of a type of floats.
    pub(crate) fn constant_float(self) -> Option<f64> {
        let mut inexact = 0;
        (!llvm!(c::LLVMIsAConstantFP(self.0)).is_null())
            .then(|| llvm!(c::LLVMConstRealGetDouble(self.0, &mut inexact)))
    }

    /// Whether a global variable, or a function, has no definition here.
    pub(crate) fn is_declaration(self) -> bool {
        llvm!(c::LLVMIsDeclaration(self.0)) != 0
    }

    /// Successors of a terminator.
    pub(crate) fn successors(self) -> Vec<Block<'m>> {
        let count = llvm!(c::LLVMGetNumSuccessors(self.0));
        (0..count)
            .map(|index| Block::from_raw(llvm!(c::LLVMGetSuccessor(self.0, index))))
            .collect()
    }

    /// Whether an instruction gives no value.
    pub(crate) fn is_void(self) -> bool {
        self.ty().kind() == LLVMTypeKind::LLVMVoidTypeKind
    }

    /// Whether a terminator chooses between different blocks.
    pub(crate) fn successors_differ(self) -> bool {
        let terminates = !llvm!(c::LLVMIsATerminatorInst(self.0)).is_null();
        terminates && self.successors().windows(2).any(|pair| pair[0] != pair[1])
    }

    pub(crate) fn set_successor(self, index: u32, block: Block<'m>) {
        llvm!(c::LLVMSetSuccessor(self.0, index, block.raw()));
    }

    /// Incoming values of a phi, with the blocks they come from.
    pub(crate) fn incoming(self) -> Vec<(Value<'m>, Block<'m>)> {
        let count = llvm!(c::LLVMCountIncoming(self.0));
        (0..count)
            .map(|index| {
                (
                    Value::from_raw(llvm!(c::LLVMGetIncomingValue(self.0, index))),
                    Block::from_raw(llvm!(c::LLVMGetIncomingBlock(self.0, index))),
                )
            })
            .collect()
    }

    pub(crate) fn add_incoming(self, value: Value<'m>, block: Block<'m>) {
        let mut values = [value.0];
        let mut blocks = [block.raw()];
        llvm!(c::LLVMAddIncoming(
            self.0,
            values.as_mut_ptr(),
            blocks.as_mut_ptr(),
            1
        ));
    }

    /// Has a phi's values that came from a block come from another.
    pub(crate) fn replace_incoming_block(self, from: Block<'m>, to: Block<'m>) {
        let incoming = self.incoming();
        if incoming.iter().all(|(_, block)| *block != from) {
            return;
        }
        // LLVM's C API changes no incoming block: a new phi takes the old one's place.
        let fresh = super::Builder::before(self).phi(self.ty());
        for (value, block) in incoming {
            let value = if value == self { fresh } else { value };
            fresh.add_incoming(value, if block == from { to } else { block });
        }
        self.replace_all_uses_with(fresh);
        self.erase();
    }

    /// Whether an address lies at a constant distance from a parameter of its function.
    pub(crate) fn is_address_in_parameter(self) -> bool {
        self.is_argument()
            || (self.is(LLVMOpcode::LLVMAddrSpaceCast)
                && self.is_instruction()
                && self.operand(0).is_argument())
            || (self.is(LLVMOpcode::LLVMGetElementPtr)
                && self.is_instruction()
                && self.operand(0).is_address_in_parameter()
                && self.operands()[1..].iter().all(|index| index.is_constant()))
    }

    /// A copy of an instruction that is in no block yet, and that may run where the original
    /// wouldn't: without what was known of its operands or its result there.
    pub(crate) fn clone_speculatable(self) -> Value<'m> {
        use LLVMOpcode::*;
        let copy = llvm!(c::LLVMInstructionClone(self.0));
        match self.opcode() {
            Some(LLVMAdd | LLVMSub | LLVMMul | LLVMShl) => {
                llvm!(c::LLVMSetNUW(copy, 0));
                llvm!(c::LLVMSetNSW(copy, 0));
            }
            Some(LLVMLShr | LLVMAShr) => llvm!(c::LLVMSetExact(copy, 0)),
            Some(LLVMOr) => llvm!(c::LLVMSetIsDisjoint(copy, 0)),
            Some(LLVMZExt) => llvm!(c::LLVMSetNNeg(copy, 0)),
            Some(LLVMICmp) => llvm!(c::LLVMSetICmpSameSign(copy, 0)),
            Some(LLVMGetElementPtr) => llvm!(c::LLVMGEPSetNoWrapFlags(copy, 0)),
            _ => {}
        }
        let copy = Value::from_raw(copy);
        copy.forget_promises();
        copy
    }

    /// Drops what was known of an instruction's result where it stood.
    pub(crate) fn forget_promises(self) {
        let context = llvm!(c::LLVMGetTypeContext(self.ty().raw()));
        for name in ["noundef", "range", "nonnull", "align", "dereferenceable"] {
            let kind = llvm!(c::LLVMGetMDKindIDInContext(
                context,
                name.as_ptr().cast(),
                name.len() as u32
            ));
            llvm!(c::LLVMSetMetadata(self.0, kind, std::ptr::null_mut()));
        }
    }
}
