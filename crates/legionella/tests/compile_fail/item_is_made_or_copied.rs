//! Only the runtime makes items.
use legionella::Item;

fn kernel(at: Item) {
    let again = at;
    let _ = (at.x(), again.x());
    let _ = again.clone();
    let _ = Item::default();
    let _ = Item { global: [0; 3] };
}

fn main() {}
