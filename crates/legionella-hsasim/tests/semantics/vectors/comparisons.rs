//! Lines for all comparisons, from what each condition means.

use super::lines::Vector;

/// What comparisons give of a smaller and a larger number, of equal ones, of a larger and a smaller, and of one with a NaN
/// (RDNA3 ISA, "Compare Operations").
const CONDITIONS: [(&str, [bool; 4]); 18] = [
    ("f", [false, false, false, false]),
    ("lt", [true, false, false, false]),
    ("eq", [false, true, false, false]),
    ("le", [true, true, false, false]),
    ("gt", [false, false, true, false]),
    ("ne", [true, false, true, true]),
    ("lg", [true, false, true, false]),
    ("ge", [false, true, true, false]),
    ("o", [true, true, true, false]),
    ("u", [false, false, false, true]),
    ("nge", [true, false, false, true]),
    ("nlg", [false, true, false, true]),
    ("ngt", [true, true, false, true]),
    ("nle", [false, false, true, true]),
    ("neq", [true, false, true, true]),
    ("nlt", [false, true, true, true]),
    ("tru", [true, true, true, true]),
    ("t", [true, true, true, true]),
];

/// Of each type a smaller and a larger number, whose order is another as any other type, and a NaN.
const NUMBERS: [(&str, [&str; 2], Option<&str>); 9] = [
    ("u16", ["0x0001", "0x8000"], None),
    ("i16", ["0x8000", "0x0001"], None),
    ("u32", ["0x00000001", "0x80000000"], None),
    ("i32", ["0x80000000", "0x00000001"], None),
    ("u64", ["0x00000001ffffffff", "0x8000000000000000"], None),
    ("i64", ["0x8000000000000001", "0x0000000100000000"], None),
    // The subnormal numbers next to zero, of which the negative one is the smaller.
    ("f16", ["0x8001", "0x0001"], Some("0x7e00")),
    ("f32", ["0x80000001", "0x00000001"], Some("0x7fc00000")),
    (
        "f64",
        ["0x8000000000000001", "0x0000000000000001"],
        Some("0x7ff8000000000000"),
    ),
];

/// A line for each comparison, type and pair of numbers.
pub fn comparisons() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (kind, [small, large], nan) in NUMBERS {
        for (condition, holds) in CONDITIONS {
            let pairs = [
                Some((small, large)),
                Some((small, small)),
                Some((large, small)),
                nan.map(|nan| (small, nan)),
            ];
            for (pair, holds) in pairs.into_iter().zip(holds) {
                let Some((left, right)) = pair else { continue };
                let (a, b) = if kind.ends_with("64") {
                    ("v[2:3]", "v[4:5]")
                } else {
                    ("v2", "v4")
                };
                let before = vec![
                    (a.to_owned(), left.to_owned()),
                    (b.to_owned(), right.to_owned()),
                ];
                for (prefix, target) in [("v_cmp", "vcc"), ("v_cmpx", "exec")] {
                    let low = |name: &str| {
                        if kind.ends_with("16") {
                            format!("{name}.l")
                        } else {
                            name.to_owned()
                        }
                    };
                    for text in [
                        format!("{prefix}_{condition}_{kind} vcc, {a}, {b}"),
                        format!("{prefix}_{condition}_{kind} {a}, {b}"),
                        format!("{prefix}_{condition}_{kind} vcc, {}, {}", low(a), low(b)),
                        format!("{prefix}_{condition}_{kind} {}, {}", low(a), low(b)),
                    ] {
                        vectors.push(Vector {
                            place: format!("the comparison {condition} of {kind}"),
                            only: None,
                            text,
                            before: before.clone(),
                            after: vec![(
                                target.to_owned(),
                                if holds { "-1" } else { "0" }.to_owned(),
                            )],
                            fault: None,
                        });
                    }
                }
            }
        }
    }
    vectors
}
