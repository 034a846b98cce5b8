//! Sets of up to 64 things.

/// The place of the set bit that has `before` others below it.
#[inline(always)]
pub(super) fn nth(bits: u64, before: u64) -> u32 {
    let (mut rest, mut before, mut place) = (bits, before as u32, 0);
    let mut width = 32;
    while width > 0 {
        let below = (rest & ((1 << width) - 1)).count_ones();
        if before >= below {
            before -= below;
            rest >>= width;
            place += width;
        }
        width /= 2;
    }
    place
}

/// The lowest set bits, as many, or all if there are fewer.
#[inline(always)]
pub(super) fn lowest(bits: u64, count: u64) -> u64 {
    if u64::from(bits.count_ones()) <= count {
        return bits;
    }
    bits & ((1 << nth(bits, count)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bits_end_before_the_next() {
        for bits in [1, 0b1011, u64::MAX, 1 << 63 | 1, 0xaaaa_5555_0000_ff00] {
            let mut rest: u64 = bits;
            let mut below = 0;
            for before in 0..u64::from(bits.count_ones()) {
                assert_eq!(nth(bits, before), rest.trailing_zeros());
                assert_eq!(lowest(bits, before), below);
                below |= 1 << rest.trailing_zeros();
                rest &= rest - 1;
            }
            assert_eq!(lowest(bits, 64), bits);
        }
        assert_eq!(lowest(0, 3), 0);
    }
}
