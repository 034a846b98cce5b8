//! Elements of elements: functions, pairs, indices, values that are the same for all, parts of buffers.

use legionella::Error;
use legionella::prelude::*;

use super::{always, elements, par, same};
use crate::suite::Suite;
use crate::trial::Failure;

/// Where a point lies, and how it moves.
#[derive(Clone, Copy, Debug, DeviceData)]
struct Body {
    place: [f32; 2],
    speed: Option<[f32; 2]>,
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("par/map", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as i32);
            let buffer = t.accelerator.upload(&x)?;
            let chain = par!(buffer, question).map(|x| x / 7).map(f64::from);
            let found = chain.map(|x| (x, x.sqrt() as u8)).collect()?;
            let expected: Vec<(f64, u8)> = x
                .into_iter()
                .map(|x| f64::from(x / 7))
                .map(|x| (x, x.sqrt() as u8))
                .collect();
            same(&expected, found.to_vec()?)
        })
    });
    suite.case("par/zip_enumerate_with", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as u16);
            let y = elements(question, |bits| (bits >> 40) as u8);
            let less = y.len() / 2;
            let (x_there, y_there) = (t.accelerator.upload(&x)?, t.accelerator.upload(&y)?);
            let both = par!(x_there, question).zip(y_there.slice(..less)?.par());
            let found = both
                .enumerate()
                .with((3u32, 'c'))
                .map(|((factor, _), (i, (x, y)))| {
                    factor.wrapping_mul(i as u32) ^ (u32::from(x) << 8 | u32::from(y))
                })
                .collect()?;
            let expected: Vec<u32> = (x.iter().zip(&y[..less]).enumerate())
                .map(|(i, (&x, &y))| (3 * i as u32) ^ (u32::from(x) << 8 | u32::from(y)))
                .collect();
            same(&expected, found.to_vec()?)
        })
    });
    suite.case("par/structs", |t| {
        let bodies: Vec<Body> = (0..1000)
            .map(|i| Body {
                place: [i as f32, -1.0],
                speed: (i % 3 == 0).then_some([1.0, i as f32 / 7.0]),
            })
            .collect();
        let buffer = t.accelerator.upload(&bodies)?;
        let moved = buffer.par().with(0.5).map(|(time, body)| {
            let [x, y] = body.place;
            match body.speed {
                Some([dx, dy]) => [x + time * dx, y + time * dy],
                None => [x, y],
            }
        });
        let expected: Vec<[f32; 2]> = (bodies.iter())
            .map(|body| {
                let speed = body.speed.unwrap_or([0.0; 2]);
                [
                    body.place[0] + 0.5 * speed[0],
                    body.place[1] + 0.5 * speed[1],
                ]
            })
            .collect();
        same(&expected, moved.collect()?.to_vec()?)
    });
    suite.case("par/collect_into", |t| {
        let x: Vec<u32> = (0..100).collect();
        let buffer = t.accelerator.upload(&x)?;
        let mut out = t.accelerator.filled(100, 7u32)?;
        let part = buffer.slice(10..30)?;
        part.par()
            .map(|x| x * x)
            .collect_into(out.slice_mut(50..70)?)?;
        let mut expected = vec![7; 100];
        (0..20).for_each(|i| expected[50 + i] = (10 + i as u32).pow(2));
        same(&expected, out.to_vec()?)?;
        match part.par().collect_into(&mut out) {
            Err(Error::SizeMismatch {
                expected: 20,
                found: 100,
                ..
            }) => Ok(()),
            other => Err(Failure::unexpected("a mismatch", format!("{other:?}"))),
        }
    });
    suite.case("par/indices", |t| {
        // Pi by counting points of a lattice in a quarter of a circle.
        let side = 1000usize;
        let points = t.accelerator.indices(side * side).with(side);
        let inside = points.map(|(side, i)| {
            let (x, y) = (i % side, i / side);
            usize::from(x * x + y * y < side * side)
        });
        let expected = (0..side * side)
            .filter(|i| (i % side).pow(2) + (i / side).pow(2) < side * side)
            .count();
        same(&[expected], vec![inside.sum()?])
    });
}
