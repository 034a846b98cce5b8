//! Shared memory is read only after a barrier, and not written while others read it.
use legionella::prelude::*;

fn reads_what_is_not_written(group: Group, tile: Shared<[u32; 4]>) {
    let all = group.sync(tile);
    drop(all);
}

fn reads_before_the_barrier(_group: Group, tile: Shared<[u32; 4]>) {
    let tile = tile.filled(0);
    let _ = tile[0];
}

fn writes_after_the_barrier(group: Group, tile: Shared<[u32; 4]>) {
    let mut all = group.sync(tile.filled(0));
    all[0] = 1;
}

fn keeps_a_reference(group: Group, tile: Shared<[u32; 4]>) {
    let all = group.sync(tile.filled(0));
    let first = &all[0];
    let mut tile = group.sync(all);
    tile.fill(|_| *first + 1);
}

fn has_two_handles(group: Group, tile: Shared<[u32; 4]>) {
    let tile = tile.filled(0);
    let all = group.sync((tile, tile));
    drop(all);
}

fn main() {}
