//! An item is a token of the one work-item that runs.
use std::sync::Mutex;

use legionella::Item;

static KEPT: Mutex<Option<Item>> = Mutex::new(None);

fn kernel(at: Item) {
    std::thread::spawn(move || at.x());
}

fn main() {}
