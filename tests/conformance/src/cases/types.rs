//! The type system at work inside kernels: generics, traits, `dyn`, enums, patterns, statics.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::{Add, ControlFlow, Index, Mul};

use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

/// A trait with an associated type, an associated constant and a provided method.
trait Shape {
    type Measure: Into<f64>;
    const SIDES: u32;

    fn area(&self) -> Self::Measure;

    fn weight(&self) -> f64 {
        self.area().into() * f64::from(Self::SIDES)
    }
}

struct Square(f32);
struct Triangle {
    base: u16,
    height: u16,
}

impl Shape for Square {
    type Measure = f32;
    const SIDES: u32 = 4;

    fn area(&self) -> f32 {
        self.0 * self.0
    }
}

impl Shape for Triangle {
    type Measure = u32;
    const SIDES: u32 = 3;

    fn area(&self) -> u32 {
        u32::from(self.base) * u32::from(self.height) / 2
    }

    fn weight(&self) -> f64 {
        0.5 + f64::from(self.area())
    }
}

fn total(first: &impl Shape, second: &impl Shape) -> f64 {
    first.weight() + second.weight()
}

/// A trait for objects, with state and a supertrait.
trait Named {
    fn name(&self) -> &'static str;
}

trait Step: Named {
    fn step(&mut self, input: u32) -> u32;
}

struct Count(u32);
struct Mix {
    state: u32,
    factor: u32,
}

impl Named for Count {
    fn name(&self) -> &'static str {
        "count"
    }
}

impl Named for Mix {
    fn name(&self) -> &'static str {
        "a mix"
    }
}

impl Step for Count {
    fn step(&mut self, input: u32) -> u32 {
        self.0 += 1;
        self.0 ^ input
    }
}

impl Step for Mix {
    fn step(&mut self, input: u32) -> u32 {
        self.state = self.state.wrapping_mul(self.factor).wrapping_add(input);
        self.state
    }
}

/// An enum with data of different sizes and a niche.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Number(f64),
    Operator(char),
    Pair(NonZero<u8>, Option<bool>),
    End,
}

fn tokens(text: &[u8]) -> impl Iterator<Item = Token> + '_ {
    text.iter()
        .map(|byte| match byte {
            b'0'..=b'9' => Token::Number(f64::from(byte - b'0')),
            b'+' | b'-' | b'*' => Token::Operator(char::from(*byte)),
            0 => Token::End,
            other => match NonZero::new(other & 0x0f) {
                Some(low) => Token::Pair(low, (other & 0x40 != 0).then_some(other & 0x80 != 0)),
                None => Token::End,
            },
        })
        .chain([Token::End])
}

/// A matrix whose size is in its type.
#[derive(Clone, Copy)]
struct Matrix<const R: usize, const C: usize>([[i64; C]; R]);

impl<const R: usize, const C: usize, const K: usize> Mul<Matrix<C, K>> for Matrix<R, C> {
    type Output = Matrix<R, K>;

    fn mul(self, other: Matrix<C, K>) -> Matrix<R, K> {
        Matrix(std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                (0..C).fold(0i64, |sum, k| {
                    sum.wrapping_add(self[row][k].wrapping_mul(other[k][column]))
                })
            })
        }))
    }
}

impl<const R: usize, const C: usize> Index<usize> for Matrix<R, C> {
    type Output = [i64; C];

    fn index(&self, row: usize) -> &[i64; C] {
        &self.0[row]
    }
}

