//! Lists the accelerators of this machine, one a line: the names that `--accelerator` takes.

use legionella::prelude::*;

fn main() -> anyhow::Result<()> {
    for accelerator in Accelerator::list()? {
        println!("{}", accelerator.name());
    }
    Ok(())
}
