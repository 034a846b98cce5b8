//! Types that hold addresses are no device data; the error is at the field.
use legionella::DeviceData;

#[derive(Clone, Copy, DeviceData)]
struct Pointer {
    fine: u32,
    pointer: *const u32,
}

#[derive(Clone, Copy, DeviceData)]
struct Function(fn(u32) -> u32);

#[derive(Clone, Copy, DeviceData)]
enum Text {
    Number(u32),
    Static { text: &'static str },
}

#[derive(Clone, DeviceData)]
struct Boxed(Box<u32>);

fn main() {}
