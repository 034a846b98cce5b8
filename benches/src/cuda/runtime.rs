//! What the runtime itself does: launches, graphs, memory that comes and goes.

use legionella::prelude::*;

use super::{Bench, CHAIN, MICRO, launches};

/// Times that memory is taken and given back in a turn.
const TIMES: usize = 10;

/// Sizes of that memory.
const SIZES: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("1 GiB", 1 << 30)];

/// Launches, one by one and in graphs.
pub fn launches(bench: &mut Bench) -> anyhow::Result<()> {
    let Bench {
        accelerator,
        peer,
        rows,
    } = bench;
    rows.time(
        "launch-and-wait",
        MICRO,
        || {
            Ok(accelerator
                .launch(launches::empty, Grid::over(1), ())?
                .wait()?)
        },
        // SAFETY: it takes nothing.
        || unsafe { (peer.empty)() },
    )?;
    let mut out = accelerator.upload(&[0u32])?;
    rows.time(
        format!("{CHAIN}-dependent-launches"),
        MICRO,
        || {
            let mut last = None;
            for _ in 0..CHAIN {
                last = Some(accelerator.launch(launches::touch, Grid::over(1), (&mut out,))?);
            }
            Ok(last.map_or(Ok(()), |last| last.wait())?)
        },
        // SAFETY: it takes a number.
        || unsafe { (peer.chain)(CHAIN as i32) },
    )?;
    let graph = accelerator.record(|recorder| {
        for _ in 0..CHAIN {
            recorder.launch(launches::touch, Grid::over(1), (&mut out,))?;
        }
        Ok(())
    })?;
    rows.time(
        format!("replay-of-{CHAIN}-launches"),
        MICRO,
        || Ok(graph.replay()?.wait()?),
        // SAFETY: it takes a number.
        || unsafe { (peer.graph)(CHAIN as i32) },
    )
}

/// Memory of the device that comes and goes.
pub fn memory(bench: &mut Bench) -> anyhow::Result<()> {
    let Bench {
        accelerator,
        peer,
        rows,
    } = bench;
    for (name, bytes) in SIZES {
        let take = || -> anyhow::Result<()> {
            for _ in 0..TIMES {
                drop(accelerator.zeroed::<u8>(bytes)?);
            }
            Ok(())
        };
        let each = (MICRO.0 / TIMES as f64, MICRO.1);
        rows.time(
            format!("memory {name} (peer: cudaMallocAsync)"),
            each,
            take,
            // SAFETY: it takes numbers.
            || unsafe { (peer.pool)(bytes, TIMES as i32) },
        )?;
        rows.time(
            format!("memory {name} (peer: cudaMalloc)"),
            each,
            take,
            // SAFETY: it takes numbers.
            || unsafe { (peer.malloc)(bytes, TIMES as i32) },
        )?;
    }
    Ok(())
}
