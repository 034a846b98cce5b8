//! A program with kernels.

extern crate device;
extern crate library;

use std::collections::BTreeMap;
use std::fmt::Write;

use library::Shape;

fn small(out: &mut [u32], x: f32) {
    out[0] = x.sin() as u32 + library::look_up(out.len());
}

fn everything(out: &mut [u32], x: f32) {
    let shapes: [Box<dyn Shape>; 2] = [Box::new(library::Square(x)), Box::new(library::Circle(x))];
    let mut text = String::new();
    for shape in &shapes {
        write!(text, "{:?} {} ", shape.area(), library::Square(x)).unwrap();
    }
    let mut map = BTreeMap::new();
    for (index, value) in library::sorted(out).into_iter().enumerate() {
        map.insert(format!("{index:04} {text}"), u128::from(value) / 7);
    }
    if map.len() > 1000 {
        panic!("{} are too many", map.len());
    }
    out[0] = map.values().sum::<u128>() as u32;
}

fn prints(out: &mut [u32], x: f32) {
    println!("{x} {}", out.len());
    eprintln!("{x}");
}

fn panics_with_payload(out: &mut [u32], _: f32) {
    if out.is_empty() {
        std::panic::panic_any("nothing");
    }
}

fn foreign(out: &mut [u32], _: f32) {
    extern "C" {
        fn getpid() -> i32;
    }
    out[0] = unsafe { getpid() } as u32;
}

#[inline(never)]
fn host_only() {
    println!("{:?}", std::env::args());
}

fn main() {
    host_only();
    device::launch(small);
    device::launch(everything);
    device::launch(prints);
    device::launch(panics_with_payload);
    device::launch(foreign);
}
