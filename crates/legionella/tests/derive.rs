//! Types that the derive accepts.

use std::marker::PhantomData;
use std::num::NonZero;

use legionella::DeviceData;

#[derive(Clone, Copy, DeviceData)]
struct Unit;

#[derive(Clone, Copy, DeviceData)]
#[allow(dead_code, reason = "only its type matters")]
struct Tuple(f32, [u8; 3], (i64, bool));

#[derive(Clone, Copy, DeviceData)]
#[allow(dead_code, reason = "only its type matters")]
struct Named<T, const N: usize>
where
    T: PartialEq,
{
    elements: [T; N],
    first: Option<NonZero<u32>>,
    marker: PhantomData<T>,
}

#[derive(Clone, Copy, DeviceData)]
enum Shape<T = f32> {
    Circle { centre: [T; 2], radius: T },
    Polygon(Option<u32>),
    Nested(Tuple, Unit),
    Nothing,
}

#[derive(Clone, Copy, DeviceData)]
#[repr(u8)]
enum Plain {
    One = 1,
    Seven = 7,
}

fn is_device_data<T: DeviceData>(value: T) -> T {
    value
}

#[test]
fn structs_enums_and_generics_are_device_data() {
    is_device_data(Unit);
    is_device_data(Named {
        elements: [1.0f64; 4],
        first: None,
        marker: PhantomData,
    });
    assert_eq!(is_device_data(Plain::Seven) as u8 + Plain::One as u8, 8);
    for shape in [
        Shape::Circle {
            centre: [0.0, 1.0],
            radius: 2.0,
        },
        Shape::Polygon(Some(5)),
        Shape::Nested(Tuple(1.0, [2; 3], (3, true)), Unit),
        Shape::Nothing,
    ] {
        let area = match is_device_data(shape) {
            Shape::Circle { centre, radius } => centre[0] + radius,
            Shape::Polygon(corners) => corners.unwrap_or(0) as f32,
            Shape::Nested(tuple, _) => tuple.0,
            Shape::Nothing => 0.0,
        };
        assert!(area >= 0.0);
    }
}
