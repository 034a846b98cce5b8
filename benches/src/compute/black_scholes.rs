//! Prices of 4 Mi European options: an option a work-item, `exp`, `ln` and `sqrt` in each.

use anyhow::ensure;
use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::numbers;
use crate::kernels::{Market, black_scholes};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

/// `exp` and `ln` of device and host may differ in the last place, and prices are differences.
fn agree(ours: &[f32], peer: &[f32]) -> anyhow::Result<()> {
    let worst = ours
        .iter()
        .zip(peer)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    let numbers = ours.iter().all(|price| price.is_finite());
    ensure!(
        numbers && worst < 1e-3,
        "prices differ from the peer's by up to {worst}"
    );
    Ok(())
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let len = 1 << 22;
    let market = Market {
        rate: 0.02,
        volatility: 0.3,
    };
    let between = |seed, low: f32, high: f32| -> Vec<f32> {
        numbers(seed, len)
            .into_iter()
            .map(|t| low + t * (high - low))
            .collect()
    };
    let (spot, strike, years) = (
        between(1, 5.0, 30.0),
        between(2, 1.0, 100.0),
        between(3, 0.25, 10.0),
    );
    let mut ours = [vec![0.0; len], vec![0.0; len]];
    let mut peers = ours.clone();
    let accelerator = &bench.accelerator;
    let device_spot = accelerator.upload(&spot)?;
    let device_strike = accelerator.upload(&strike)?;
    let device_years = accelerator.upload(&years)?;
    let mut call = accelerator.upload(&ours[0])?;
    let mut put = accelerator.upload(&ours[1])?;

    let mut launch = || {
        let arguments = (
            market,
            &device_spot,
            &device_strike,
            &device_years,
            &mut call,
            &mut put,
        );
        Ok(accelerator
            .launch(black_scholes, Grid::over(len), arguments)?
            .wait()?)
    };
    let times = side_by_side(&mut launch, || {
        let [call, put] = &mut peers;
        // SAFETY: all have `len` elements.
        unsafe {
            (bench.peer.black_scholes)(
                market.rate,
                market.volatility,
                spot.as_ptr(),
                strike.as_ptr(),
                years.as_ptr(),
                call.as_mut_ptr(),
                put.as_mut_ptr(),
                len,
            );
        }
    })?;
    let pocl = bench.pocl.beside(
        "black-scholes",
        launch,
        |call| {
            call.over(&[len])
                .value(market.rate)?
                .value(market.volatility)?
                .buffer(&spot)?
                .buffer(&strike)?
                .buffer(&years)?
                .buffer(&vec![0f32; len])?
                .buffer(&vec![0f32; len])
        },
        Call::run,
    )?;
    call.download(&mut ours[0])?;
    put.download(&mut ours[1])?;
    agree(&ours[0], &peers[0])?;
    agree(&ours[1], &peers[1])?;
    if let Some(pocl) = &pocl {
        agree(&ours[0], &pocl.read(3, len)?)?;
        agree(&ours[1], &pocl.read(4, len)?)?;
    }
    Ok(rows(bench, "black-scholes", times, pocl.as_ref()))
}
