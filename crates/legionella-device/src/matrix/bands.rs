//! A product that the subgroups of a group compute together, each a band of 16 rows.
//!
//! Takes panels of both factors and shared memory for them; gives each lane its part of the sum. Where the machine
//! multiplies bands of four subgroups out of shared memory, that is what is done; elsewhere each subgroup
//! multiplies squares as [`super`] has it.

use core::panic::Location;

use super::stream::{ROW, Stage, run};
use super::{Factor, Panel, Stages, Strip, Sum, Tile, Unit};
use crate::intrinsic;

/// Rows of the sum that each subgroup has.
const BAND: usize = 16;

/// Subgroups that a machine may take together.
const TOGETHER: usize = 4;

impl Unit<'_> {
    /// The product of a left matrix and the transpose of a right one, of which all subgroups of the group compute a
    /// part together: of the left matrix the rows of a stage, `L / 8`, and of the right one `R / 8`. The group has a
    /// subgroup for every 16 rows of the left one, a multiple of four. Each gives a band of 16 rows, in squares of
    /// 16 × 16 from left to right: the subgroup of [index](crate::Subgroup::index) `i` the rows from `16 i` on.
    ///
    /// ```
    /// use legionella_device::Group;
    /// use legionella_device::matrix::{Blocks, Panel, Stages};
    ///
    /// /// `left` times the transpose of `right`, both with rows of `depth` strips: 64 × 32 a group of four
    /// /// subgroups, one below the other.
    /// fn product(
    ///     group: Group,
    ///     depth: usize,
    ///     left: &[legionella_device::matrix::Strip<i8>],
    ///     right: &[legionella_device::matrix::Strip<i8>],
    ///     left_stages: Stages<i8, { 64 * 8 }, 4>,
    ///     right_stages: Stages<i8, { 32 * 8 }, 4>,
    ///     mut out: Blocks<i32, 16, 32>,
    /// ) {
    ///     let subgroup = group.subgroup();
    ///     let Some(unit) = subgroup.matrix_unit() else { return };
    ///     let [x, y, _] = group.id();
    ///     let (left, right) = (Panel::new(left, depth, 64 * y), Panel::new(right, depth, 32 * x));
    ///     let [first, second] = unit.product((left, right), (left_stages, right_stages));
    ///     out.store(&unit, [0, 0], &first);
    ///     out.store(&unit, [0, 16], &second);
    /// }
    /// ```
    ///
    /// The products of an element are added up from zero on, in ascending order of the panels' columns, 32 bytes
    /// at a time; for these, [`matrix`](super) has how. All items of the group have to come here, at one place of the
    /// program and with panels of as many columns, or the launch fails. They give the same panels: of others, each strip
    /// is as one of the items has it.
    ///
    /// # Panics
    /// If the group isn't whole, or has other than a subgroup for every 16 rows, or if the memory for the left panel
    /// isn't the kernel's earlier parameter.
    #[inline(always)]
    #[track_caller]
    pub fn product<
        T: Factor,
        const L: usize,
        const R: usize,
        const STAGES: usize,
        const SQUARES: usize,
    >(
        &self,
        panels: (Panel<'_, T>, Panel<'_, T>),
        memory: (Stages<'_, T, L, STAGES>, Stages<'_, T, R, STAGES>),
    ) -> [Sum<T::Sum>; SQUARES] {
        const {
            assert!(
                L > 0 && L.is_multiple_of(TOGETHER * BAND * ROW),
                "the left part has a multiple of 64 rows"
            );
            assert!(
                R == SQUARES * BAND * ROW && 1 <= SQUARES && SQUARES <= 16,
                "the right part has 16 rows for each square of the sum, and up to 256"
            );
        }
        let place = Location::caller();
        let group = self.subgroup.group();
        // In terms of a number that devices know when they compile this.
        let items = L / (BAND * ROW) * self.subgroup.size();
        let (rank, len) = memory.0.who();
        let [x, y, z] = group.size();
        if len != items || x.saturating_mul(y).saturating_mul(z) != items {
            other_subgroups();
        }
        let index = self.subgroup.index();
        let mut sums = [Sum::filled(T::Sum::default()); SQUARES];
        let columns = (SQUARES * BAND) as u32;
        let who = (rank, items);
        let turn = |(left, right): Stage<T, L, R>| {
            let (left, right): (*const Strip<T>, *const Strip<T>) = (left.cast(), right.cast());
            if T::bands() {
                let row = index / TOGETHER * TOGETHER * BAND;
                // SAFETY: the four subgroups, whole as they are, come here together, behind the barrier of this
                // turn; a stage has 64 rows for them. The stages are in use for one more turn at most.
                unsafe {
                    let left = left.add(row * ROW);
                    T::multiply_band(left, right, columns, sums.as_mut_ptr().cast(), place);
                    intrinsic::matrix_band_step(place);
                }
                return;
            }
            // SAFETY: stages that are written in full, and stay so for this turn.
            let (left, right) = unsafe {
                (
                    Tile::<T, ROW>::from_raw(left, L),
                    Tile::<T, ROW>::from_raw(right, R),
                )
            };
            for depth in 0..ROW * size_of::<Strip<T>>() / 32 {
                let column = depth * T::DEPTH;
                let left = self.left(&left, [BAND * index, column]);
                for (square, sum) in sums.iter_mut().enumerate() {
                    let right = self.right(&right, [BAND * square, column]);
                    self.multiply(&left, &right, sum);
                }
            }
        };
        // SAFETY: if in bands, it does nothing but multiply them.
        unsafe { run::<T, L, R, STAGES, 1>(group, who, panels, memory, place, T::bands(), turn) }
        if T::bands() {
            let floats = u32::from(size_of::<T>() > 1);
            // SAFETY: as above; the sum is the only one that there is.
            unsafe { intrinsic::matrix_band_end(columns, floats, sums.as_mut_ptr().cast(), place) }
        }
        sums
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn other_subgroups() -> ! {
    panic!("a product is of a whole group that has a subgroup for every 16 rows of its left part")
}