/// Generic over what a number is.
fn horner<T: Copy + Add<Output = T> + Mul<Output = T>>(x: T, coefficients: &[T]) -> Option<T> {
    coefficients
        .iter()
        .copied()
        .rev()
        .reduce(|sum, c| sum * x + c)
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xedb8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

static CRC: [u32; 256] = crc_table();
static WORDS: &[&str] = &["zero", "one", "two", "three", "four", "five"];
static OPERATIONS: [fn(u32, u32) -> u32; 4] =
    [u32::wrapping_add, u32::wrapping_mul, or, u32::rotate_left];
const PRIMES: [u16; 8] = [2, 3, 5, 7, 11, 13, 17, 19];

fn or(a: u32, b: u32) -> u32 {
    a | b
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("types/associated", |t| {
        t.map(
            |[a, b]: [u16; 2]| {
                let square = Square(f32::from(a) / 8.0);
                let triangle = Triangle { base: a, height: b };
                [total(&square, &triangle), total(&triangle, &triangle)]
            },
            &pairs::<u16>(),
        )
    });
    suite.case("types/dyn", |t| {
        t.map(
            |x: [u32; 9]| {
                let mut count = Count(x[0] >> 1);
                let mut mix = Mix {
                    state: 1,
                    factor: x[1] | 1,
                };
                let mut sum = 0u32;
                for value in x {
                    let step: &mut dyn Step = if value % 3 == 0 { &mut count } else { &mut mix };
                    sum = sum.rotate_left(7) ^ step.step(value) ^ step.name().len() as u32;
                }
                sum
            },
            &arrays::<u32, 9>(100),
        )
    });
    suite.case("types/dyn_boxed", |t| {
        t.map(
            |x: [u32; 9]| {
                let mut steps: Vec<Box<dyn Step>> = Vec::new();
                for value in x {
                    if value % 2 == 0 {
                        steps.push(Box::new(Count(value >> 1)));
                    } else {
                        steps.push(Box::new(Mix {
                            state: value,
                            factor: 5,
                        }));
                    }
                }
                let upcast: &dyn Named = &*steps[3];
                let length = upcast.name().len() as u32;
                steps.iter_mut().enumerate().fold(length, |sum, (i, step)| {
                    sum.rotate_left(3) ^ step.step(i as u32)
                })
            },
            &arrays::<u32, 9>(100),
        )
    });
    suite.case("types/enums", |t| {
        t.map(
            |text: [u8; 16]| {
                let mut sum = 0.0;
                let mut operators = 0u32;
                let mut pairs = [0u8; 3];
                for token in tokens(&text) {
                    match token {
                        Token::Number(digit) if digit > 7.0 => sum -= digit,
                        Token::Number(digit) => sum += digit,
                        Token::Operator(sign @ ('+' | '*')) => operators += sign as u32,
                        Token::Operator(_) => operators *= 3,
                        Token::Pair(low, flag) => pairs[flag.map_or(2, usize::from)] ^= low.get(),
                        Token::End => break,
                    }
                }
                (sum, operators, pairs)
            },
            &arrays::<u8, 16>(200),
        )
    });
    suite.case("types/niches", |t| {
        t.map(
            |x: u32| {
                let nested: Option<Option<Option<bool>>> = match x % 4 {
                    0 => None,
                    1 => Some(None),
                    2 => Some(Some(None)),
                    _ => Some(Some(Some(x > 100))),
                };
                let letter = char::from_u32(x % 0x12_0000);
                let order = (x % 7).cmp(&3);
                (
                    (
                        nested.is_some(),
                        nested.flatten().is_some(),
                        nested.flatten().flatten(),
                    ),
                    letter,
                    letter.map(|letter| letter.len_utf8() as u8),
                    Some(order).map(|order| order.reverse() as i8),
                    NonZero::new(x % 5).map(|x| x.get().ilog2()),
                )
            },
            &values::<u32>(300),
        )
    });
    suite.case("types/question_mark", |t| {
        t.map(
            |x: [u8; 4]| {
                let run = || -> Result<u16, u8> {
                    let first = x[0].checked_mul(2).ok_or(1)?;
                    let second = u8::try_from(i32::from(x[1]) - 100).map_err(|_| 2)?;
                    let third = first.checked_sub(second).ok_or_else(|| x[2])?;
                    Ok(u16::from(third) * u16::from(x[3]))
                };
                let flow = x.iter().try_for_each(|v| match v {
                    7.. => ControlFlow::Break(*v),
                    _ => ControlFlow::Continue(()),
                });
                (run().ok(), run().err(), flow.break_value())
            },
            &arrays::<u8, 4>(300),
        )
    });
    suite.case("types/const_generics", |t| {
        t.map(
            |x: [i64; 12]| {
                let a = Matrix([[x[0], x[1], x[2]], [x[3], x[4], x[5]]]);
                let b = Matrix([[x[6], x[7]], [x[8], x[9]], [x[10], x[11]]]);
                let product = a * b;
                (product[0], product[1], (b * a)[2])
            },
            &arrays::<i64, 12>(100),
        )
    });
    suite.case("types/generic_numbers", |t| {
        t.map(
            |x: [i16; 5]| {
                let wide = x.map(|v| i64::from(v % 100));
                let float = x.map(f64::from);
                (
                    horner(wide[0] % 10, &wide),
                    horner(float[0], &float[1..]),
                    horner(1.0f32, &[]),
                )
            },
            &arrays::<i16, 5>(100),
        )
    });
    suite.case("types/statics", |t| {
        t.map(
            |x: [u8; 21]| {
                let crc = x.iter().fold(!0u32, |crc, byte| {
                    CRC[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
                });
                let word = WORDS[usize::from(x[0]) % WORDS.len()];
                let operation = OPERATIONS[usize::from(x[1] % 4)];
                (
                    !crc,
                    (word.len() as u8, word.as_bytes()[2]),
                    operation(crc, u32::from(x[2])),
                    PRIMES
                        .iter()
                        .rposition(|p| u16::from(x[3]) % p == 0)
                        .map(|at| at as u8),
                )
            },
            &arrays::<u8, 21>(100),
        )
    });
    suite.case("types/function_pointers", |t| {
        t.map(
            |[a, b]: [u32; 2]| {
                let choose: fn(u32, u32) -> u32 = match a % 3 {
                    0 => |a, b| a ^ b,
                    1 => u32::wrapping_sub,
                    _ => or,
                };
                let twice = |f: &dyn Fn(u32) -> u32, x| f(f(x));
                choose(a, b) ^ twice(&|x| x.wrapping_mul(a), b) ^ twice(&u32::reverse_bits, a)
            },
            &pairs::<u32>(),
        )
    });
    suite.case("types/any", |t| {
        use std::any::{Any, TypeId};
        t.map(
            |x: u32| {
                let values: [Box<dyn Any>; 3] = [Box::new(x), Box::new("text"), Box::new(x as f32)];
                let value = &values[(x % 3) as usize];
                (
                    value.downcast_ref::<u32>().copied(),
                    value.downcast_ref::<&str>().map(|text| text.len() as u8),
                    (**value).type_id() == TypeId::of::<f32>(),
                )
            },
            &values::<u32>(30),
        )
    });
    suite.case("types/ordering_and_hashing", |t| {
        use std::hash::{Hash, Hasher};
        #[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Clone, Copy)]
        enum Key {
            Id(u32),
            Word(&'static str),
            Pair { left: i8, right: Option<u8> },
        }
        fn key(x: u32) -> Key {
            match x % 3 {
                0 => Key::Id(x),
                1 => Key::Word(WORDS[x as usize % WORDS.len()]),
                _ => Key::Pair {
                    left: x as i8,
                    right: (x % 2 == 0).then_some((x >> 8) as u8),
                },
            }
        }
        #[allow(deprecated)]
        t.map(
            |[a, b]: [u32; 2]| {
                let mut hasher = std::hash::SipHasher::new_with_keys(1, 2);
                key(a).hash(&mut hasher);
                (key(a).cmp(&key(b)) as i8, key(a) == key(b), hasher.finish())
            },
            &pairs::<u32>(),
        )
    });
    suite.case("types/drops", |t| {
        struct Log<'log>(&'log std::cell::RefCell<u32>, u32);
        impl Drop for Log<'_> {
            fn drop(&mut self) {
                let mut log = self.0.borrow_mut();
                *log = log.wrapping_mul(31).wrapping_add(self.1);
            }
        }
        t.map(
            |x: u32| {
                let log = std::cell::RefCell::new(x);
                {
                    let _first = Log(&log, 1);
                    let second = Log(&log, 2);
                    let _many = [Log(&log, 3), Log(&log, 4)];
                    if x % 2 == 0 {
                        drop(second);
                    }
                    let kept = std::mem::ManuallyDrop::new(Log(&log, 5));
                    let _boxed: Box<Log> = Box::new(Log(&log, kept.1 + 1));
                }
                log.into_inner()
            },
            &values::<u32>(30),
        )
    });
    suite.case("types/maps_of_enums", |t| {
        t.map(
            |x: [u8; 20]| {
                let mut counts: BTreeMap<Option<char>, u8> = BTreeMap::new();
                for byte in x {
                    *counts
                        .entry(char::from_digit(u32::from(byte % 20), 16))
                        .or_default() += 1;
                }
                let first = counts.first_key_value().map(|(key, count)| (*key, *count));
                (
                    first,
                    counts.len() as u8,
                    counts.range(Some('3')..).map(|(_, n)| *n).max(),
                )
            },
            &arrays::<u8, 20>(50),
        )
    });
    suite.case("types/black_box", |t| {
        t.map(
            |x: u32| std::hint::black_box(x ^ 3).rotate_left(std::hint::black_box(5)),
            &values::<u32>(100),
        )
    });
    suite.case("types/unions_and_transmutes", |t| {
        union Word {
            whole: u32,
            parts: [u8; 4],
        }
        t.map(
            |x: u32| {
                let mut word = Word { whole: x };
                // SAFETY: all bits of one field are valid for the other.
                let swapped = unsafe {
                    word.parts.reverse();
                    word.whole
                };
                // SAFETY: same size, and any bits are a number.
                let halves: [u16; 2] = unsafe { std::mem::transmute(x) };
                // SAFETY: a pointer to four bytes of `x`.
                let unaligned = unsafe {
                    (&raw const x)
                        .cast::<u8>()
                        .add(1)
                        .cast::<u16>()
                        .read_unaligned()
                };
                (swapped, halves, unaligned)
            },
            &values::<u32>(100),
        )
    });
}
