//! What a kernel means: each item by itself, step by step.

use std::ops::{Add, Div, Mul, Sub};

use super::{
    APART, ARRAYS, Expr, INPUTS, OUTPUTS, Operation, Part, Place, Question, SUMS, Step, Test, Type,
    VARIABLES, apart, start,
};
use crate::target::cpu::trial::Panicked;

/// What kernels read and write.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Memory {
    pub(in super::super) inputs: Vec<i64>,
    pub(in super::super) integer: i64,
    pub(in super::super) float: f64,
    pub(in super::super) bounds: [i64; 2],
    /// [`OUTPUTS`] numbers of each item.
    pub(in super::super) outputs: Vec<u64>,
    pub(in super::super) sums: Vec<u64>,
}

/// Where an item is.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct At {
    pub(in super::super) id: [u64; 3],
    /// Its number in the grid.
    pub(in super::super) linear: u64,
    pub(in super::super) grid: [u64; 3],
    pub(in super::super) group: [u64; 3],
}

/// Runs one item of a grid.
pub(in super::super) fn run(steps: &[Step], memory: &mut Memory, at: At) -> Result<(), Panicked> {
    match Item::new(memory, at, None).steps(steps) {
        Leave::Panic(line, column) => Err(Panicked {
            item: at.id,
            line,
            column,
        }),
        _ => Ok(()),
    }
}

/// What an item of a group does again from its start, up to where it waits next: it gets what it got
/// before, and changes nothing before it is where it was.
pub(super) struct Playback<'a> {
    pub(super) rank: usize,
    /// Items of the group.
    pub(super) len: usize,
    /// What items share, by the parity of the barriers before.
    pub(super) shared: &'a mut [Vec<i64>; 2],
    /// What it has read of that so far.
    pub(super) read: &'a mut Vec<i64>,
    /// What each operation with others yielded that it is behind of.
    pub(super) yielded: &'a [u64],
    /// How many of both it has come by again, and how many of them were barriers.
    pub(super) again: (usize, usize),
    pub(super) barriers: usize,
}

impl Playback<'_> {
    /// Whether it is where it was.
    fn is_live(&self) -> bool {
        self.again.1 == self.yielded.len()
    }

    /// What an operation yielded; `None` if it is to be waited for.
    fn operate(&mut self) -> Option<u64> {
        let result = self.yielded.get(self.again.1).copied();
        self.again.1 += usize::from(result.is_some());
        result
    }

    fn read(&mut self, index: u64) -> i64 {
        let place = self.again.0;
        self.again.0 += 1;
        if let Some(known) = self.read.get(place) {
            return *known;
        }
        let value = self.shared[(self.barriers + 1) % 2][(index % self.len as u64) as usize];
        self.read.push(value);
        value
    }
}

/// What an item waits for, with what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Barrier(u32),
    Shuffle(u32, u32),
    Ballot(bool),
}

/// A value of any type.
#[derive(Clone, Copy, Debug)]
enum Number {
    /// Of that many bits, sign-extended.
    Int(i64, u32),
    F32(f32),
    F64(f64),
}

/// How steps end.
pub(super) enum Leave {
    Go,
    Break(usize),
    Continue(usize),
    Return,
    Panic(u32, u32),
    Wait(Wait),
}

fn narrow(value: i64, bits: u32) -> i64 {
    value << (64 - bits) >> (64 - bits)
}

fn saturate(value: f64, bits: u32) -> i64 {
    let most = (i64::MAX >> (64 - bits)) as i128;
    (value as i128).clamp(-most - 1, most) as i64
}

impl Number {
    fn of(value: i64, ty: Type) -> Self {
        Number::Int(value, 64).to(ty)
    }

    fn to(self, ty: Type) -> Self {
        match (self, ty) {
            (Number::Int(value, _), Type::Int(bits)) => Number::Int(narrow(value, bits), bits),
            (Number::Int(value, _), Type::F32) => Number::F32(value as f32),
            (Number::Int(value, _), Type::F64) => Number::F64(value as f64),
            (Number::F32(value), Type::Int(bits)) => {
                Number::Int(saturate(f64::from(value), bits), bits)
            }
            (Number::F64(value), Type::Int(bits)) => Number::Int(saturate(value, bits), bits),
            (Number::F32(value), Type::F64) => Number::F64(f64::from(value)),
            (Number::F64(value), Type::F32) => Number::F32(value as f32),
            (same, _) => same,
        }
    }

