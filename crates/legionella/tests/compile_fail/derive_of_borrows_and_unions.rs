//! Types that borrow, and unions.
use legionella::DeviceData;

#[derive(Clone, Copy, DeviceData)]
struct Borrows<'a> {
    number: &'a u32,
}

#[derive(Clone, Copy, DeviceData)]
union Either {
    number: u32,
    float: f32,
}

fn main() {}
