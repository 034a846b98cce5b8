//! A kernel as LLVM IR, as plainly as a compiler's front end writes it.

use std::fmt::{self, Write as _};

use super::{
    APART, ARRAYS, Expr, INPUTS, OUTPUTS, Operation, Part, Place, Question, SHARED, SUMS, Step,
    Test, Type, VARIABLES,
};

/// Declarations and what comes before the steps. The block: inputs, outputs, sums, two of the
/// numbers, a zero, and the bounds.
const HEAD: &str = "
%panic = type { ptr, i64, ptr, i64, i32, i32 }
declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
declare i64 @legionella.grid_size(i32) nounwind willreturn nosync nofree speculatable memory(none)
declare void @legionella.panic(ptr) noreturn cold nounwind
declare void @llvm.lifetime.start.p0(ptr)
define void @kernel(ptr noundef readonly %block) nounwind {
entry:
";

/// What group kernels have besides: declarations.
const GROUP_HEAD: &str = "
declare i64 @legionella.local_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
declare i64 @legionella.group_size(i32) nounwind willreturn nosync nofree speculatable memory(none)
declare ptr @legionella.shared(i64, i64, i32) nounwind willreturn nosync nofree speculatable memory(none)
declare void @legionella.barrier(i32, ptr) convergent nounwind nofree
declare i32 @legionella.subgroup_shuffle(i32, i32, ptr) convergent nounwind nofree
declare i64 @legionella.subgroup_ballot(i32, ptr) convergent nounwind nofree
declare ptr @legionella.cpu.scratch(i64, i64)
declare void @llvm.trap()
@place = private constant i8 0
define void @legionella.alloc_error(i64 %align, i64 %size) noreturn {
  call void @llvm.trap()
  unreachable
}
define void @legionella.barrier_failed(ptr %place, ptr %other) noreturn {
  %record = alloca %panic
  store %panic { ptr null, i64 0, ptr null, i64 0, i32 9999, i32 0 }, ptr %record
  call void @legionella.panic(ptr %record)
  unreachable
}
";

/// What they begin with: the item's number in its group, its element of what is shared, and the parity
/// of the barriers before.
const GROUP_START: &str = "
  %shared = call ptr @legionella.shared(i64 4096, i64 8, i32 0)
  %local0 = call i64 @legionella.local_id(i32 0)
  %local1 = call i64 @legionella.local_id(i32 1)
  %local2 = call i64 @legionella.local_id(i32 2)
  %gs0 = call i64 @legionella.group_size(i32 0)
  %gs1 = call i64 @legionella.group_size(i32 1)
  %gs2 = call i64 @legionella.group_size(i32 2)
  %base0 = sub i64 %id0, %local0
  %base1 = sub i64 %id1, %local1
  %base2 = sub i64 %id2, %local2
  %left0 = sub i64 %size0, %base0
  %left1 = sub i64 %size1, %base1
  %left2 = sub i64 %size2, %base2
  %less0 = icmp ult i64 %gs0, %left0
  %less1 = icmp ult i64 %gs1, %left1
  %less2 = icmp ult i64 %gs2, %left2
  %extent0 = select i1 %less0, i64 %gs0, i64 %left0
  %extent1 = select i1 %less1, i64 %gs1, i64 %left1
  %extent2 = select i1 %less2, i64 %gs2, i64 %left2
  %len01 = mul i64 %extent0, %extent1
  %len = mul i64 %len01, %extent2
  %rank2 = mul i64 %local2, %extent1
  %rank1 = add i64 %rank2, %local1
  %rank1w = mul i64 %rank1, %extent0
  %rank = add i64 %rank1w, %local0
  %own0 = getelementptr i64, ptr %shared, i64 %rank
  %own1 = getelementptr i8, ptr %own0, i64 2048
  store i64 0, ptr %own0
  store i64 0, ptr %own1
  %parity = alloca i64
  store i64 0, ptr %parity
";

/// The IR of a kernel.
pub(in super::super) fn text(steps: &[Step], in_groups: bool) -> String {
    assert_eq!(8 * 2 * SHARED, 4096, "the size above");
    let mut writer = Writer {
        entry: String::new(),
        body: String::new(),
        values: 0,
        blocks: 0,
        loops: Vec::new(),
    };
    writer.start();
    if in_groups {
        writer.entry.push_str(GROUP_START);
        writer.step(&Step::Barrier(0));
    }
    writer.steps(steps);
    writer.line("ret void");
    let mut all = String::from(HEAD);
    if in_groups {
        all = all.replace(
            "define void @kernel",
            &format!("{GROUP_HEAD}define void @kernel"),
        );
        all = all.replace("nounwind {\nentry", "convergent nounwind {\nentry");
    }
    all.push_str(&writer.entry);
    all.push_str("  br label %start\nstart:\n");
    all.push_str(&writer.body);
    all.push_str("}\n");
    if steps.iter().any(calls) {
        let _ = writeln!(
            all,
            "define i64 @apart(i64 %value) noinline nounwind {{
  %low = and i64 %value, 63
  %bad = icmp eq i64 %low, 13
  br i1 %bad, label %panics, label %fine
panics:
  %record = alloca %panic
  store %panic {{ ptr null, i64 0, ptr null, i64 0, i32 {APART}, i32 0 }}, ptr %record
  call void @legionella.panic(ptr %record)
  unreachable
fine:
  %three = mul i64 %value, 3
  %high = ashr i64 %value, 7
  %result = xor i64 %three, %high
  ret i64 %result
}}"
        );
    }
    for width in [8, 16, 32, 64] {
        for name in ["smin", "umin", "uadd.sat", "usub.sat"] {
            let _ = writeln!(
                all,
                "declare i{width} @llvm.{name}.i{width}(i{width}, i{width})"
            );
        }
        for name in ["uadd", "umul"] {
            let _ = writeln!(
                all,
                "declare {{ i{width}, i1 }} @llvm.{name}.with.overflow.i{width}(i{width}, i{width})"
            );
        }
        for (float, short) in [("float", "f32"), ("double", "f64")] {
            let _ = writeln!(
                all,
                "declare i{width} @llvm.fptosi.sat.i{width}.{short}({float})"
            );
        }
    }
    all
}

