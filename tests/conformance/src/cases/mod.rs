//! The cases, by what they exercise.

mod allocation;
mod arguments;
mod atomics;
mod channels;
mod control;
mod crates;
mod enqueue;
mod faults;
mod floats;
mod graphs;
mod grids;
mod groups;
mod heap;
mod host_memory;
mod integers;
mod iterators;
mod launches;
mod outputs;
mod panicking;
mod par;
mod places;
mod printing;
mod relaxed;
mod signals;
mod slices;
mod text;
mod types;
mod waiting;

use crate::rejected;
use crate::suite::Suite;

/// Every case of the suite.
pub fn all() -> Suite {
    let mut suite = Suite::default();
    for add in [
        integers::add,
        floats::add,
        relaxed::add,
        slices::add,
        iterators::add,
        types::add,
        text::add,
        allocation::add,
        heap::add,
        control::add,
        grids::add,
        launches::add,
        graphs::add,
        host_memory::add,
        faults::add,
        groups::add,
        par::add,
        outputs::add,
        atomics::add,
        channels::add,
        signals::add,
        enqueue::add,
        waiting::add,
        printing::add,
        arguments::add,
        places::add,
        panicking::add,
        crates::add,
        rejected::add,
    ] {
        add(&mut suite);
    }
    suite
}
