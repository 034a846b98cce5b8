//! Handles of functions.

use llvm_sys::core as c;
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::{LLVMAttributeFunctionIndex, LLVMLinkage, LLVMTypeKind};

use super::{Block, Type, Value, c_name, list, llvm};

/// A function, defined or declared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Function<'m>(Value<'m>);

impl<'m> Function<'m> {
    pub(crate) fn from_raw(raw: LLVMValueRef) -> Self {
        Function(Value::from_raw(raw))
    }

    pub(crate) fn value(self) -> Value<'m> {
        self.0
    }

    pub(crate) fn raw(self) -> LLVMValueRef {
        self.0.raw()
    }

    pub(crate) fn name(self) -> String {
        self.0.name()
    }

    pub(crate) fn is_declaration(self) -> bool {
        self.0.is_declaration()
    }

    /// The function's own type.
    pub(crate) fn signature(self) -> Type<'m> {
        Type::from_raw(llvm!(c::LLVMGlobalGetValueType(self.raw())))
    }

    pub(crate) fn parameters(self) -> Vec<Value<'m>> {
        let count = llvm!(c::LLVMCountParams(self.raw()));
        (0..count)
            .map(|index| Value::from_raw(llvm!(c::LLVMGetParam(self.raw(), index))))
            .collect()
    }

    pub(crate) fn blocks(self) -> Vec<Block<'m>> {
        let first = llvm!(c::LLVMGetFirstBasicBlock(self.raw()));
        let all = llvm!(list(first, c::LLVMGetNextBasicBlock));
        all.map(Block::from_raw).collect()
    }

    /// All instructions, block by block.
    pub(crate) fn instructions(self) -> Vec<Value<'m>> {
        self.blocks()
            .into_iter()
            .flat_map(Block::instructions)
            .collect()
    }

    pub(crate) fn append_block(self, name: &str) -> Block<'m> {
        let context = llvm!(c::LLVMGetTypeContext(self.0.ty().raw()));
        let name = c_name(name);
        Block::from_raw(llvm!(c::LLVMAppendBasicBlockInContext(
            context,
            self.raw(),
            name.as_ptr()
        )))
    }

    pub(crate) fn set_name(self, name: &str) {
        llvm!(c::LLVMSetValueName2(
            self.raw(),
            name.as_ptr().cast(),
            name.len()
        ));
    }

    /// Has the optimiser go by how often branches go each way.
    pub(crate) fn trust_weights(self) {
        const KIND: &str = "prof";
        const TEXT: &str = "function_entry_count";
        let context = llvm!(c::LLVMGetTypeContext(c::LLVMTypeOf(self.raw())));
        let kind = llvm!(c::LLVMGetMDKindIDInContext(
            context,
            KIND.as_ptr().cast(),
            KIND.len() as u32
        ));
        let i64 = super::Types::of_type(self.value().ty()).i64;
        let count = llvm!(c::LLVMValueAsMetadata(i64.constant(1 << 10).raw()));
        let text = llvm!(c::LLVMMDStringInContext2(
            context,
            TEXT.as_ptr().cast(),
            TEXT.len()
        ));
        let mut parts = [text, count];
        let node = llvm!(c::LLVMMDNodeInContext2(
            context,
            parts.as_mut_ptr(),
            parts.len()
        ));
        llvm!(c::LLVMGlobalSetMetadata(self.raw(), kind, node));
    }

    pub(crate) fn set_linkage(self, linkage: LLVMLinkage) {
        llvm!(c::LLVMSetLinkage(self.raw(), linkage));
    }

    /// Removes all blocks, so that the function is a declaration.
    pub(crate) fn drop_body(self) {
        for block in self.blocks() {
            for instruction in block.instructions() {
                if instruction.ty().kind() != LLVMTypeKind::LLVMVoidTypeKind {
                    instruction.replace_all_uses_with(instruction.ty().poison());
                }
            }
        }
        for block in self.blocks() {
            for instruction in block.instructions().into_iter().rev() {
                instruction.erase();
            }
        }
        for block in self.blocks() {
            block.delete();
        }
        self.set_linkage(LLVMLinkage::LLVMExternalLinkage);
        self.remove_personality();
        llvm!(c::LLVMGlobalClearMetadata(self.raw()));
    }

    pub(crate) fn delete(self) {
        llvm!(c::LLVMDeleteFunction(self.raw()));
    }

    pub(crate) fn remove_personality(self) {
        llvm!(c::LLVMSetPersonalityFn(self.raw(), std::ptr::null_mut()));
    }

    /// Adds an attribute without a value, such as `nounwind`, to the function.
    pub(crate) fn add_attribute(self, name: &str) {
        self.add_valued_attribute(LLVMAttributeFunctionIndex, name, 0);
    }

    /// Adds an attribute to a parameter, counted from 0.
    pub(crate) fn add_parameter_attribute(self, parameter: u32, name: &str, value: u64) {
        self.add_valued_attribute(parameter + 1, name, value);
    }

    /// The value of a parameter's attribute, if it has that; 0 for those without values.
    pub(crate) fn parameter_attribute(self, parameter: u32, name: &str) -> Option<u64> {
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        let found = llvm!(c::LLVMGetEnumAttributeAtIndex(
            self.raw(),
            parameter + 1,
            kind
        ));
        (!found.is_null()).then(|| llvm!(c::LLVMGetEnumAttributeValue(found)))
    }

    /// Adds an attribute that names a type, such as `byval`, to a parameter.
    pub(crate) fn add_type_attribute(self, parameter: u32, name: &str, ty: Type<'_>) {
        let context = llvm!(c::LLVMGetTypeContext(self.0.ty().raw()));
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        let attribute = llvm!(c::LLVMCreateTypeAttribute(context, kind, ty.raw()));
        llvm!(c::LLVMAddAttributeAtIndex(
            self.raw(),
            parameter + 1,
            attribute
        ));
    }

    /// Adds an attribute that LLVM knows by text only to a parameter.
    pub(crate) fn add_parameter_text_attribute(self, parameter: u32, name: &str, value: &str) {
        self.set_text_attribute_at(parameter + 1, name, value);
    }

    fn add_valued_attribute(self, index: u32, name: &str, value: u64) {
        let context = llvm!(c::LLVMGetTypeContext(self.0.ty().raw()));
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        let attribute = llvm!(c::LLVMCreateEnumAttribute(context, kind, value));
        llvm!(c::LLVMAddAttributeAtIndex(self.raw(), index, attribute));
    }

    pub(crate) fn has_attribute(self, name: &str) -> bool {
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        !llvm!(c::LLVMGetEnumAttributeAtIndex(
            self.raw(),
            LLVMAttributeFunctionIndex,
            kind
        ))
        .is_null()
    }

    pub(crate) fn remove_attribute(self, name: &str) {
        let kind = llvm!(c::LLVMGetEnumAttributeKindForName(
            name.as_ptr().cast(),
            name.len()
        ));
        llvm!(c::LLVMRemoveEnumAttributeAtIndex(
            self.raw(),
            LLVMAttributeFunctionIndex,
            kind
        ));
    }

    /// Sets an attribute that LLVM knows by text only, such as `"target-cpu"`.
    pub(crate) fn set_text_attribute(self, name: &str, value: &str) {
        self.set_text_attribute_at(LLVMAttributeFunctionIndex, name, value);
    }

    fn set_text_attribute_at(self, index: u32, name: &str, value: &str) {
        let context = llvm!(c::LLVMGetTypeContext(self.0.ty().raw()));
        let attribute = llvm!(c::LLVMCreateStringAttribute(
            context,
            name.as_ptr().cast(),
            name.len() as u32,
            value.as_ptr().cast(),
            value.len() as u32
        ));
        llvm!(c::LLVMAddAttributeAtIndex(self.raw(), index, attribute));
    }

    /// The value of an attribute that LLVM knows by text only.
    pub(crate) fn text_attribute(self, name: &str) -> Option<String> {
        let attribute = llvm!(c::LLVMGetStringAttributeAtIndex(
            self.raw(),
            LLVMAttributeFunctionIndex,
            name.as_ptr().cast(),
            name.len() as u32
        ));
        if attribute.is_null() {
            return None;
        }
        let mut len = 0;
        let start = llvm!(c::LLVMGetStringAttributeValue(attribute, &mut len));
        let bytes = llvm!(std::slice::from_raw_parts(start.cast::<u8>(), len as usize));
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    pub(crate) fn remove_text_attribute(self, name: &str) {
        llvm!(c::LLVMRemoveStringAttributeAtIndex(
            self.raw(),
            LLVMAttributeFunctionIndex,
            name.as_ptr().cast(),
            name.len() as u32
        ));
    }
}
