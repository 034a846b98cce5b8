//! The parts that the device takes a grid in: packets count work-items by 32 bits.

use legionella_abi::cpu::Launch as Space;

/// Most work-items of a part of a launch, in each dimension.
const LARGEST: u64 = u32::MAX as u64;

/// The parts that the device takes a grid in.
pub(super) struct Parts {
    /// Groups of the grid.
    groups: [u64; 3],
    /// Most groups of a part.
    most: [u64; 3],
}

impl Parts {
    /// Those of a launch whose lanes run `width` items each.
    pub(super) fn of(space: &Space, width: u64) -> Self {
        let mut groups = space.groups;
        if width > 1 {
            groups[0] = space.grid[0].div_ceil(space.group[0] * width);
        }
        Parts {
            groups,
            most: space.group.map(|size| LARGEST / size),
        }
    }

    pub(super) fn count(&self) -> u64 {
        let along = |d: usize| self.groups[d].div_ceil(self.most[d]);
        along(0) * along(1) * along(2)
    }

    /// The first groups of the parts.
    pub(super) fn starts(&self) -> impl Iterator<Item = [u64; 3]> + '_ {
        let along = |d: usize| (0..self.groups[d]).step_by(self.most[d] as usize);
        along(2).flat_map(move |z| along(1).flat_map(move |y| along(0).map(move |x| [x, y, z])))
    }

    /// How many groups the part has that starts there.
    pub(super) fn groups(&self, start: [u64; 3]) -> [u64; 3] {
        [0, 1, 2].map(|d| (self.groups[d] - start[d]).min(self.most[d]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_grids_are_launched_in_parts() {
        let space = Space {
            grid: [10_000_000_000, 3, 1],
            group: [1024, 1, 1],
            groups: [9_765_625, 3, 1],
            shared: 0,
            kept: u64::MAX,
        };
        let parts = Parts::of(&space, 1);
        assert_eq!(parts.count(), 3);
        let all: u64 = parts
            .starts()
            .map(|start| parts.groups(start).iter().product::<u64>())
            .sum();
        assert_eq!(all, 9_765_625 * 3);
        for start in parts.starts() {
            assert!(parts.groups(start)[0] * 1024 <= LARGEST);
        }
    }
}
