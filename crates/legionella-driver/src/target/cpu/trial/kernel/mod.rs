//! A small language of kernels: what it means ([`item`], [`group`]), and as IR ([`text`]).
//!
//! Every tree is a kernel: an expression has whatever type is asked of it, variables and arrays go by
//! numbers that wrap around, loops end. So anything that is cut off a tree leaves a kernel, which is
//! what makes shrinking easy.

mod group;
mod item;
mod text;

pub(super) use group::run_group;
pub(super) use item::{At, Memory, run};
pub(super) use text::text;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Int(u32),
    F32,
    F64,
}

/// Types of the variables, by number.
pub(super) const VARIABLES: [Type; 8] = [
    Type::Int(32),
    Type::F32,
    Type::Int(64),
    Type::F64,
    Type::Int(8),
    Type::Int(16),
    Type::Int(32),
    Type::F32,
];

/// Lengths and element types of the item's own arrays.
pub(super) const ARRAYS: [(u64, Type); 2] = [(8, Type::Int(32)), (4, Type::F64)];

/// Numbers that an item reads, writes for itself, and adds to; all are powers of two.
pub(super) const INPUTS: usize = 64;
pub(super) const OUTPUTS: usize = 4;
pub(super) const SUMS: usize = 8;

/// Most items of a group that shares numbers.
pub(super) const SHARED: usize = 256;

/// The line of the panic that stands for a barrier that can't be met.
pub(super) const BARRIER_FAILED: u32 = 9999;

/// A number.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Constant(i64),
    Variable(usize),
    /// A global id.
    Id(usize),
    Place(Place),
    /// One of the numbers that the launch gives: an integer, a float, and two integers that differ from
    /// launch to launch.
    Argument(usize),
    Input(Box<Expr>),
    Element(usize, Box<Expr>),
    /// What an item of the group shared before the last barrier; in group kernels only.
    Shared(Box<Expr>),
    Binary(Operation, Box<Expr>, Box<Expr>),
    Choose(Box<Test>, Box<Expr>, Box<Expr>),
    /// The number as one of another type, and back.
    As(usize, Box<Expr>),
    /// The same without a sign.
    Unsigned(usize, Box<Expr>),
    /// A part of a number by a power of two; floats have none.
    Part(Part, u32, Box<Expr>),
}

/// Where an item is, and among how many.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The number of the item in the grid.
    Linear,
    /// Items of the grid in a dimension.
    Grid(usize),
    /// What follows is for group kernels only: an id within the group.
    Local(usize),
    /// The number of the item in its group.
    Rank,
    /// Items of a whole group in a dimension.
    Group(usize),
}

/// Which part of a number, by a power of two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// By a mask: what is less than the power.
    Low,
    /// By a mask: the rest.
    Multiple,
    /// By a shift.
    High,
    /// By a division without sign.
    Quotient,
    Remainder,
}

/// What is done with two numbers; floats know four of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    Shl,
    Lshr,
    Ashr,
    Least,
    /// Without sign: the least, and a sum and a difference that don't wrap around. Floats take them for
    /// the signed ones that wrap.
    Lowest,
    UpTo,
    DownTo,
}

/// What is asked about two numbers. Floats, which have signs, know three of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Less,
    Equal,
    Differ,
    /// What follows is of numbers without sign.
    Below,
    AtMost,
    Above,
    AtLeast,
    /// Whether the sum wraps around.
    SumOverflows,
    ProductOverflows,
}

/// A question about numbers of one type.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) question: Question,
    pub(super) of: usize,
    pub(super) left: Expr,
    pub(super) right: Expr,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Set(usize, Expr),
    SetElement(usize, Expr, Expr),
    Output(usize, usize, Expr),
    /// Adds to a number that all items share.
    Sum(Expr, Expr),
    /// Adds to a number that the item writes for itself, by an atomic operation, and sets a variable to what that
    /// was; in kernels without groups only.
    Count(usize, usize, Expr),
    /// Sets a variable to [`apart`] of a number, by a call that isn't inlined.
    Call(usize, Expr),
    If(Test, Vec<Step>, Vec<Step>),
    /// Repeats while the test holds, at most that often.
    While(Test, u64, Vec<Step>),
    /// The same with the test behind the steps, which run once at least.
    Until(Test, u64, Vec<Step>),
    /// Leaves that many loops and one more.
    Break(usize),
    Continue(usize),
    Return,
    /// Panics with a line, and a column that is computed.
    Panic(u32, Expr),
    /// What follows is for group kernels only. Waits for the group, with a label.
    Barrier(u32),
    /// Shares a number with the group: it is seen between the next barrier and the one behind.
    Share(Expr),
    /// Sets a variable to the value of another lane.
    Shuffle(usize, Expr, Expr),
    /// Sets a variable to the lanes for which the test holds.
    Ballot(usize, Test),
}

/// The line of the panic in what isn't inlined.
pub(super) const APART: u32 = 8888;

/// What isn't inlined makes of a number; `None` if it panics.
pub(super) fn apart(value: i64) -> Option<i64> {
    (value & 63 != 13).then(|| value.wrapping_mul(3) ^ (value >> 7))
}

/// The value of a variable before the first step, from the linear id of the item.
pub(super) fn start(variable: usize, input: i64, id: u64) -> i64 {
    (input ^ (id as i64)).wrapping_add(variable as i64)
}
