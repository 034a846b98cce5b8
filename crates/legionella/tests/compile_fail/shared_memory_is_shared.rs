//! Elements of shared memory are reached by reference from every work-item.
use std::cell::Cell;

use legionella::prelude::*;

fn not_sync(_group: Group, _tile: Shared<[Cell<u32>; 4]>) {}

fn main() {}
