//! Binds products of bands of matrices ([`legionella_abi::intrinsic::MATRIX_BAND_F16`] and its like) to `wgmma`, by
//! which four warps multiply what is in shared memory (PTX ISA, "Asynchronous Warpgroup Level Matrix
//! Multiply-Accumulate Instructions").
//!
//! Takes an entry shim; the text of the instructions depends on how many columns a band has, and is made here. The
//! lanes' parts of a sum are those of `legionella_device::matrix::Sum` one behind the other (PTX ISA, "Matrix
//! fragments for wgmma.mma_async.m64nNk16", of D), and the arrangement of rows of 128 bytes in
//! `legionella_device::matrix::Tile` is the 128-byte swizzling mode of PTX ISA, "Swizzling modes".

use std::fmt::Write;

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::super::meetings::calls;
use super::internal;
use crate::error::Error;
use crate::ir::{Builder, Type, Types, Value};

/// All operations on bands.
pub(super) const OPERATIONS: [&str; 7] = [
    intrinsic::MATRIX_BAND_F16,
    intrinsic::MATRIX_BAND_BF16,
    intrinsic::MATRIX_BAND_TF32,
    intrinsic::MATRIX_BAND_I8,
    intrinsic::MATRIX_BAND_U8,
    intrinsic::MATRIX_BAND_STEP,
    intrinsic::MATRIX_BAND_END,
];

/// Bytes to which what is multiplied is aligned: as many as the pattern of the 128-byte mode has.
pub(super) const ALIGNMENT: u64 = 1024;

/// LLVM's number of the address space of shared memory.
const SHARED: u32 = 3;

/// Waits for all products.
const END: &str = "wgmma.wait_group.sync.aligned 0;";

/// An instruction: its operation, its depth and types, and what follows its operands.
struct Form {
    name: &'static str,
    types: &'static str,
    floats: bool,
    /// Whether products are added or subtracted, by 1 or -1, and whether matrices are transposed, by 0 or 1.
    behind: &'static str,
}

const FORMS: [Form; 5] = [
    Form {
        name: intrinsic::MATRIX_BAND_F16,
        types: "k16.f32.f16.f16",
        floats: true,
        behind: ", 1, 1, 0, 0",
    },
    Form {
        name: intrinsic::MATRIX_BAND_BF16,
        types: "k16.f32.bf16.bf16",
        floats: true,
        behind: ", 1, 1, 0, 0",
    },
    Form {
        name: intrinsic::MATRIX_BAND_TF32,
        types: "k8.f32.tf32.tf32",
        floats: true,
        behind: ", 1, 1",
    },
    Form {
        name: intrinsic::MATRIX_BAND_I8,
        types: "k32.s32.s8.s8",
        floats: false,
        behind: "",
    },
    Form {
        name: intrinsic::MATRIX_BAND_U8,
        types: "k32.s32.u8.u8",
        floats: false,
        behind: "",
    },
];

/// Whether a shim has products of bands.
pub(super) fn are_used(module: &Module<'_>) -> bool {
    FORMS
        .iter()
        .any(|form| !calls(module, form.name).is_empty())
}

/// Binds the operations, if there are any.
pub(super) fn bind(module: &Module<'_>) -> Result<(), Error> {
    let types = Types::of(module);
    for form in &FORMS {
        for call in calls(module, form.name) {
            let at = Builder::before(call);
            let [left, right, columns, sum, ..] = call.operands()[..] else {
                return Err(internal(format!("{} of other operands", form.name)));
            };
            let columns = constant(columns)?;
            let sums = Sums::load(&at, &types, sum, columns / 2, form.floats);
            let matrices = [
                descriptor(&at, &types, left),
                descriptor(&at, &types, right),
            ];
            sums.pass_through(&at, &text(form, columns), &matrices);
            call.erase();
        }
    }
    for call in calls(module, intrinsic::MATRIX_BAND_STEP) {
        let text = "wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 1;";
        let at = Builder::before(call);
        together(at.assembly(text, "~{memory}", types.void, &[]));
        call.erase();
    }
    for call in calls(module, intrinsic::MATRIX_BAND_END) {
        let at = Builder::before(call);
        let [columns, floats, sum, ..] = call.operands()[..] else {
            return Err(internal("the end of products of other operands".to_owned()));
        };
        let floats = constant(floats)? != 0;
        let sums = Sums::load(&at, &types, sum, constant(columns)? / 2, floats);
        sums.pass_through(&at, END, &[]);
        call.erase();
    }
    Ok(())
}