    fn integer(self) -> i64 {
        match self.to(Type::Int(64)) {
            Number::Int(value, _) => value,
            _ => 0,
        }
    }

    /// The bits as they are written to memory: all that are no number look alike.
    fn bits(self) -> u64 {
        match self {
            Number::Int(value, _) => value as u64,
            Number::F32(value) if value.is_nan() => 1,
            Number::F32(value) => u64::from(value.to_bits()),
            Number::F64(value) if value.is_nan() => 1,
            Number::F64(value) => value.to_bits(),
        }
    }

    fn operate(self, operation: Operation, other: Number) -> Number {
        use Operation::*;
        match (self, other) {
            (Number::Int(a, bits), Number::Int(b, _)) => {
                let mask = u64::MAX >> (64 - bits);
                let (ua, ub) = (a as u64 & mask, b as u64 & mask);
                let shift = ub as u32 % bits;
                let result = match operation {
                    Add => a.wrapping_add(b),
                    Sub => a.wrapping_sub(b),
                    Mul => a.wrapping_mul(b),
                    Div => (ua / (ub | 1)) as i64,
                    Rem => (ua % (ub | 1)) as i64,
                    And => a & b,
                    Or => a | b,
                    Xor => a ^ b,
                    Shl => a << shift,
                    Lshr => (ua >> shift) as i64,
                    Ashr => a >> shift,
                    Least => a.min(b),
                    Lowest => ua.min(ub) as i64,
                    UpTo => ua.checked_add(ub).map_or(mask, |sum| sum.min(mask)) as i64,
                    DownTo => ua.saturating_sub(ub) as i64,
                };
                Number::Int(narrow(result, bits), bits)
            }
            (Number::F32(a), Number::F32(b)) => Number::F32(floating(operation, a, b)),
            (Number::F64(a), Number::F64(b)) => Number::F64(floating(operation, a, b)),
            _ => unreachable!("both sides were asked for in one type"),
        }
    }

    fn answer(self, question: Question, other: Number) -> bool {
        use Question::*;
        fn floats<T: PartialOrd>(question: Question, a: T, b: T) -> bool {
            match question {
                Equal => a == b,
                Differ => a != b,
                _ => a < b,
            }
        }
        match (self, other) {
            (Number::Int(a, bits), Number::Int(b, _)) => {
                let mask = u64::MAX >> (64 - bits);
                let (ua, ub) = (a as u64 & mask, b as u64 & mask);
                let (wide, other) = (u128::from(ua), u128::from(ub));
                match question {
                    Less => a < b,
                    Equal => a == b,
                    Differ => a != b,
                    Below => ua < ub,
                    AtMost => ua <= ub,
                    Above => ua > ub,
                    AtLeast => ua >= ub,
                    SumOverflows => wide + other > u128::from(mask),
                    ProductOverflows => wide * other > u128::from(mask),
                }
            }
            (Number::F32(a), Number::F32(b)) => floats(question, a, b),
            (Number::F64(a), Number::F64(b)) => floats(question, a, b),
            _ => unreachable!("both sides were asked for in one type"),
        }
    }

    /// A part of it by `1 << by`.
    fn part(self, part: Part, by: u32) -> Number {
        let Number::Int(value, bits) = self else {
            return self;
        };
        let value = value as u64 & (u64::MAX >> (64 - bits));
        let by = by % bits;
        let found = match part {
            Part::Low | Part::Remainder => value & ((1 << by) - 1),
            Part::Multiple => value >> by << by,
            Part::High | Part::Quotient => value >> by,
        };
        Number::Int(narrow(found as i64, bits), bits)
    }

    /// The same bits without a sign, as a number of a type.
    fn unsigned(self, ty: Type) -> Number {
        match (self, ty) {
            (Number::Int(value, bits), Type::Int(_)) => {
                Number::of((value as u64 & (u64::MAX >> (64 - bits))) as i64, ty)
            }
            (other, _) => other.to(ty),
        }
    }
}

