//! The values of all lanes, and of one, and the code of what differs from lane to lane.

use llvm_sys::LLVMOpcode;
use llvm_sys::LLVMTypeKind;
use llvm_sys::core as c;

use super::super::forms::{Form, is_called};
use super::FIRST_MATTERS;
use super::code::Writer;
use crate::ir::{self, Builder, Function, Type, Value, llvm};

impl<'m> Writer<'_, '_, '_, 'm> {
    /// The first lane's value.
    pub(super) fn scalar(&self, value: Value<'m>, row: u64) -> Value<'m> {
        self.first.get(value, row).unwrap_or(value)
    }

    /// The vector of what differs from lane to lane.
    fn known(&self, value: Value<'m>, row: u64) -> Value<'m> {
        let ty = value.ty().vector(self.lanes);
        self.all.get(value, row).unwrap_or_else(|| ty.poison())
    }

    /// The values of all lanes.
    pub(super) fn vector(&self, at: &Builder<'m>, value: Value<'m>, row: u64) -> Value<'m> {
        self.vector_from(at, value, row, self.scalar(value, row))
    }

    /// The same by the first lane's, where lanes have the same or it grows.
    pub(super) fn vector_from(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        row: u64,
        first: Value<'m>,
    ) -> Value<'m> {
        match self.form(value) {
            Form::Each => self.known(value, row),
            Form::Same => at.splat(first, self.lanes),
            Form::Step(step) => {
                let ty = first.ty();
                let number = if ty.integer_width() > 0 {
                    ty
                } else {
                    self.types.i64
                };
                let steps = (0..self.lanes).map(|lane| number.constant(step.wrapping_mul(lane)));
                let steps = Value::vector(&steps.collect::<Vec<_>>());
                if ty.integer_width() > 0 {
                    let first = at.splat(first, self.lanes);
                    at.binary(LLVMOpcode::LLVMAdd, first, steps)
                } else {
                    at.address(self.types.i8, first, &[steps])
                }
            }
        }
    }

    /// The value of one lane.
    pub(super) fn lane(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        lane: u64,
        row: u64,
    ) -> Value<'m> {
        self.lane_from(at, value, lane, row, self.scalar(value, row))
    }

    /// The same by the first lane's.
    pub(super) fn lane_from(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        lane: u64,
        row: u64,
        first: Value<'m>,
    ) -> Value<'m> {
        match self.form(value) {
            Form::Each => at.element_of(self.known(value, row), self.types.i32.constant(lane)),
            Form::Same => first,
            Form::Step(step) => {
                let ty = first.ty();
                let by = step.wrapping_mul(lane);
                if ty.integer_width() > 0 {
                    at.binary(LLVMOpcode::LLVMAdd, first, ty.constant(by))
                } else {
                    at.address(self.types.i8, first, &[self.types.i64.constant(by)])
                }
            }
        }
    }

    /// The vector of an instruction's results.
    pub(super) fn each(&self, at: &Builder<'m>, value: Value<'m>, row: u64) -> Value<'m> {
        use LLVMOpcode::*;
        let all = |index| self.vector(at, value.operand(index), row);
        let ty = value.ty().vector(self.lanes);
        let result = match value.opcode() {
            Some(LLVMLoad) => return self.load(at, value, row),
            Some(LLVMCall) => self.call(at, value, row),
            Some(LLVMICmp) => {
                let predicate = llvm!(c::LLVMGetICmpPredicate(value.raw()));
                at.compare(predicate, all(0), all(1))
            }
            Some(LLVMFCmp) => {
                let predicate = llvm!(c::LLVMGetFCmpPredicate(value.raw()));
                at.compare_floats(predicate, all(0), all(1))
            }
            Some(LLVMSelect) => {
                let test = value.operand(0);
                let test = match self.form(test) {
                    Form::Same => self.scalar(test, row),
                    _ => self.vector(at, test, row),
                };
                at.select(test, all(1), all(2))
            }
            Some(LLVMFNeg) => at.negate_float(all(0)),
            Some(LLVMFreeze) => at.freeze(all(0)),
            Some(LLVMGetElementPtr) => {
                let element = llvm!(c::LLVMGetGEPSourceElementType(value.raw()));
                let part = |operand: Value<'m>| match self.form(operand) {
                    Form::Same => self.scalar(operand, row),
                    _ => self.vector(at, operand, row),
                };
                let parts: Vec<_> = value.operands().into_iter().map(part).collect();
                at.address(Type::from_raw(element), parts[0], &parts[1..])
            }
            Some(opcode) if value.operands().len() == 1 => at.cast(opcode, all(0), ty),
            Some(opcode) => at.binary(opcode, all(0), all(1)),
            None => ty.poison(),
        };
        result.take_float_rules(value);
        result
    }

    fn call(&self, at: &Builder<'m>, value: Value<'m>, row: u64) -> Value<'m> {
        let module = self.machine.site.module;
        let name = value
            .called_function()
            .map(Function::name)
            .unwrap_or_default();
        let mut operands = value.operands();
        // The last is the function.
        operands.pop();
        let mut variant = vec![value.ty().vector(self.lanes)];
        if is_called(value, "fptosi.sat") || is_called(value, "fptoui.sat") {
            variant.push(operands[0].ty().vector(self.lanes));
        }
        let has_switch = ["abs", "ctlz", "cttz"]
            .iter()
            .any(|name| is_called(value, name));
        let arguments = operands.iter().enumerate().map(|(index, operand)| {
            if has_switch && index == 1 {
                *operand
            } else {
                self.vector(at, *operand, row)
            }
        });
        let arguments: Vec<_> = arguments.collect();
        at.call(
            ir::intrinsic(module, base_name(&name), &variant),
            &arguments,
        )
    }

    /// Whether an address is that of neighbouring elements of a type.
    fn is_dense(&self, address: Value<'m>, ty: Type<'m>) -> bool {
        let bytes = match ty.kind() {
            LLVMTypeKind::LLVMIntegerTypeKind => {
                let width = ty.integer_width();
                if width < 8 || !width.is_power_of_two() {
                    return false;
                }
                u64::from(width / 8)
            }
            LLVMTypeKind::LLVMHalfTypeKind => 2,
            LLVMTypeKind::LLVMFloatTypeKind => 4,
            LLVMTypeKind::LLVMDoubleTypeKind | LLVMTypeKind::LLVMPointerTypeKind => 8,
            _ => return false,
        };
        self.form(address) == Form::Step(bytes)
    }

    fn load(&self, at: &Builder<'m>, load: Value<'m>, row: u64) -> Value<'m> {
        let (address, ty) = (load.operand(0), load.ty());
        if self.is_dense(address, ty) {
            let all = at.load(ty.vector(self.lanes), self.scalar(address, row));
            all.set_alignment(load.alignment());
            return all;
        }
        let mut all = ty.vector(self.lanes).poison();
        for lane in 0..self.lanes {
            let one = load.duplicate();
            one.set_operand(0, self.lane(at, address, lane, row));
            at.insert(one);
            all = at.with_element(all, self.types.i32.constant(lane), one);
        }
        all
    }

    pub(super) fn store(&self, at: &Builder<'m>, store: Value<'m>) {
        let (value, address) = (store.operand(0), store.operand(1));
        let one = |row, lane| {
            let copy = store.duplicate();
            copy.set_operand(0, self.lane(at, value, lane, row));
            copy.set_operand(1, self.lane(at, address, lane, row));
            at.insert(copy);
        };
        if store.has_metadata(FIRST_MATTERS) {
            return one(0, 0);
        }
        let (rows, last) = (self.rows(address), self.all_rows().end - 1);
        // Of those that write to one place, the last does.
        let rows = if rows.end == 1 { last..last + 1 } else { rows };
        for row in rows {
            if self.form(address) == Form::Same {
                one(row, self.lanes - 1);
            } else if self.is_dense(address, value.ty()) {
                let all = self.vector(at, value, row);
                let all = at.store(all, self.scalar(address, row));
                all.set_alignment(store.alignment());
            } else {
                (0..self.lanes).for_each(|lane| one(row, lane));
            }
        }
    }
}

/// The name of an intrinsic without the types that it is of.
fn base_name(name: &str) -> &str {
    let mut end = name.len();
    let is_type = |part: &str| {
        let rest = part.trim_start_matches(['i', 'f', 'p']);
        rest.len() < part.len() && rest.chars().all(|digit| digit.is_ascii_digit())
    };
    while let Some((before, last)) = name[..end].rsplit_once('.')
        && is_type(last)
    {
        end = before.len();
    }
    &name[..end]
}