/// Waits for all products that are under way, whose sums nobody looks at.
pub(super) fn end<'m>(at: &Builder<'m>, types: &Types<'m>) {
    together(at.assembly(END, "~{memory}", types.void, &[]));
}

fn constant(value: Value<'_>) -> Result<u64, Error> {
    let number = value.constant_integer();
    number.ok_or_else(|| internal("a product of bands of no constant size".to_owned()))
}

/// Threads of a warp come to it together, and it isn't to be repeated.
fn together(call: Value<'_>) {
    call.add_call_attribute("convergent");
    call.add_call_attribute("nounwind");
}

/// What a lane has of a sum, read from where it is.
struct Sums<'m> {
    places: Vec<Value<'m>>,
    values: Vec<Value<'m>>,
    element: Type<'m>,
    /// The constraint of a register for it.
    register: &'static str,
}

impl<'m> Sums<'m> {
    fn load(
        at: &Builder<'m>,
        types: &Types<'m>,
        start: Value<'m>,
        count: u64,
        floats: bool,
    ) -> Self {
        let element = if floats { types.f32 } else { types.i32 };
        let place = |index| at.element(element, start, types.i64.constant(index));
        let places: Vec<_> = (0..count).map(place).collect();
        Sums {
            values: places
                .iter()
                .map(|place| at.load(element, *place))
                .collect(),
            places,
            element,
            register: if floats { "=f" } else { "=r" },
        }
    }

    /// Has instructions change it in the registers that it is in, and stores it again.
    fn pass_through(mut self, at: &Builder<'m>, text: &str, others: &[Value<'m>]) {
        let count = self.values.len();
        let mut constraints = vec![self.register.to_owned(); count];
        constraints.extend((0..count).map(|index| index.to_string()));
        constraints.extend(others.iter().map(|_| "l".to_owned()));
        constraints.push("~{memory}".to_owned());
        let result = Type::structure(&vec![self.element; count], self.element);
        self.values.extend(others);
        let changed = at.assembly(text, &constraints.join(","), result, &self.values);
        together(changed);
        for (index, place) in (0..).zip(self.places) {
            at.store(at.extract(changed, index), place);
        }
    }
}

/// Where a matrix is, as the instructions want it (PTX ISA, "Matrix Descriptor Format"): rows of 128 bytes by the
/// 128-byte mode, of which 8 are 1,024 bytes.
fn descriptor<'m>(at: &Builder<'m>, types: &Types<'m>, matrix: Value<'m>) -> Value<'m> {
    /// Of 16 bytes each, as are addresses: a number that has no meaning in this mode, and the distance of 8 rows.
    const LEADING: u64 = 1 << 16;
    const STRIDE: u64 = (ALIGNMENT / 16) << 32;
    const MODE: u64 = 1 << 62;
    let shared = types.ptr.pointer_in(SHARED);
    let address = at.cast(LLVMOpcode::LLVMAddrSpaceCast, matrix, shared);
    let address = at.cast(LLVMOpcode::LLVMPtrToInt, address, types.i32);
    let within = at.binary(LLVMOpcode::LLVMAnd, address, types.i32.constant(0x3_ffff));
    let strips = at.binary(LLVMOpcode::LLVMLShr, within, types.i32.constant(4));
    let strips = at.zero_extend(strips, types.i64);
    let rest = types.i64.constant(LEADING | STRIDE | MODE);
    at.binary(LLVMOpcode::LLVMOr, strips, rest)
}

/// The instructions for a depth of 128 bytes, each for 32 of them.
fn text(form: &Form, columns: u64) -> String {
    let count = columns / 2;
    let sums: Vec<String> = (0..count).map(|index| format!("${index}")).collect();
    let sums = sums.join(", ");
    let (left, right) = (2 * count, 2 * count + 1);
    let mut text = "{\n\t.reg .pred more;\n\t.reg .b64 left, right;\n\tsetp.ne.b32 more, 1, 0;\n\t\
                    wgmma.fence.sync.aligned;\n\t"
        .to_owned();
    for strips in [0, 2, 4, 6] {
        // Writing to a `String` doesn't fail.
        let _ = write!(
            text,
            "add.s64 left, ${left}, {strips};\n\tadd.s64 right, ${right}, {strips};\n\t\
             wgmma.mma_async.sync.aligned.m64n{columns}{} {{{sums}}}, left, right, more{};\n\t",
            form.types, form.behind
        );
    }
    text.push('}');
    text
}