pub(super) struct Item<'a> {
    memory: &'a mut Memory,
    group: Option<Playback<'a>>,
    at: At,
    variables: [Number; 8],
    arrays: [Vec<Number>; 2],
}

/// An operation on floats of either width.
fn floating<T>(operation: Operation, a: T, b: T) -> T
where
    T: Copy + PartialOrd + Add<Output = T> + Sub<Output = T> + Mul<Output = T> + Div<Output = T>,
{
    use Operation::*;
    match operation {
        Add | And | Shl | UpTo => a + b,
        Sub | Or | Lshr | DownTo => a - b,
        Mul | Xor | Ashr => a * b,
        Div | Rem => a / b,
        Least | Lowest => {
            if a < b {
                a
            } else {
                b
            }
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn new(memory: &'a mut Memory, at: At, group: Option<Playback<'a>>) -> Self {
        let linear = at.linear;
        let first = memory.inputs[linear as usize % INPUTS];
        Item {
            memory,
            group,
            at,
            variables: [0, 1, 2, 3, 4, 5, 6, 7]
                .map(|variable| Number::of(start(variable, first, linear), VARIABLES[variable])),
            arrays: [0, 1].map(|array| {
                let (len, ty) = ARRAYS[array];
                vec![Number::of(0, ty); len as usize]
            }),
        }
    }

    /// Whether what it does to memory counts.
    fn is_live(&self) -> bool {
        self.group.as_ref().is_none_or(Playback::is_live)
    }

    fn group(&mut self) -> &mut Playback<'a> {
        self.group.as_mut().expect("a step of group kernels")
    }

    pub(super) fn steps(&mut self, steps: &[Step]) -> Leave {
        for step in steps {
            match self.step(step) {
                Leave::Go => {}
                other => return other,
            }
        }
        Leave::Go
    }

    fn step(&mut self, step: &Step) -> Leave {
        match step {
            Step::Set(variable, value) => {
                let ty = VARIABLES[*variable];
                self.variables[*variable] = self.value(value, ty);
            }
            Step::SetElement(array, index, value) => {
                let value = self.value(value, ARRAYS[*array].1);
                let index = self.index(index, ARRAYS[*array].0);
                self.arrays[*array][index] = value;
            }
            Step::Output(place, ty, value) => {
                let value = self.value(value, VARIABLES[*ty]).bits();
                self.memory.outputs[self.at.linear as usize * OUTPUTS + place] = value;
            }
            Step::Sum(index, value) => {
                let index = self.index(index, SUMS as u64);
                let value = self.value(value, Type::Int(64)).integer() as u64;
                if self.is_live() {
                    self.memory.sums[index] = self.memory.sums[index].wrapping_add(value);
                }
            }
            Step::Count(place, variable, value) => {
                let value = self.value(value, Type::Int(64)).integer() as u64;
                let own = &mut self.memory.outputs[self.at.linear as usize * OUTPUTS + place];
                let old = Number::of(*own as i64, VARIABLES[*variable]);
                *own = own.wrapping_add(value);
                self.variables[*variable] = old;
            }
            Step::Call(variable, value) => {
                let value = self.value(value, Type::Int(64)).integer();
                let Some(result) = apart(value) else {
                    return Leave::Panic(APART, 0);
                };
                self.variables[*variable] = Number::of(result, VARIABLES[*variable]);
            }
            Step::If(test, yes, no) => {
                let steps = if self.test(test) { yes } else { no };
                return self.steps(steps);
            }
            Step::While(test, most, steps) => {
                let mut turns = 0;
                while turns < *most && self.test(test) {
                    turns += 1;
                    match self.steps(steps) {
                        Leave::Go | Leave::Continue(0) => {}
                        Leave::Break(0) => break,
                        Leave::Break(loops) => return Leave::Break(loops - 1),
                        Leave::Continue(loops) => return Leave::Continue(loops - 1),
                        other => return other,
                    }
                }
            }
            Step::Until(test, most, steps) => {
                let mut turns = 0;
                loop {
                    turns += 1;
                    match self.steps(steps) {
                        Leave::Go | Leave::Continue(0) => {}
                        Leave::Break(0) => break,
                        Leave::Break(loops) => return Leave::Break(loops - 1),
                        Leave::Continue(loops) => return Leave::Continue(loops - 1),
                        other => return other,
                    }
                    if turns >= *most || !self.test(test) {
                        break;
                    }
                }
            }
            Step::Break(loops) => return Leave::Break(*loops),
            Step::Continue(loops) => return Leave::Continue(*loops),
            Step::Return => return Leave::Return,
            Step::Barrier(label) => match self.group().operate() {
                Some(_) => self.group().barriers += 1,
                None => return Leave::Wait(Wait::Barrier(*label)),
            },
            Step::Share(value) => {
                let value = self.value(value, Type::Int(64)).integer();
                if self.is_live() {
                    let group = self.group();
                    group.shared[group.barriers % 2][group.rank] = value;
                }
            }
            Step::Shuffle(variable, value, lane) => {
                let mut word = |expr| self.value(expr, Type::Int(32)).integer() as u32;
                let (value, lane) = (word(value), word(lane));
                match self.group().operate() {
                    Some(result) => {
                        let result = Number::of(i64::from(result as u32 as i32), Type::Int(32));
                        self.variables[*variable] = result.to(VARIABLES[*variable]);
                    }
                    None => return Leave::Wait(Wait::Shuffle(value, lane)),
                }
            }
            Step::Ballot(variable, test) => {
                let bit = self.test(test);
                match self.group().operate() {
                    Some(result) => {
                        let result = Number::of(result as i64, Type::Int(64));
                        self.variables[*variable] = result.to(VARIABLES[*variable]);
                    }
                    None => return Leave::Wait(Wait::Ballot(bit)),
                }
            }
            Step::Panic(line, column) => {
                let column = self.value(column, Type::Int(32)).integer() as u32;
                return Leave::Panic(*line, column);
            }
        }
        Leave::Go
    }

    fn index(&mut self, index: &Expr, len: u64) -> usize {
        let index = self.value(index, Type::Int(64)).integer() as u64;
        (index & (len - 1)) as usize
    }

    fn test(&mut self, test: &Test) -> bool {
        let ty = VARIABLES[test.of];
        let (left, right) = (self.value(&test.left, ty), self.value(&test.right, ty));
        left.answer(test.question, right)
    }

    fn value(&mut self, expr: &Expr, ty: Type) -> Number {
        match expr {
            Expr::Constant(value) => Number::of(*value, ty),
            Expr::Variable(variable) => self.variables[*variable].to(ty),
            Expr::Id(dimension) => Number::of(self.at.id[*dimension] as i64, ty),
            Expr::Place(place) => Number::of(self.place(*place) as i64, ty),
            Expr::Argument(0) => Number::of(self.memory.integer, ty),
            Expr::Argument(1) => Number::F64(self.memory.float).to(ty),
            Expr::Argument(bound) => Number::of(self.memory.bounds[bound - 2], ty),
            Expr::Input(index) => {
                let index = self.index(index, INPUTS as u64);
                Number::of(self.memory.inputs[index], ty)
            }
            Expr::Element(array, index) => {
                let index = self.index(index, ARRAYS[*array].0);
                self.arrays[*array][index].to(ty)
            }
            Expr::Shared(index) => {
                let index = self.value(index, Type::Int(64)).integer() as u64;
                Number::of(self.group().read(index), ty)
            }
            Expr::Binary(operation, left, right) => {
                let left = self.value(left, ty);
                left.operate(*operation, self.value(right, ty))
            }
            Expr::Choose(test, yes, no) => {
                let (yes, no) = (self.value(yes, ty), self.value(no, ty));
                if self.test(test) { yes } else { no }
            }
            Expr::As(other, value) => self.value(value, VARIABLES[*other]).to(ty),
            Expr::Unsigned(other, value) => self.value(value, VARIABLES[*other]).unsigned(ty),
            Expr::Part(part, by, value) => self.value(value, ty).part(*part, *by),
        }
    }

    fn place(&mut self, place: Place) -> u64 {
        let At {
            id, grid, group, ..
        } = self.at;
        match place {
            Place::Linear => self.at.linear,
            Place::Grid(dimension) => grid[dimension],
            Place::Local(dimension) => id[dimension] % group[dimension],
            Place::Rank => self.group().rank as u64,
            Place::Group(dimension) => group[dimension],
        }
    }
}
