//! Index spaces: dimensions, odd sizes, odd groups, none, one and millions of work-items.

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::output;

/// Everything that an item says about its place in the grid that doesn't depend on its group.
type Place = ([usize; 3], usize, [usize; 3], usize);

fn place(at: Item, mut out: Disjoint<Place>) {
    if let Some(out) = out.at(&at) {
        *out = (
            [at.x(), at.y(), at.z()],
            at.global(),
            at.grid(),
            at.grid_len(),
        );
    }
}

/// Whether local id and group size agree with the global id.
fn grouped(at: Item, group: [usize; 3], mut out: Disjoint<bool>) {
    let place = [at.x(), at.y(), at.z()];
    let (local, size) = (at.local(), at.group_size());
    if let Some(out) = out.at(&at) {
        *out =
            size == group && (0..3).all(|d| local[d] == place[d] % group[d] && local[d] < group[d]);
    }
}

fn tick(at: Item, x: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y = x[at.global() % x.len()].wrapping_add(at.global() as u32);
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("grids/one_dimension", |t| {
        for size in [1, 2, 7, 31, 32, 33, 255, 256, 257, 1000, 4099] {
            let out = output::<Place>(size);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/two_dimensions", |t| {
        for size in [
            [1, 1],
            [1, 9],
            [9, 1],
            [17, 5],
            [33, 31],
            [257, 3],
            [3, 257],
        ] {
            let out = output::<Place>(size[0] * size[1]);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/three_dimensions", |t| {
        for size in [[1, 1, 1], [1, 1, 13], [5, 7, 11], [64, 2, 3], [3, 65, 2]] {
            let out = output::<Place>(size.iter().product());
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/groups", |t| {
        for (size, group) in [
            ([100, 1, 1], [32, 1, 1]),
            ([100, 1, 1], [7, 1, 1]),
            ([5, 1, 1], [64, 1, 1]),
            ([30, 20, 1], [8, 8, 1]),
            ([13, 17, 5], [3, 5, 2]),
            ([13, 17, 5], [1, 1, 1]),
            ([2, 3, 100], [1, 2, 60]),
        ] {
            let len = size.iter().product();
            let expected = crate::bits::Observed::new("out", vec![true; len]);
            let mut out = t.accelerator.upload(&vec![false; len])?;
            let grid = Grid::over(size).group(group);
            t.accelerator
                .launch(grouped, grid, (group, &mut out))?
                .wait()?;
            let found = t.observe("out", &out)?;
            t.compare(&[expected], &[found])?;
            let out = output::<Place>(len);
            both!(t, place, grid, [write out])?;
        }
        Ok(())
    });
    suite.case("grids/empty", |t| {
        for size in [[0, 1, 1], [5, 0, 3], [0, 0, 0], [usize::MAX, usize::MAX, 0]] {
            let out = output::<Place>(3);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/empty_buffers", |t| {
        let out = Vec::<Place>::new();
        both!(t, place, Grid::over(5), [write out])
    });
    suite.case("grids/millions", |t| {
        let x: Vec<u32> = (0..1021).map(|x| x * x).collect();
        let y = output::<u32>(3_000_017);
        both!(t, tick, Grid::over(3_000_017), [read x], [write y])?;
        let z = output::<u32>(1009 * 1013 * 2);
        both!(t, tick, Grid::over([1009, 1013, 2]), [read x], [write z])
    });
    suite.case("grids/more_items_than_elements", |t| {
        let x = vec![7u32; 3];
        let y = vec![0u32; 100];
        both!(t, tick, Grid::over(1000), [read x], [write y])
    });
    suite.case("grids/fewer_items_than_elements", |t| {
        let x = vec![9u32; 3];
        let y = vec![1u32; 1000];
        both!(t, tick, Grid::over(100), [read x], [write y])
    });
}
