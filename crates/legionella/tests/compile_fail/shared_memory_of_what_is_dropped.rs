//! Elements of shared memory are never dropped, so that they can't be what has to be.
use legionella::prelude::*;

fn dropped(_group: Group, tile: Shared<[String; 4]>) {
    tile.fill(|_| String::new());
}

fn main() -> legionella::Result<()> {
    Accelerator::best()?.launch(dropped, 4, (shared(),))?;
    Ok(())
}
