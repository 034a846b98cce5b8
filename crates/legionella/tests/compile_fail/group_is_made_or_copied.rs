//! Holding a group means being one of its work-items: it can't be made, copied or sent.
use legionella::prelude::*;

fn copies(group: Group) {
    let other = group.clone();
    drop((group, other));
}

fn sends(group: Group) {
    std::thread::spawn(move || group.barrier());
}

fn main() {
    let _: fn(Group) = copies;
    let _: fn(Group) = sends;
    let _ = Group::default();
}
