//! Handles of shared memory stay with their work-item, and references with their handle.
use legionella::prelude::*;

fn sends(_group: Group, tile: Shared<[u32; 4]>) {
    std::thread::spawn(move || tile.filled(0));
}

fn leaks<'g>(group: Group<'g>, tile: Shared<'g, [u32; 4]>) -> &'g u32 {
    let all = group.sync(tile.filled(0));
    &all[0]
}

fn main() {}