/// Whether a step calls what isn't inlined.
fn calls(step: &Step) -> bool {
    match step {
        Step::Call(..) => true,
        Step::If(_, yes, no) => yes.iter().chain(no).any(calls),
        Step::While(_, _, steps) | Step::Until(_, _, steps) => steps.iter().any(calls),
        _ => false,
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Int(bits) => write!(f, "i{bits}"),
            Type::F32 => f.write_str("float"),
            Type::F64 => f.write_str("double"),
        }
    }
}

struct Writer {
    entry: String,
    body: String,
    values: usize,
    blocks: usize,
    /// Where `continue` and `break` lead, innermost loop last.
    loops: Vec<(usize, usize)>,
}

impl Writer {
    fn line(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.body, "  {line}");
    }

    fn value(&mut self, line: impl fmt::Display) -> String {
        self.values += 1;
        let name = format!("%v{}", self.values);
        let _ = writeln!(self.body, "  {name} = {line}");
        name
    }

    fn new_block(&mut self) -> usize {
        self.blocks += 1;
        self.blocks
    }

    fn begin(&mut self, block: usize) {
        let _ = writeln!(self.body, "b{block}:");
    }

    fn go(&mut self, block: usize) {
        self.line(format_args!("br label %b{block}"));
    }

    /// A block that nothing leads to, for what is written behind a jump.
    fn dead(&mut self) {
        let block = self.new_block();
        self.begin(block);
    }

    fn start(&mut self) {
        for (number, ty) in VARIABLES.iter().enumerate() {
            let _ = writeln!(self.entry, "  %x{number} = alloca {ty}");
        }
        for (number, (len, ty)) in ARRAYS.iter().enumerate() {
            let _ = writeln!(self.entry, "  %a{number} = alloca [{len} x {ty}]");
            let _ = writeln!(
                self.entry,
                "  call void @llvm.lifetime.start.p0(ptr %a{number})"
            );
            let _ = writeln!(
                self.entry,
                "  store [{len} x {ty}] zeroinitializer, ptr %a{number}"
            );
        }
        for (index, name) in ["inputs", "outputs", "sums"].iter().enumerate() {
            let _ = writeln!(
                self.entry,
                "  %{name}.at = getelementptr i8, ptr %block, i64 {}\n  \
                 %{name} = load ptr, ptr %{name}.at",
                8 * index
            );
        }
        self.entry.push_str(
            "  %arg0.at = getelementptr i8, ptr %block, i64 24
  %arg0 = load i64, ptr %arg0.at
  %arg1.at = getelementptr i8, ptr %block, i64 32
  %arg1 = load double, ptr %arg1.at
  %nothing.at = getelementptr i8, ptr %block, i64 40
  %nothing = load i64, ptr %nothing.at
  %arg2.at = getelementptr i8, ptr %block, i64 48
  %arg2 = load i64, ptr %arg2.at
  %arg3.at = getelementptr i8, ptr %block, i64 56
  %arg3 = load i64, ptr %arg3.at
  %id0 = call i64 @legionella.global_id(i32 0)
  %id1 = call i64 @legionella.global_id(i32 1)
  %id2 = call i64 @legionella.global_id(i32 2)
  %size0 = call i64 @legionella.grid_size(i32 0)
  %size1 = call i64 @legionella.grid_size(i32 1)
  %size2 = call i64 @legionella.grid_size(i32 2)
  %plane = mul i64 %id2, %size1
  %row = add i64 %plane, %id1
  %before = mul i64 %row, %size0
  %linear = add i64 %before, %id0
  %first.index = and i64 %linear, 63
  %first.at = getelementptr i64, ptr %inputs, i64 %first.index
  %first = load i64, ptr %first.at
  %mixed = xor i64 %first, %linear
",
        );
        assert_eq!(INPUTS, 64, "the mask above");
        for (number, ty) in VARIABLES.into_iter().enumerate() {
            let value = self.value(format_args!("add i64 %mixed, {number}"));
            let value = self.convert(value, Type::Int(64), ty);
            self.line(format_args!("store {ty} {value}, ptr %x{number}"));
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Set(variable, value) => {
                let ty = VARIABLES[*variable];
                let value = self.expr(value, ty);
                self.line(format_args!("store {ty} {value}, ptr %x{variable}"));
            }
            Step::SetElement(array, index, value) => {
                let (len, ty) = ARRAYS[*array];
                let value = self.expr(value, ty);
                let at = self.element(&format!("%a{array}"), ty, index, len);
                self.line(format_args!("store {ty} {value}, ptr {at}"));
            }
            Step::Output(place, ty, value) => {
                let ty = VARIABLES[*ty];
                let value = self.expr(value, ty);
                let bits = self.bits(value, ty);
                let at = self.own_output(*place);
                self.line(format_args!("store i64 {bits}, ptr {at}"));
            }
            Step::Count(place, variable, value) => {
                let value = self.expr(value, Type::Int(64));
                let at = self.own_output(*place);
                let old = self.value(format_args!(
                    "atomicrmw add ptr {at}, i64 {value} monotonic"
                ));
                let ty = VARIABLES[*variable];
                let old = self.convert(old, Type::Int(64), ty);
                self.line(format_args!("store {ty} {old}, ptr %x{variable}"));
            }
            Step::Call(variable, value) => {
                let value = self.expr(value, Type::Int(64));
                let result = self.value(format_args!("call i64 @apart(i64 {value})"));
                let ty = VARIABLES[*variable];
                let result = self.convert(result, Type::Int(64), ty);
                self.line(format_args!("store {ty} {result}, ptr %x{variable}"));
            }
            Step::Sum(index, value) => {
                let at = self.element("%sums", Type::Int(64), index, SUMS as u64);
                let value = self.expr(value, Type::Int(64));
                self.value(format_args!(
                    "atomicrmw add ptr {at}, i64 {value} monotonic"
                ));
            }
            Step::If(test, yes, no) => {
                let test = self.test(test);
                let [then, other, after] = [(); 3].map(|()| self.new_block());
                self.line(format_args!(
                    "br i1 {test}, label %b{then}, label %b{other}"
                ));
                self.begin(then);
                self.steps(yes);
                self.go(after);
                self.begin(other);
                self.steps(no);
                self.go(after);
                self.begin(after);
            }
            Step::While(test, most, steps) => {
                let turns = format!("%turns{}", self.blocks);
                let _ = writeln!(self.entry, "  {turns} = alloca i64");
                // A zero that the optimiser doesn't know, so that the loop stays one.
                self.line(format_args!("store i64 %nothing, ptr {turns}"));
                let [head, ask, inside, after] = [(); 4].map(|()| self.new_block());
                self.go(head);
                self.begin(head);
                let turn = self.value(format_args!("load i64, ptr {turns}"));
                let left = self.value(format_args!("icmp ult i64 {turn}, {most}"));
                self.line(format_args!("br i1 {left}, label %b{ask}, label %b{after}"));
                self.begin(ask);
                let next = self.value(format_args!("add i64 {turn}, 1"));
                self.line(format_args!("store i64 {next}, ptr {turns}"));
                let test = self.test(test);
                self.line(format_args!(
                    "br i1 {test}, label %b{inside}, label %b{after}"
                ));
                self.begin(inside);
                self.loops.push((head, after));
                self.steps(steps);
                self.loops.pop();
                self.go(head);
                self.begin(after);
            }
            Step::Until(test, most, steps) => {
                let turns = format!("%turns{}", self.blocks);
                let _ = writeln!(self.entry, "  {turns} = alloca i64");
                self.line(format_args!("store i64 %nothing, ptr {turns}"));
                let [inside, count, ask, after] = [(); 4].map(|()| self.new_block());
                self.go(inside);
                self.begin(inside);
                self.loops.push((count, after));
                self.steps(steps);
                self.loops.pop();
                self.go(count);
                self.begin(count);
                let turn = self.value(format_args!("load i64, ptr {turns}"));
                let next = self.value(format_args!("add i64 {turn}, 1"));
                self.line(format_args!("store i64 {next}, ptr {turns}"));
                let left = self.value(format_args!("icmp ult i64 {next}, {most}"));
                self.line(format_args!("br i1 {left}, label %b{ask}, label %b{after}"));
                self.begin(ask);
                let test = self.test(test);
                self.line(format_args!(
                    "br i1 {test}, label %b{inside}, label %b{after}"
                ));
                self.begin(after);
            }
            Step::Break(loops) | Step::Continue(loops) => {
                let target = self.loops.iter().rev().nth(*loops).copied();
                match (target, step) {
                    (Some((head, _)), Step::Continue(_)) => self.go(head),
                    (Some((_, after)), _) => self.go(after),
                    (None, _) => self.line("ret void"),
                }
                self.dead();
            }
            Step::Return => {
                self.line("ret void");
                self.dead();
            }
            Step::Barrier(label) => {
                self.line(format_args!(
                    "call void @legionella.barrier(i32 {label}, ptr @place)"
                ));
                let parity = self.value("load i64, ptr %parity");
                let next = self.value(format_args!("xor i64 {parity}, 1"));
                self.line(format_args!("store i64 {next}, ptr %parity"));
            }
            Step::Share(value) => {
                let value = self.expr(value, Type::Int(64));
                let parity = self.value("load i64, ptr %parity");
                let offset = self.value(format_args!("shl i64 {parity}, 11"));
                let at = self.value(format_args!("getelementptr i8, ptr %own0, i64 {offset}"));
                self.line(format_args!("store i64 {value}, ptr {at}"));
            }
            Step::Shuffle(variable, value, lane) => {
                let value = self.expr(value, Type::Int(32));
                let lane = self.expr(lane, Type::Int(32));
                let result = self.value(format_args!(
                    "call i32 @legionella.subgroup_shuffle(i32 {value}, i32 {lane}, ptr @place)"
                ));
                let ty = VARIABLES[*variable];
                let result = self.convert(result, Type::Int(32), ty);
                self.line(format_args!("store {ty} {result}, ptr %x{variable}"));
            }
            Step::Ballot(variable, test) => {
                let test = self.test(test);
                let bit = self.value(format_args!("zext i1 {test} to i32"));
                let result = self.value(format_args!(
                    "call i64 @legionella.subgroup_ballot(i32 {bit}, ptr @place)"
                ));
                let ty = VARIABLES[*variable];
                let result = self.convert(result, Type::Int(64), ty);
                self.line(format_args!("store {ty} {result}, ptr %x{variable}"));
            }
            Step::Panic(line, column) => {
                let column = self.expr(column, Type::Int(32));
                let record = format!("%panic{}", self.blocks);
                let _ = writeln!(self.entry, "  {record} = alloca %panic");
                self.line(format_args!("store %panic zeroinitializer, ptr {record}"));
                for (field, value) in [(4, line.to_string()), (5, column)] {
                    let at = self.value(format_args!(
                        "getelementptr %panic, ptr {record}, i64 0, i32 {field}"
                    ));
                    self.line(format_args!("store i32 {value}, ptr {at}"));
                }
                self.line(format_args!("call void @legionella.panic(ptr {record})"));
                self.line("unreachable");
                self.dead();
            }
        }
    }

    /// The address of a number that the item writes for itself.
    fn own_output(&mut self, place: usize) -> String {
        let first = self.value(format_args!("mul i64 %linear, {OUTPUTS}"));
        let index = self.value(format_args!("add i64 {first}, {place}"));
        self.value(format_args!("getelementptr i64, ptr %outputs, i64 {index}"))
    }

    fn element(&mut self, base: &str, ty: Type, index: &Expr, len: u64) -> String {
        let index = self.expr(index, Type::Int(64));
        let index = self.value(format_args!("and i64 {index}, {}", len - 1));
        self.value(format_args!("getelementptr {ty}, ptr {base}, i64 {index}"))
    }

    fn test(&mut self, test: &Test) -> String {
        let ty = VARIABLES[test.of];
        let left = self.expr(&test.left, ty);
        let right = self.expr(&test.right, ty);
        use Question::*;
        let operation = match (ty, test.question) {
            (Type::Int(_), Less) => "icmp slt",
            (Type::Int(_), Equal) => "icmp eq",
            (Type::Int(_), Differ) => "icmp ne",
            (Type::Int(_), Below) => "icmp ult",
            (Type::Int(_), AtMost) => "icmp ule",
            (Type::Int(_), Above) => "icmp ugt",
            (Type::Int(_), AtLeast) => "icmp uge",
            (Type::Int(_), SumOverflows | ProductOverflows) => {
                let name = match test.question {
                    SumOverflows => "uadd",
                    _ => "umul",
                };
                let both = self.value(format_args!(
                    "call {{ {ty}, i1 }} @llvm.{name}.with.overflow.{ty}({ty} {left}, {ty} {right})"
                ));
                return self.value(format_args!("extractvalue {{ {ty}, i1 }} {both}, 1"));
            }
            (_, Equal) => "fcmp oeq",
            (_, Differ) => "fcmp une",
            _ => "fcmp olt",
        };
        self.value(format_args!("{operation} {ty} {left}, {right}"))
    }

    fn expr(&mut self, expr: &Expr, ty: Type) -> String {
        match expr {
            Expr::Constant(value) => self.convert(value.to_string(), Type::Int(64), ty),
            Expr::Variable(variable) => {
                let of = VARIABLES[*variable];
                let value = self.value(format_args!("load {of}, ptr %x{variable}"));
                self.convert(value, of, ty)
            }
            Expr::Id(dimension) => self.convert(format!("%id{dimension}"), Type::Int(64), ty),
            Expr::Argument(0) => self.convert("%arg0".to_owned(), Type::Int(64), ty),
            Expr::Argument(1) => self.convert("%arg1".to_owned(), Type::F64, ty),
            Expr::Argument(bound) => self.convert(format!("%arg{bound}"), Type::Int(64), ty),
            Expr::Place(place) => {
                let name = match place {
                    Place::Linear => "%linear".to_owned(),
                    Place::Grid(dimension) => format!("%size{dimension}"),
                    Place::Local(dimension) => format!("%local{dimension}"),
                    Place::Rank => "%rank".to_owned(),
                    Place::Group(dimension) => format!("%gs{dimension}"),
                };
                self.convert(name, Type::Int(64), ty)
            }
            Expr::Input(index) => {
                let at = self.element("%inputs", Type::Int(64), index, INPUTS as u64);
                let value = self.value(format_args!("load i64, ptr {at}"));
                self.convert(value, Type::Int(64), ty)
            }
            Expr::Element(array, index) => {
                let (len, of) = ARRAYS[*array];
                let at = self.element(&format!("%a{array}"), of, index, len);
                let value = self.value(format_args!("load {of}, ptr {at}"));
                self.convert(value, of, ty)
            }
            Expr::Shared(index) => {
                let index = self.expr(index, Type::Int(64));
                let index = self.value(format_args!("urem i64 {index}, %len"));
                let parity = self.value("load i64, ptr %parity");
                let other = self.value(format_args!("xor i64 {parity}, 1"));
                let offset = self.value(format_args!("shl i64 {other}, 11"));
                let base = self.value(format_args!("getelementptr i8, ptr %shared, i64 {offset}"));
                let at = self.value(format_args!("getelementptr i64, ptr {base}, i64 {index}"));
                let value = self.value(format_args!("load i64, ptr {at}"));
                self.convert(value, Type::Int(64), ty)
            }
            Expr::Binary(operation, left, right) => {
                let left = self.expr(left, ty);
                let right = self.expr(right, ty);
                self.binary(*operation, ty, &left, &right)
            }
            Expr::Choose(test, yes, no) => {
                let yes = self.expr(yes, ty);
                let no = self.expr(no, ty);
                let test = self.test(test);
                self.value(format_args!("select i1 {test}, {ty} {yes}, {ty} {no}"))
            }
            Expr::As(other, value) => {
                let other = VARIABLES[*other];
                let value = self.expr(value, other);
                self.convert(value, other, ty)
            }
            Expr::Unsigned(other, value) => {
                let other = VARIABLES[*other];
                let value = self.expr(value, other);
                match (other, ty) {
                    (Type::Int(a), Type::Int(b)) if a < b => {
                        self.value(format_args!("zext {other} {value} to {ty}"))
                    }
                    _ => self.convert(value, other, ty),
                }
            }
            Expr::Part(part, by, value) => {
                let value = self.expr(value, ty);
                let Type::Int(bits) = ty else {
                    return value;
                };
                let by = by % bits;
                let low = (1u64 << by) - 1;
                let (name, operand) = match part {
                    Part::Low => ("and", low),
                    Part::Multiple => ("and", !low & (u64::MAX >> (64 - bits))),
                    Part::High => ("lshr", u64::from(by)),
                    Part::Quotient => ("udiv", 1 << by),
                    Part::Remainder => ("urem", 1 << by),
                };
                self.value(format_args!("{name} {ty} {value}, {operand}"))
            }
        }
    }

    fn binary(&mut self, operation: Operation, ty: Type, left: &str, right: &str) -> String {
        use Operation::*;
        let Type::Int(bits) = ty else {
            let name = match operation {
                Add | And | Shl | UpTo => "fadd",
                Sub | Or | Lshr | DownTo => "fsub",
                Mul | Xor | Ashr => "fmul",
                Div | Rem => "fdiv",
                Least | Lowest => {
                    let less = self.value(format_args!("fcmp olt {ty} {left}, {right}"));
                    return self.value(format_args!("select i1 {less}, {ty} {left}, {ty} {right}"));
                }
            };
            return self.value(format_args!("{name} {ty} {left}, {right}"));
        };
        let (name, right) = match operation {
            Add => ("add", right.to_owned()),
            Sub => ("sub", right.to_owned()),
            Mul => ("mul", right.to_owned()),
            And => ("and", right.to_owned()),
            Or => ("or", right.to_owned()),
            Xor => ("xor", right.to_owned()),
            Div => ("udiv", self.value(format_args!("or {ty} {right}, 1"))),
            Rem => ("urem", self.value(format_args!("or {ty} {right}, 1"))),
            Shl => (
                "shl",
                self.value(format_args!("and {ty} {right}, {}", bits - 1)),
            ),
            Lshr => (
                "lshr",
                self.value(format_args!("and {ty} {right}, {}", bits - 1)),
            ),
            Ashr => (
                "ashr",
                self.value(format_args!("and {ty} {right}, {}", bits - 1)),
            ),
            Least | Lowest | UpTo | DownTo => {
                let name = match operation {
                    Least => "smin",
                    Lowest => "umin",
                    UpTo => "uadd.sat",
                    _ => "usub.sat",
                };
                return self.value(format_args!(
                    "call {ty} @llvm.{name}.{ty}({ty} {left}, {ty} {right})"
                ));
            }
        };
        self.value(format_args!("{name} {ty} {left}, {right}"))
    }

    fn convert(&mut self, value: String, from: Type, to: Type) -> String {
        let short = |ty| if ty == Type::F32 { "f32" } else { "f64" };
        let operation = match (from, to) {
            _ if from == to => return value,
            (Type::Int(a), Type::Int(b)) if a > b => "trunc",
            (Type::Int(_), Type::Int(_)) => "sext",
            (Type::Int(_), _) => "sitofp",
            (Type::F32, Type::F64) => "fpext",
            (Type::F64, Type::F32) => "fptrunc",
            (_, Type::Int(_)) => {
                let name = format!("llvm.fptosi.sat.{to}.{}", short(from));
                return self.value(format_args!("call {to} @{name}({from} {value})"));
            }
            _ => return value,
        };
        self.value(format_args!("{operation} {from} {value} to {to}"))
    }

    /// The bits of a value in 64; those of all that are no number are alike.
    fn bits(&mut self, value: String, ty: Type) -> String {
        let bits = match ty {
            Type::Int(_) => return self.convert(value, ty, Type::Int(64)),
            Type::F32 => "i32",
            Type::F64 => "i64",
        };
        let none = self.value(format_args!("fcmp uno {ty} {value}, {value}"));
        let raw = self.value(format_args!("bitcast {ty} {value} to {bits}"));
        let wide = match ty {
            Type::F32 => self.value(format_args!("zext i32 {raw} to i64")),
            _ => raw,
        };
        self.value(format_args!("select i1 {none}, i64 1, i64 {wide}"))
    }
}
